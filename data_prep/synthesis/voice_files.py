"""Where voices lie that are no part of a package; :mod:`data_prep.fetching` fetches them.

The folder is a cache of the person who runs the program: ``KWS_VOICES``, or where the platform keeps such.
"""

from __future__ import annotations

from pathlib import Path

from data_prep.fetching import own_folder

FOLDER_VARIABLE = "KWS_VOICES"
"""Environment variable that names the folder of voices."""


def folder() -> Path:
    """Return the folder of voices; it need not exist."""
    return own_folder(FOLDER_VARIABLE, "cache", "voices")
