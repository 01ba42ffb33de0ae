"""The words of the pages: both languages have all of them, and all of them are used."""

from __future__ import annotations

import re
from typing import get_args

import pytest

from kws.studio.app import FOLDER, STEPS
from kws.studio.texts import LANGUAGES, choose, table
from kws.workflows.project.training import Stage
from kws.workflows.takes import Fault

SOURCES = {
    path.name: path.read_text("utf-8")
    for path in (*(FOLDER / "static").glob("*.js"), *(FOLDER / "templates").glob("*.html"))
}
MADE = [
    *(f"step_{step}" for step in STEPS),
    *(f"stage_{stage}" for stage in get_args(Stage)),
    *(f"{kind}_{fault}" for kind in ("fault", "note") for fault in get_args(Fault) if fault),
    *(f"job_{status}" for status in ("running", "stopped", "done", "failed")),
    *(f"method_{method}" for method in ("typed", "trained")),
    *(f"lacking_{name}" for name in ("positives", "negatives")),
    *(f"from_{source}" for source in ("shipped", "own")),
    "start",
    "start_again",
]
"""Keys that are put together, or read by Python."""


def used() -> set[str]:
    named = re.compile(r"""\bt\(\s*"([a-z_]+)"|\bt\.([a-z_]+)|(?:places|report)\([^)]*"([a-z_]+)"\)""")
    found = {
        key for text in SOURCES.values() for match in named.finditer(text) for key in match.groups() if key
    }
    return found - {"replace"}


def test_both_languages_have_the_same_keys_and_values():
    english, chinese = table("en"), table("zh")
    assert list(english) == list(chinese) and set(LANGUAGES) == {"en", "zh"}
    for key, text in english.items():
        assert text.strip() and chinese[key].strip(), key
        assert sorted(set(re.findall(r"\{\w+\}", text))) == sorted(
            set(re.findall(r"\{\w+\}", chinese[key]))
        ), key
        told_in_signs = key in ("export_home", "take_wait")
        assert told_in_signs or re.search(r"[\u4e00-\u9fff]", chinese[key]), key


def test_every_text_is_used_and_every_used_text_is_there():
    assert used() | set(MADE) == set(table("en"))


@pytest.mark.parametrize(
    ("wished", "accepted", "chosen"),
    [("zh", "en", "zh"), (None, "zh-TW,zh;q=0.9", "zh"), ("xx", "de", "en"), (None, "", "en")],
)
def test_the_language_is_that_which_was_picked_or_the_browsers(
    wished: str | None, accepted: str, chosen: str
):
    assert choose(wished, accepted) == chosen
