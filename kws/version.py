"""The version of the package as it is installed; written into what the package makes."""

from __future__ import annotations

from importlib import metadata

UNKNOWN_VERSION = "0+unknown"
"""Version of a checkout that is not installed."""

try:
    __version__ = metadata.version("kws")
except metadata.PackageNotFoundError:
    __version__ = UNKNOWN_VERSION
