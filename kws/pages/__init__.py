"""The one look of all pages: their style sheet and their templates.

Evaluation and study pages, the studio and the page of `kws web` use them. :func:`style` needs the standard
library alone, so that a page can be written where no training package is installed.
"""

from __future__ import annotations

import base64
import struct
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from kws.errors import DependencyError

if TYPE_CHECKING:
    from jinja2 import Environment

FOLDER = Path(__file__).parent
TEMPLATES = FOLDER / "templates"


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that a page holds itself, for the macros ``picture`` and ``wide`` of ``parts.html``."""

    text: str
    """What it shows, for who cannot see it."""
    source: str
    """Its address, with all of it inside."""
    width: int
    """In pixels."""
    height: int
    """In pixels."""

    @classmethod
    def of(cls, png: bytes, text: str) -> Picture:
        """Return that of a PNG file."""
        width, height = struct.unpack(">II", png[16:24])
        return cls(text, f"data:image/png;base64,{base64.b64encode(png).decode()}", width, height)


@cache
def style() -> str:
    """Return the style sheet that every page holds or serves."""
    return (FOLDER / "style.css").read_text(encoding="utf-8")


def environment(*folders: Path) -> Environment:
    """Return what fills templates: values are escaped, and a name that is missing raises.

    Args:
        folders: of templates of the caller, which come before those of this package. They can extend
            ``base.html`` and import the macros of ``parts.html``.
    Returns:
        A new environment; its global ``style`` is the text of :func:`style`.
    Raises:
        DependencyError: jinja2 is not installed.
    """
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
        from markupsafe import Markup
    except ImportError as error:
        raise DependencyError(f'pages need {error.name}: `pip install "kws[train]"`') from error
    made = Environment(
        loader=FileSystemLoader([*folders, TEMPLATES]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["style"] = Markup(style())
    return made
