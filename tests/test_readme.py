"""Every command, option and file that README.md, README.zh.md and the pages of docs/ name exists."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest

from kws.cli import COMMANDS, build_parser
from tests.support.texts import GUIDES, README, REPOSITORY, TEXTS, inline, kws_calls, name_of, shell_lines

CALLS = {path: kws_calls(path.read_text("utf-8")) for path in TEXTS}
TRANSFER = REPOSITORY / "docs" / "guide" / "transfer.md"
each_text = pytest.mark.parametrize("path", TEXTS, ids=name_of)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        pytest.param(path, words, id=f"{name_of(path)}: {' '.join(words)}")
        for path, calls in CALLS.items()
        for words in calls
        if len(words) > 1
    ],
)
def test_each_call_is_understood(path: Path, words: list[str], capsys: pytest.CaptureFixture[str]):
    try:
        build_parser().parse_args(words)
    except SystemExit:
        said = capsys.readouterr().err.splitlines()[-1]
        pytest.fail(f"{name_of(path)}: kws {' '.join(words)}: {said}")


@each_text
def test_each_command_named_exists(path: Path):
    assert {words[0] for words in CALLS[path]} - {"--help"} <= set(COMMANDS)


@pytest.mark.parametrize("name", ["README.md", "README.zh.md"])
def test_a_readme_leaves_no_command_unnamed(name: str):
    assert {words[0] for words in CALLS[REPOSITORY / name]} - {"--help"} == set(COMMANDS)


@pytest.mark.parametrize("name", ["README.md", "README.zh.md"])
def test_a_readme_shows_the_main_road(name: str):
    shown = {words[0] for words in CALLS[REPOSITORY / name] if len(words) > 1}
    assert {"enroll", "train", "export", "eval", "listen"} <= shown


def test_the_guides_show_every_command_with_arguments():
    shown = {words[0] for path in GUIDES for words in CALLS[path] if len(words) > 1}
    assert shown == set(COMMANDS)


def test_the_readmes_show_the_same_commands():
    first, second = (
        [line for line in shell_lines((REPOSITORY / name).read_text("utf-8")) if _is_command(line)]
        for name in ("README.md", "README.zh.md")
    )
    assert [_without_comment(line) for line in first] == [_without_comment(line) for line in second]


def _is_command(line: str) -> bool:
    return re.match(r"(\$ )?(\S*/)?(kws|make|pip) ", line) is not None


def _without_comment(line: str) -> str:
    return line.partition(" #")[0].strip()


def options(parser: argparse.ArgumentParser) -> set[str]:
    found = set()
    for action in parser._actions:
        found |= set(action.option_strings)
        if isinstance(action, argparse._SubParsersAction):
            found |= {option for sub in action.choices.values() for option in options(sub)}
    return found


@each_text
def test_each_option_named_in_the_text_exists(path: Path):
    spans = inline(path.read_text("utf-8"))
    named = {span.split()[0].partition("=")[0] for span in spans if span.startswith("--")}
    assert named - options(build_parser()) == set()


def section(title: str) -> str:
    """Return what stands under a heading of the guide to transfer."""
    _, _, text = TRANSFER.read_text("utf-8").partition(f"\n## {title}\n")
    assert text, f"{name_of(TRANSFER)} has no section {title!r}"
    return text.partition("\n## ")[0]


def in_first_column(text: str) -> set[str]:
    return set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))


def test_the_guide_names_every_policy_and_head_that_there_is():
    from kws.heads import available_heads
    from kws.transfer import AUTO, available_policies

    assert in_first_column(section("Which layers move")) == {*available_policies(), AUTO}
    assert in_first_column(section("Heads")) == set(available_heads())


def test_the_guide_names_every_regularizer_loss_and_balance_that_there_is():
    from kws.loss_weighting import available_loss_weightings
    from kws.losses import available_losses
    from kws.regularizers import available_regularizers

    text = section("Stay near the source, and other terms")
    assert in_first_column(text) == set(available_regularizers())
    assert {*available_losses(), *available_loss_weightings()} <= set(re.findall(r"`(\w+)`", text))


@each_text
def test_each_make_target_shown_exists(path: Path):
    text = path.read_text("utf-8")
    makefile = (REPOSITORY / "Makefile").read_text("utf-8")
    shown = [part.split()[1] for part in (*shell_lines(text), *inline(text)) if re.match(r"make \w", part)]
    assert [target for target in shown if not re.search(rf"^{target}:", makefile, re.MULTILINE)] == []
    assert shown or path != README


@each_text
def test_each_file_of_the_project_named_in_the_text_exists(path: Path):
    text = path.read_text("utf-8")
    made = {"runs", "data", "build", "dist", "site"}
    roots = {entry.name for entry in REPOSITORY.iterdir() if entry.is_dir()} - made
    named = [part for span in (*inline(text), *shell_lines(text)) for part in span.split()]
    paths = [part for part in named if re.fullmatch(r"[\w./]+/[\w./]*", part) and part.split("/")[0] in roots]
    assert [part for part in paths if not (REPOSITORY / part).exists()] == []
    assert len(paths) >= 3 or path != README
