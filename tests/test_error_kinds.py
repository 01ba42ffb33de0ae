"""What goes wrong with audio is told by `AudioError.kind`, never by the words of a message or a path."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from kws.errors import AudioError

REPOSITORY = Path(__file__).parents[1]
READERS = (
    "kws/audio.py",
    "kws/pcm.py",
    "kws/decoding",
    "kws/manifest.py",
    "kws/decoded_audio.py",
    "data_prep/measurements.py",
)
"""Where the errors come from that `data_prep.checks` sorts by kind."""
KINDS_IN_WORDS = {"holds no samples": "empty", "no samples came": "empty", "no such file": "missing"}
"""Words of a message -> the kind that belongs to them."""
INSTALLATIONS = {Path("kws/cli/__init__.py")}
"""Looks for the name of a package in an ImportError, which says it nowhere else."""


def modules(*places: str) -> Iterator[tuple[Path, ast.Module]]:
    """Yield the path inside the repository and the syntax tree of every module."""
    for place in places:
        path = REPOSITORY / place
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            yield file.relative_to(REPOSITORY), ast.parse(file.read_text(encoding="utf-8"))


def made(tree: ast.AST) -> Iterator[tuple[ast.Call, object]]:
    """Yield each `AudioError(...)` and the kind that it gives, if any."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "AudioError":
            kind = {word.arg: word.value for word in node.keywords}.get("kind")
            yield node, kind.value if isinstance(kind, ast.Constant) else kind and ast.unparse(kind)


def compared_texts(tree: ast.AST) -> Iterator[int]:
    """Yield the lines where the text of a caught exception is compared or searched."""
    caught = {node.name for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler) and node.name}
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            looked_at: list[ast.expr] = [node.left, *node.comparators]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            is_search = node.func.attr in {"startswith", "endswith", "search", "match", "find", "fullmatch"}
            looked_at = [node.func.value, *node.args] if is_search else []
        else:
            continue
        if any(is_text_of(part, caught) for part in looked_at):
            yield node.lineno


def is_text_of(node: ast.expr, caught: set[str]) -> bool:
    """Return whether an expression is `str(error)` or `error.args` of a caught exception."""
    for part in ast.walk(node):
        of = None
        if isinstance(part, ast.Call) and isinstance(part.func, ast.Name) and part.func.id in {"str", "repr"}:
            of = part.args[0] if part.args else None
        elif isinstance(part, ast.Attribute) and part.attr == "args":
            of = part.value
        if isinstance(of, ast.Name) and of.id in caught:
            return True
    return False


def test_every_error_that_findings_are_counted_by_names_its_kind():
    found = [(path, call.lineno, kind) for path, tree in modules(*READERS) for call, kind in made(tree)]
    assert len(found) > 10
    assert not [f"{path}:{line}" for path, line, kind in found if kind is None]
    assert {kind for *_, kind in found} <= set(re.findall(r"``(\w+)``", AudioError.__doc__ or ""))


def test_an_empty_or_missing_file_is_of_that_kind_wherever_it_is_said():
    wrong = []
    for path, tree in modules("kws", "data_prep", "export"):
        for call, kind in made(tree):
            text = ast.unparse(call)
            wrong += [
                f"{path}:{call.lineno}: {words}"
                for words, expected in KINDS_IN_WORDS.items()
                if words in text and kind != expected
            ]
    assert not wrong


def test_no_code_reads_the_words_of_an_error():
    found = [
        f"{path}:{line}"
        for path, tree in modules("kws", "data_prep", "export")
        if path not in INSTALLATIONS
        for line in compared_texts(tree)
    ]
    assert not found


@pytest.mark.parametrize(
    "line",
    [
        '"NaN" in str(error)',
        'str(error).startswith("a")',
        're.search("a", str(error))',
        '"a" == error.args[0]',
    ],
)
def test_code_that_reads_the_words_is_found(line: str):
    assert list(compared_texts(ast.parse(f"try:\n    pass\nexcept E as error:\n    {line}\n"))) == [4]
