"""The words of the pages: one table for each language, with the same keys."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "texts"
LANGUAGES = {"en": "English", "zh": "中文"}
"""Language of the pages -> its name in itself."""


@cache
def table(ui: str) -> dict[str, str]:
    """Return the texts of a language by their keys; ``{name}`` stands for a value."""
    found: dict[str, str] = json.loads((FOLDER / f"{ui}.json").read_text(encoding="utf-8"))
    return found


def choose(wished: str | None, accepted: str) -> str:
    """Return the language of the pages.

    Args:
        wished: that somebody has picked before.
        accepted: the browser's ``Accept-Language``.
    """
    if wished in LANGUAGES:
        return str(wished)
    first = accepted.split(",")[0].strip()[:2]
    return first if first in LANGUAGES else "en"
