"""One form for text that people type, whatever program they typed it in.

Called wherever a phrase, a label or a transcript enters the program. Needs the standard library only.
"""

from __future__ import annotations

import unicodedata


def normalize(text: str) -> str:
    """Return a text in Unicode's form NFKC: one code point for ``é`` however it was typed, ``2`` for ``２``."""
    return unicodedata.normalize("NFKC", text)
