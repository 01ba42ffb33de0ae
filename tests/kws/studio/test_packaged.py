"""The wheel holds the files of the pages."""

from __future__ import annotations

from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[3] / "kws"


def test_every_file_of_the_pages_is_package_data():
    tomllib = pytest.importorskip("tomllib", reason="Python 3.11 or later reads pyproject.toml")
    settings = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text("utf-8"))
    patterns = settings["tool"]["setuptools"]["package-data"]["kws"]
    packaged = {path for pattern in patterns for path in PACKAGE.glob(pattern)}
    files = {path for path in (PACKAGE / "studio").rglob("*") if path.is_file()}
    pages = {path for path in files if path.suffix not in (".py", ".pyc")}
    assert len(pages) > 20 and pages <= packaged
    assert not {path for path in packaged if path.suffix == ".pyc"}
