"""Every configuration survives YAML, whatever its values, and refuses keys that it does not know.

The dataclasses are found in the source by their names, so that a new one is tried without a line here.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import types
import typing
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from kws.config import config_hash, load_config, to_dict
from kws.errors import ConfigError

REPOSITORY = Path(__file__).parents[1]
NAMES = ("Config", "Options")
"""Endings of the names of what YAML is read into."""

TRICKY = ["a", "no", "1e-3", "null", "a: b", "#", "é 小", " a ", "x\ny", "0.5", "~"]
TEXTS = st.sampled_from(TRICKY) | st.text(st.characters(exclude_categories=("Cs",)), max_size=4)
NUMBERS = st.sampled_from([0, 1, 2, 3, 10, 100]) | st.integers(0, 40)
SHARES = st.sampled_from([0.0, 0.1, 0.5, 1.0, 1e-5]) | st.floats(0, 50, allow_nan=False)


@cache
def config_classes() -> tuple[str, ...]:
    """Return ``module:class`` of every dataclass for YAML."""
    found = []
    for package in ("kws", "data_prep", "export"):
        for path in sorted((REPOSITORY / package).rglob("*.py")):
            module = ".".join(path.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__")
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if (
                    isinstance(node, ast.ClassDef)
                    and node.name.endswith(NAMES)
                    and any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list)
                ):
                    found.append(f"{module}:{node.name}")
    return tuple(found)


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Draw values of an annotated type; a class may still refuse them."""
    origin, options = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return configs(kind)
    if origin in (typing.Union, types.UnionType):
        return st.none() | values(next(option for option in options if option is not type(None)))
    if origin is typing.Literal:
        return st.sampled_from(options)
    if origin is tuple:
        return st.lists(values(options[0]), max_size=3).map(tuple)
    if origin is dict:
        return st.dictionaries(TEXTS, NUMBERS | SHARES | TEXTS | st.booleans(), max_size=2)
    plain = {bool: st.booleans(), int: NUMBERS, float: SHARES, str: TEXTS, Path: TEXTS.map(Path)}
    return plain.get(kind, NUMBERS | TEXTS)


NEEDS: dict[str, dict[str, Any]] = {
    "KeywordConfig": {"test": ("b",)},
    "PrepConfig": {"sources": ({"path": "a"},)},
    "TeacherConfig": {"source": "speech_embedding", "path": "a"},
}
"""What some classes ask for beyond the simplest values of their types."""
SIMPLE = {bool: False, int: 1, float: 0.5, str: "a", Path: Path("a")}


def simplest(cls: type) -> Any:
    """Return a configuration with what it asks for, and defaults."""
    hints = typing.get_type_hints(cls)

    def value(kind: Any) -> Any:
        if dataclasses.is_dataclass(kind):
            return simplest(typing.cast(type, kind))
        options = typing.get_args(kind)
        if typing.get_origin(kind) is tuple:
            return (value(options[0]),)
        return {"a": 1} if typing.get_origin(kind) is dict else SIMPLE[kind]

    missing = dataclasses.MISSING
    needed = {
        field.name: value(hints[field.name])
        for field in dataclasses.fields(cls)
        if field.default is missing and field.default_factory is missing
    }
    return load_config(cls, needed | NEEDS.get(cls.__name__, {}))


@st.composite
def configs(draw: st.DrawFn, cls: type) -> Any:
    """Draw a configuration: fields are changed one by one, where the class takes the change."""
    hints, config = typing.get_type_hints(cls), simplest(cls)
    names = [field.name for field in dataclasses.fields(cls) if field.init]
    for name in draw(st.lists(st.sampled_from(names), max_size=6)) if names else ():
        try:
            config = dataclasses.replace(config, **{name: draw(values(hints[name]))})
        except ConfigError:
            continue
    return config


@pytest.mark.parametrize("name", config_classes())
@settings(max_examples=20, deadline=None, derandomize=True)
@given(data=st.data())
def test_a_configuration_comes_back_from_yaml_as_it_was(name: str, data: st.DataObject):
    module, _, cls_name = name.partition(":")
    cls = getattr(importlib.import_module(module), cls_name)
    config = data.draw(configs(cls))
    written = yaml.safe_load(yaml.safe_dump(to_dict(config), sort_keys=False))
    again = load_config(cls, written)
    assert again == config
    assert config_hash(again) == config_hash(config)
    with pytest.raises(ConfigError, match="unknown key `no_such_key`"):
        load_config(cls, {**written, "no_such_key": 1})


def test_configurations_are_found():
    assert {"kws.training.config:TrainConfig", "kws.model:ModelConfig"} <= set(config_classes())
