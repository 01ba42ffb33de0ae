"""Names in the source: a class name means one thing, and words are spelled as Americans do."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from tests.test_architecture import REPOSITORY

FOLDERS = ("kws", "data_prep", "export", "benchmarks", "examples")
BRITISH = re.compile(
    r"colour|grey|centre(?!d)|centred|licence|labell|modell|cancell|travell|neighbour|behaviour|favour|"
    r"honour|flavour|(?:recogn|normal|regular|optim|initial|serial|organ|real|minim|maxim|quant|token|"
    r"vector|penal|util|summar|standard|parallel|general|emphas|visual)is(?:e|ing|ation|er)|"
    r"synthesise(?!rror)|catalogue|dialogue|analyse|artefact|learnt|spelt"
)


def trees() -> Iterator[tuple[Path, ast.Module]]:
    """Yield the modules of the project that are no tests."""
    for folder in FOLDERS:
        for path in sorted((REPOSITORY / folder).rglob("*.py")):
            yield path.relative_to(REPOSITORY), ast.parse(path.read_text(encoding="utf-8"))


def identifiers(tree: ast.Module) -> Iterator[str]:
    """Yield each name that a module gives or uses."""
    for node in ast.walk(tree):
        for field in ("id", "attr", "name", "arg", "asname"):
            value = getattr(node, field, None)
            if isinstance(value, str):
                yield value


def test_no_two_classes_have_one_name():
    found = defaultdict(list)
    for path, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                found[node.name].append(str(path))
    assert len(found) > 200
    twice = {name: paths for name, paths in found.items() if len(paths) > 1}
    assert not twice


def test_identifiers_and_names_of_files_are_spelled_as_americans_do():
    wrong = {
        f"{path}: {name}"
        for path, tree in trees()
        for name in (*identifiers(tree), path.stem)
        if BRITISH.search(name.lower())
    }
    assert not wrong
