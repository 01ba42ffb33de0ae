"""The library names arguments as Python does, and the command line shows them as options."""

from __future__ import annotations

import ast
import importlib
import inspect
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import kws
from kws.cli import COMMANDS, build_parser, main
from kws.cli.flags import CALL, FlagFormatter, with_flags
from kws.cli.flags import COMMANDS as OTHER_NAMES
from kws.errors import ConfigError, KwsError

REPOSITORY = Path(__file__).parents[3]
FLAG = re.compile(r"(?<![\w-])--[a-z]")
OTHER_PROGRAMS = ("pip install", "dask worker", "--setf")
"""Beginnings of what is said of, or to, programs that are not ours."""


def constants(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and text of each string of a module that is no docstring."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in alone:
            yield node.lineno, node.value


def library() -> list[Path]:
    """Return the modules that know of no command line."""
    paths = [path for name in ("kws", "data_prep", "export") for path in (REPOSITORY / name).rglob("*.py")]
    return sorted(path for path in paths if "cli" not in path.parts)


def test_the_library_names_no_option():
    assert len(library()) > 150
    found = [
        f"{path.relative_to(REPOSITORY)}:{line}: {text}"
        for path in library()
        for line, text in constants(path)
        if FLAG.search(text) and not any(name in text for name in OTHER_PROGRAMS)
    ]
    assert not found, "\n".join(found)


def test_every_function_that_a_message_advises_is_a_command_with_that_option():
    advised = {
        found.groups()[:2]
        for path in library()
        for _, text in constants(path)
        for found in CALL.finditer(text)
    }
    assert advised
    for function, argument in advised:
        command = OTHER_NAMES.get(function, function)
        assert argument in inspect.signature(getattr(kws, function)).parameters
        assert f"--{argument.replace('_', '-')}" in build_parser(command).commands[command].flags


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("`false_accepts_per_hour`: got 0", "--false-accepts-per-hour: got 0"),
        ("add `overwrite=True`, or another `output`", "add --overwrite, or another --output"),
        ("`num_workers`, `overrides` a: no pair", "--workers, --set a: no pair"),
        ("add `num_synthetic=200`", "add `--num-synthetic 200`"),
        ("such as `train.transfer.policy=late`", "such as `--set train.transfer.policy=late`"),
        ("put beside it with `enroll(noise=FOLDER)`", "put beside it with `kws enroll --noise FOLDER`"),
        ("after `evaluate(split=all)`", "after `kws eval --split all`"),
        ("unknown key `dept`; did you mean `depth`?", "unknown key `dept`; did you mean `depth`?"),
        ("`phones` or `text`, in a run of `kws train`", "`phones` or `text`, in a run of `kws train`"),
    ],
)
def test_a_name_in_backticks_becomes_the_option(text: str, shown: str):
    assert build_parser("train").commands["train"].in_flags(text) == shown


def test_a_positional_argument_is_shown_as_the_help_names_it():
    assert build_parser("eval").commands["eval"].in_flags("`model` x: is a folder") == "MODEL x: is a folder"


def test_python_reads_the_name_of_python_and_the_shell_its_option(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "a").mkdir()
    with pytest.raises(KwsError) as caught:
        kws.study(tmp_path / "no.yaml", tmp_path / "out", jobs=0)
    assert str(caught.value) == "`jobs`: got 0, allowed: 1 or more"
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("", encoding="utf-8")
    assert main(["study", str(recipe), "--output", str(tmp_path / "out"), "--jobs", "0"]) == 2
    assert capsys.readouterr().err == "kws study: --jobs: got 0, allowed: 1 or more\n"


def test_a_note_that_an_error_carries_and_a_log_line_are_shown_alike(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    def refuse(_: object) -> int:
        error = ConfigError("no")
        error.add_note("give `output`")
        raise error

    monkeypatch.setattr(importlib.import_module("kws.cli.prep"), "run", refuse)
    assert main(["prep", str(tmp_path), "--output", str(tmp_path)]) == 2
    assert capsys.readouterr().err == "kws prep: no; give --output\n"
    record = logging.LogRecord("kws", logging.WARNING, "", 0, "give `split` of %s", ("a",), None)
    actions = build_parser("eval").commands["eval"].declared
    assert FlagFormatter("%(levelname)s %(message)s", actions).format(record) == "WARNING give --split of a"


@pytest.mark.parametrize("command", COMMANDS)
def test_each_option_is_stored_under_a_name_of_its_own(command: str):
    actions = build_parser(command).commands[command].declared
    assert len({action.dest for action in actions}) == len(actions)
    assert with_flags("`nothing_of_the_kind`", actions) == "`nothing_of_the_kind`"
