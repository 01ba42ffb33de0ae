"""What is installed beside ``kws`` and what is missing, from the metadata of packages: nothing is imported.

The command line calls it for ``kws --version`` and where a command ends for want of a package.
"""

from __future__ import annotations

import argparse
import platform
import re
from importlib import metadata
from typing import Any

from kws.version import __version__

TOLD = ("numpy", "onnxruntime", "onnxruntime-gpu", "torch", "torchaudio", "lightning", "lhotse", "soxr")
"""Packages whose version ``kws --version`` tells: those that a fault most often turns on."""
EXTRA = "train"
"""What all commands need but ``listen`` and ``bench``."""
NAMES = {"yaml": "pyyaml"}
"""Module -> package, where they differ by more than ``_`` for ``-``."""


class VersionAction(argparse.Action):
    """Prints :func:`versions` and ends; they are read only when they are asked for."""

    def __init__(self, option_strings: list[str], dest: str, **options: Any) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, default=argparse.SUPPRESS, **options)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        """Print and exit with 0."""
        print(versions())
        parser.exit()


def versions() -> str:
    """Return a line each for ``kws``, Python and the installed ones of :data:`TOLD`."""
    found = [(name, _version(name)) for name in TOLD]
    lines = [
        f"kws {__version__}",
        f"Python {platform.python_version()} on {platform.platform(terse=True)}",
    ]
    return "\n".join(lines + [f"{name} {version}" for name, version in found if version])


def missing(module: str | None = None) -> list[str]:
    """Return the packages that the training part asks for and that are not installed.

    Args:
        module: a module that could not be imported; its package is among those returned, and comes first
            where the metadata does not ask for it.
    """
    needed = [name for name in _required() if _version(name) is None]
    if module is None:
        return needed
    top = module.split(".")[0]
    name = NAMES.get(top, top.replace("_", "-"))
    return needed if name in needed else [name, *needed]


def _required() -> list[str]:
    """Return what ``kws[train]`` asks for on every machine; [] where the package itself is not installed."""
    try:
        requirements = metadata.requires("kws") or []
    except metadata.PackageNotFoundError:
        return []
    asked = [requirement.replace("'", '"').partition(";") for requirement in requirements]
    wanted = ("", f'extra == "{EXTRA}"')  # further markers: on some machines only
    return [re.split(r"[^\w.-]", name)[0] for name, _, marker in asked if marker.strip() in wanted]


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
