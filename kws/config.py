"""YAML to frozen dataclasses and back: one strict loader that every recipe and checkpoint goes through.

An unknown key, a wrong type or a value out of range raises :class:`kws.errors.ConfigError` with the full key
path.
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
import math
import re
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml

from kws.errors import ConfigError

C = TypeVar("C")


def load_config(
    cls: type[C], values: Mapping[str, Any], where: str = "config", defaults: C | None = None
) -> C:
    """Build dataclass ``cls`` from a mapping, strictly.

    Args:
        cls: a dataclass; nested dataclass fields are built the same way, over the field's own default.
        values: keys are field names.
        where: what the mapping is called in messages, such as a file name.
        defaults: values of the fields that the mapping leaves out; None takes those of the class.
    Raises:
        ConfigError: an unknown key (the nearest known one is named), a wrong type, or a value its class
            refuses.
    """
    if not isinstance(values, Mapping):
        raise ConfigError(f"{where}: expected keys and values, got {type(values).__name__}")
    hints = typing.get_type_hints(cls)
    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}  # type: ignore[arg-type]
    known = list(fields)
    renamed: Mapping[str, str] = getattr(cls, "RENAMED", {})
    arguments = {}
    for given, value in values.items():
        key = renamed.get(given, given)
        if key in values and key != given:
            raise ConfigError(f"{where}: `{given}` is now `{key}`, and both are given; leave `{given}` out")
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f"did you mean `{near[0]}`?" if near else f"known keys: {', '.join(known) or 'none'}"
            raise ConfigError(f"{where}: unknown key `{key}`; {hint}")
        nested = _default(fields[key]) if defaults is None else getattr(defaults, key)
        arguments[key] = _convert(hints[key], value, f"{where}.{key}", nested)
    try:
        return cls(**arguments) if defaults is None else dataclasses.replace(defaults, **arguments)  # type: ignore[type-var]
    except TypeError as error:
        raise ConfigError(f"{where}: {error}") from error


def _default(field: dataclasses.Field[Any]) -> Any:
    """Return the default of a field, None where it has none."""
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return None if field.default is dataclasses.MISSING else field.default


def _convert(kind: Any, value: Any, where: str, default: Any = None) -> Any:
    """Turn a YAML value into the annotated type, or raise naming the key.

    Args:
        kind: the annotation.
        value: as YAML gives it.
        where: path of the key.
        default: of the field; a dataclass is laid under a mapping.
    """
    origin, options = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        if isinstance(value, kind):
            return value
        return load_config(kind, value, where, default if isinstance(default, kind) else None)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in options:
            return None
        return _convert(next(option for option in options if option is not type(None)), value, where, default)
    if origin is typing.Literal:
        if value not in options:
            raise ConfigError(f"{where}: got {value!r}, allowed: {', '.join(map(str, options))}")
        return value
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise ConfigError(f"{where}: expected a list, got {value!r}")
        item = options[0]
        return tuple(_convert(item, entry, f"{where}[{index}]") for index, entry in enumerate(value))
    if origin is dict:
        if not isinstance(value, Mapping):
            raise ConfigError(f"{where}: expected keys and values, got {value!r}")
        return dict(value)
    if kind is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        if not math.isfinite(value):
            raise ConfigError(f"{where}: expected a finite number, got {value!r}")
        return float(value)
    if kind is Path and isinstance(value, (str, Path)):
        return Path(value)
    if kind is Any:
        return value
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        hint = ""
        if kind is str and isinstance(value, bool):
            hint = "; YAML takes no, yes, on and off for a truth value: put it in quotes"
        elif kind is float and re.fullmatch(r"[-+]?[\d.]+e[-+]?\d+", str(value), re.IGNORECASE):
            hint = "; YAML takes 1e-3 for text: write 1.0e-3"
        raise ConfigError(f"{where}: expected {kind.__name__}, got {value!r}{hint}")
    return value


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Read a YAML mapping; a ``base:`` key names one other file, relative to this one, whose keys come first.

    Raises:
        ConfigError: the file is missing, not YAML or not a mapping.
    """
    path = Path(path)
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is no text file in UTF-8 ({error.reason}); check the path") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML ({error}); mend the file") from error
    except RecursionError:
        raise ConfigError(f"{path}: is nested too deeply, or its `base` leads back to it") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected keys and values, got {type(values).__name__}")
    if "base" in values:
        base = read_yaml(path.parent / values.pop("base"))
        values = merge(base, values)
    return values


def merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``base`` with ``changes`` laid over it, nested mappings merged key by key."""
    merged = dict(base)
    for key, value in changes.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = merge(merged[key], value) if both else value
    return merged


def parse_overrides(pairs: list[str]) -> dict[str, Any]:
    """Turn ``["a.b=1"]`` into ``{"a": {"b": 1}}``; values are read as YAML.

    Raises:
        ConfigError: a pair holds no ``=``.
    """
    values: dict[str, Any] = {}
    for pair in pairs:
        key, separator, text = pair.partition("=")
        if not separator:
            raise ConfigError(f"`overrides` {pair}: expected key=value, for example steps=200")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ConfigError(f"`overrides` {pair}: the value is not valid YAML; put it in quotes") from error
        values = merge(values, nested(key.strip(), value))
    return values


def nested(key: str, value: Any) -> dict[str, Any]:
    """Return ``{"a": {"b": value}}`` for the key ``a.b``."""
    *above, last = key.split(".")
    values = {last: value}
    for part in reversed(above):
        values = {part: values}
    return values


def to_dict(config: Any) -> dict[str, Any]:
    """Return a dataclass as plain YAML-ready values."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(entry) for key, entry in value.items()}
        if isinstance(value, (list, tuple)):
            return [plain(entry) for entry in value]
        return str(value) if isinstance(value, Path) else value

    values: dict[str, Any] = plain(dataclasses.asdict(config))
    return values


def config_hash(config: Any) -> str:
    """Return 12 hexadecimal digits that change with any value of the dataclass or mapping."""
    values = to_dict(config) if dataclasses.is_dataclass(config) else config
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()[:12]


def above_zero(where: str, config: Any, *names: str) -> None:
    """Refuse fields of a dataclass that are not above 0.

    Args:
        where: key of the dataclass, for the message.
        config: has the fields.
        names: of those that are looked at.
    Raises:
        ConfigError: naming the first.
    """
    for name in names:
        if not getattr(config, name) > 0:
            raise ConfigError(f"{where}.{name}: got {getattr(config, name)}, allowed: above 0")


def at_least(least: float, where: str, config: Any, *names: str) -> None:
    """Refuse fields of a dataclass that are below a number; see :func:`above_zero`."""
    for name in names:
        if not getattr(config, name) >= least:
            raise ConfigError(f"{where}.{name}: got {getattr(config, name)}, allowed: {least:g} or more")
