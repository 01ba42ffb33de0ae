"""One thing has one name on the command line, and an option means the same in every command."""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import pytest

from kws.cli import COMMANDS, build_parser
from kws.cli.options import SHARED
from kws.cli.parser import RECORDINGS

OF_EACH = {"--help", "-h", "--verbose"}
WRITE_A_FILE = {"export", "voices", "tune"}
"""Commands whose ``--output`` is no folder."""


def shown_options() -> dict[str, dict[str, argparse.Action]]:
    """Return option -> command -> how it is declared, of all that a help shows."""
    found: dict[str, dict[str, argparse.Action]] = defaultdict(dict)
    for command in COMMANDS:
        for action in build_parser(command).commands[command].declared:
            if action.help != argparse.SUPPRESS:
                for name in set(action.option_strings) - OF_EACH:
                    found[name][command] = action
    return found


def test_an_option_of_several_commands_has_one_meaning_and_one_metavar():
    several = {name: commands for name, commands in shown_options().items() if len(commands) > 1}
    assert len(several) >= 12
    for name, commands in several.items():
        meaning, settings = SHARED[name]
        for command, action in commands.items():
            assert action.help is not None and action.help.startswith(meaning), f"kws {command} {name}"
            file = name == "--output" and command in WRITE_A_FILE
            assert action.metavar == ("FILE" if file else settings.get("metavar")), f"kws {command} {name}"
    assert set(SHARED) <= set(several), "what one command alone has stands there"


def test_positives_and_negatives_are_paths_and_numbers_are_called_so():
    options = shown_options()
    for name in ("--positives", "--negatives", "--noise"):
        assert {action.type for action in options[name].values()} == {RECORDINGS}
    for name, commands in options.items():
        if name.startswith("--num-"):
            assert {action.type for action in commands.values()} == {int}, name


@pytest.mark.parametrize(
    ("command", "words", "stored", "note"),
    [
        ("quickstart", ["--phrase", "a"], {"keyword": "a"}, "--phrase is now --keyword"),
        ("train", ["--synthetic=3"], {"num_synthetic": 3}, "--synthetic is now --num-synthetic"),
        ("train", ["--confusables", "3"], {"num_confusables": 3}, "--confusables is now --num-confusables"),
        ("prep", ["--positives", "3"], {"num_positives": 3}, "--positives is now --num-positives"),
        (
            "prep",
            ["--synthesize", "hey you"],
            {"synthesize": True, "keyword": "hey you"},
            "--synthesize VALUE is now --synthesize --keyword VALUE",
        ),
        (
            "prep",
            ["--synthesize=hey you"],
            {"synthesize": True, "keyword": "hey you"},
            "--synthesize VALUE is now --synthesize --keyword VALUE",
        ),
        ("prep", ["--synthesize", "--keyword", "a"], {"synthesize": True, "keyword": "a"}, None),
    ],
)
def test_earlier_names_are_taken_with_a_note(
    command: str,
    words: list[str],
    stored: dict[str, object],
    note: str | None,
    capsys: pytest.CaptureFixture[str],
):
    parser = build_parser(command).commands[command]
    needed = {"train": ["--keyword", "a", "--negatives", "b"], "quickstart": []}.get(command, [])
    found = vars(parser.parse_args([*words, *needed, "--output", "o"]))
    assert {name: found[name] for name in stored} == stored
    assert capsys.readouterr().err == (f"note: {note}\n" if note else "")
    assert words[0].partition("=")[0] not in parser.format_help() or command == "prep"


def test_a_keyword_is_a_keyword_in_every_usage_and_parameter():
    import inspect

    import kws

    for command in COMMANDS:
        assert "PHRASE" not in build_parser(command).commands[command].format_usage()
    for name in kws.__all__:
        assert not {"phrase", "phrases"} & set(inspect.signature(getattr(kws, name)).parameters), name


def test_synthetic_speech_needs_a_keyword(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    from kws.cli import main

    assert main(["prep", "--synthesize", "--output", str(tmp_path / "out")]) == 2
    assert "kws prep: --synthesize: which keyword? Give it as --keyword" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
