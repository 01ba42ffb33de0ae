"""Every command and option that README.md shows is one that exists."""

from __future__ import annotations

import argparse
import re
import shlex
from pathlib import Path

import pytest

from kws.cli import COMMANDS, build_parser

REPOSITORY = Path(__file__).parents[1]
README = (REPOSITORY / "README.md").read_text("utf-8")
FENCE = re.compile(r"^```[^\n]*\n(.*?)^```", re.DOTALL | re.MULTILINE)
PROGRAM = re.compile(r"^(?:\S*/)?(?:kws|python3? -m kws)\s+(.*)$")


def shell_lines() -> list[str]:
    """Commands in code blocks, continued lines joined, one for each side of ``&&``, ``;`` and ``|``."""
    blocks = "\n".join(FENCE.findall(README)).replace("\\\n", " ")
    return [part.strip() for line in blocks.splitlines() for part in re.split(r"&&|;|\|", line)]


def inline() -> list[str]:
    """What stands between back ticks outside code blocks, line breaks as spaces."""
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", FENCE.sub("", README))]


def kws_calls() -> list[list[str]]:
    calls = []
    for text in (*shell_lines(), *inline()):
        found = PROGRAM.match(text)
        if found:
            calls.append(shlex.split(found[1], comments=True))
    return calls


CALLS = kws_calls()


@pytest.mark.parametrize("words", [words for words in CALLS if len(words) > 1], ids=" ".join)
def test_each_call_is_understood(words: list[str], capsys: pytest.CaptureFixture[str]):
    try:
        build_parser().parse_args(words)
    except SystemExit:
        pytest.fail(f"README.md: kws {' '.join(words)}: {capsys.readouterr().err.splitlines()[-1]}")


def test_each_command_named_alone_exists_and_none_is_left_unnamed():
    assert {words[0] for words in CALLS} - {"--help"} == set(COMMANDS)


def options(parser: argparse.ArgumentParser) -> set[str]:
    found = set()
    for action in parser._actions:
        found |= set(action.option_strings)
        if isinstance(action, argparse._SubParsersAction):
            found |= {option for sub in action.choices.values() for option in options(sub)}
    return found


def test_each_option_named_in_the_text_exists():
    named = [span.split()[0].partition("=")[0] for span in inline() if span.startswith("--")]
    assert named and set(named) <= options(build_parser())


def test_the_readme_names_every_policy_and_head_that_there_is():
    from kws.heads import available_heads
    from kws.transfer import AUTO, available_policies

    _, _, text = README.partition("- `--policy` says")
    policies, _, text = text.partition("`--depth`")
    _, _, text = text.partition("`--head`")
    heads, _, _ = text.partition(")")
    assert set(re.findall(r"`(\w+)`", policies)) == {*available_policies(), AUTO}
    assert set(re.findall(r"`(\w+)`", heads)) == set(available_heads())


def test_the_readme_names_every_regulariser_loss_and_balance_that_there_is():
    from kws.balances import available_balances
    from kws.losses import available_losses
    from kws.regularizers import available_regularizers

    _, _, text = README.partition("## Ways to transfer")
    text, _, _ = text.partition("## ")
    named = set(re.findall(r"`(\w+)`", text))
    assert {*available_regularizers(), *available_losses(), *available_balances()} <= named


def test_the_readme_shows_the_main_road():
    assert {"train", "export", "eval", "listen"} <= {words[0] for words in CALLS if len(words) > 1}


def test_each_make_target_shown_exists():
    makefile = (REPOSITORY / "Makefile").read_text("utf-8")
    shown = [text.split()[1] for text in (*shell_lines(), *inline()) if re.match(r"make \w", text)]
    assert shown and all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in shown)


def test_each_file_of_the_project_named_in_the_text_exists():
    roots = {path.name for path in REPOSITORY.iterdir() if path.is_dir()} - {"runs", "data"}
    named = [
        span for span in inline() if re.fullmatch(r"[\w./]+/[\w./]*", span) and span.split("/")[0] in roots
    ]
    assert len(named) >= 3
    assert [span for span in named if not (REPOSITORY / span).exists()] == []
