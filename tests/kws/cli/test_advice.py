"""Messages advise only options that some command has, and no key of a configuration that no command reads."""

from __future__ import annotations

import argparse
import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from kws.cli import build_parser

REPOSITORY = Path(__file__).parents[3]
OTHER_PROGRAMS = {
    "--force-reinstall": "pip",
    "--upgrade": "pip",
    "--user": "pip",
    "--index-url": "pip",
    "--bind": "python -m http.server",
    "--setf": "flite",
    "--nthreads": "dask",
    "--help": "any",
}
"""Options of other programs that messages or calls name."""
PREP_KEY = re.compile(r"\b(?:checks|split|prep|rooms|apply_codec)\.[a-z]+_?[a-z_]*\b(?!\()")


def texts(path: Path) -> Iterator[str]:
    """Yield the strings of a module that are no docstrings, each f-string as one without its values."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr):
            inside.add(id(node.value))
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) for part in node.values if isinstance(part, ast.Constant))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
            yield node.value


def options(parser: argparse.ArgumentParser) -> set[str]:
    """Return the options of a parser and of its commands, by their earlier names too."""
    found = set(parser._option_string_actions) | set(getattr(parser, "renamed", ()))
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                found |= options(command)
    return found


@pytest.mark.parametrize("package", ["kws", "data_prep", "export"])
def test_options_that_messages_name_exist(package: str):
    known = options(build_parser()) | set(OTHER_PROGRAMS)
    wrong = {
        f"{path.relative_to(REPOSITORY)}: {option}"
        for path in (REPOSITORY / package).rglob("*.py")
        for text in texts(path)
        for option in re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*[a-z0-9](?![\w-])", text)
        if option not in known
    }
    assert not wrong


def test_data_preparation_advises_no_keys_which_no_command_reads():
    wrong = {
        f"{path.relative_to(REPOSITORY)}: {text}"
        for path in (REPOSITORY / "data_prep").rglob("*.py")
        if path.name != "config.py"  # whose errors are about the fields of its own classes
        for text in texts(path)
        if PREP_KEY.search(text) and re.search(r"\b(?:raise|lower|set|change|remove|leave)\b", text)
    }
    assert not wrong
