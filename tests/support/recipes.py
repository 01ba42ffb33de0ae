"""The recipes that hold every key with its default, written from the classes that read them.

``python -m tests.support.recipes`` writes them anew; tests/kws/test_recipes.py holds them to it.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any

import yaml

from kws.decisions import DecisionSettings
from kws.model import ModelConfig
from kws.training.config import TrainConfig
from kws.workflows.enroll.config import EnrollConfig

RECIPES = Path(__file__).parents[2] / "kws" / "recipes"
WIDTH = 110
KEYS = "Every key of `{} --config FILE`, with its default. Copy it, and keep what you change."
HEADS = {
    "train.yaml": f"{KEYS.format('kws train')}\n"
    "Where it says `null`, the number of recordings decides, or what is usual is taken.\n"
    "With `--add-to RUN` model and decision are those of the run, so their keys are comments here:\n"
    "in place of `{}` write those that you change.",
    "enroll.yaml": KEYS.format("kws enroll"),
}


def documented(kind: type) -> dict[str, str]:
    """Return the text under each field of a dataclass, in one line."""
    body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    assert isinstance(body, ast.ClassDef)
    found = {}
    for field, text in zip(body.body, body.body[1:], strict=False):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(text, ast.Expr)
            and isinstance(field.target, ast.Name)
        ):
            assert isinstance(text.value, ast.Constant)
            found[field.target.id] = " ".join(str(text.value.value).split())
    return found


def section(kind: type, values: Any, indent: str = "", open_keys: bool = True) -> Iterator[str]:
    """Yield the lines of a section, each key below what it is; without ``open_keys`` as comments."""
    texts = documented(kind)
    for field in fields(kind):
        if field.default is MISSING and field.default_factory is MISSING:
            continue  # the command line gives it
        value = getattr(values, field.name)
        text = re.sub(r":\w+:(?=`)", "", texts[field.name]).replace("``", "`").replace("None ", "null ")
        mark = f"{indent}# "
        yield from textwrap.wrap(text, WIDTH, initial_indent=mark, subsequent_indent=mark)
        if is_dataclass(value):
            of_run = kind is TrainConfig and isinstance(value, DecisionSettings)
            yield f"{indent}{field.name}:{' {}' if of_run else ''}"
            yield from section(type(value), value, indent + "  ", not of_run)
        else:
            plain = yaml.safe_dump(plain_value(value), default_flow_style=True, width=1000).splitlines()[0]
            yield f"{indent}{'' if open_keys else '# '}{field.name}: {plain}"


def plain_value(value: Any) -> Any:
    """Return a value as YAML can hold it."""
    if isinstance(value, tuple):
        return [plain_value(one) for one in value]
    return str(value) if isinstance(value, Path) else value


def written(name: str) -> str:
    """Return the text of a recipe."""
    head = [f"# {line}" for line in HEADS[name].splitlines()]
    if name == "enroll.yaml":
        lines = list(section(EnrollConfig, EnrollConfig()))
    else:
        model = section(ModelConfig, ModelConfig(("keyword",)), "  ", open_keys=False)
        lines = ["model: {}", *model, "train:", *section(TrainConfig, TrainConfig(), "  ")]
    return "\n".join([*head, *lines]) + "\n"


if __name__ == "__main__":
    for recipe in HEADS:
        (RECIPES / recipe).write_text(written(recipe), "utf-8")
