"""YAML to dataclasses: strict, with the full path of what is wrong."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import pytest

from kws.config import config_hash, load_config, merge, parse_overrides, read_yaml, to_dict
from kws.errors import ConfigError
from kws.pretraining.config import PretrainConfig
from kws.pretraining.sources import SpeechSourceConfig
from kws.training.config import TrainConfig


@dataclass(frozen=True)
class Inner:
    rate: float = 0.5
    count: int = 1


@dataclass(frozen=True)
class Outer:
    name: str
    inner: Inner = field(default_factory=Inner)
    parts: tuple[Inner, ...] = ()
    mode: Literal["fast", "slow"] = "fast"
    path: Path | None = None
    flag: bool = False
    extra: dict[str, Any] = field(default_factory=dict)
    words: tuple[str, ...] = ()


def load(**values: object) -> Outer:
    return load_config(Outer, {"name": "n", **values}, "file.yaml")


def test_values_become_what_the_fields_say():
    found = load(
        inner={"rate": 1}, parts=[{"count": 2}, {}], mode="slow", path="a/b", words=["x"], extra={"k": [1]}
    )
    assert found == Outer(
        "n", Inner(1.0), (Inner(count=2), Inner()), "slow", Path("a/b"), extra={"k": [1]}, words=("x",)
    )
    assert isinstance(found.inner.rate, float)
    assert load(path=None).path is None
    assert load_config(Outer, to_dict(found)) == found


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"mod": "slow"}, r"^file\.yaml: unknown key `mod`; did you mean `mode`\?$"),
        ({"zzz": 1}, "file.yaml: unknown key `zzz`; known keys: name, inner"),
        ({"inner": {"rat": 1}}, "file.yaml.inner: unknown key `rat`; did you mean `rate`"),
        ({"parts": [{}, {"cont": 1}]}, r"file.yaml.parts\[1\]: unknown key `cont`; did you mean `count`"),
        ({"inner": {"rate": "fast"}}, "file.yaml.inner.rate: expected float, got 'fast'"),
        ({"inner": {"rate": float("nan")}}, "file.yaml.inner.rate: expected a finite number, got nan"),
        ({"inner": {"rate": True}}, "inner.rate: expected float, got True"),
        ({"inner": {"rate": "1e-3"}}, "expected float, got '1e-3'; YAML takes 1e-3 for text: write 1.0e-3"),
        ({"inner": {"count": 1.5}}, "inner.count: expected int, got 1.5"),
        ({"inner": {"count": True}}, "inner.count: expected int, got True"),
        ({"inner": 3}, "file.yaml.inner: expected keys and values, got int"),
        ({"flag": 1}, "file.yaml.flag: expected bool, got 1"),
        ({"mode": "medium"}, "file.yaml.mode: got 'medium', allowed: fast, slow"),
        ({"words": "x"}, "file.yaml.words: expected a list, got 'x'"),
        (
            {"words": [False]},
            r"words\[0\]: expected str, got False; YAML takes no, yes, .*: put it in quotes",
        ),
        ({"words": [1]}, r"file.yaml.words\[0\]: expected str, got 1"),
        ({"extra": [1]}, "file.yaml.extra: expected keys and values"),
        ({"path": 3}, "file.yaml.path: expected Path, got 3"),
    ],
)
def test_what_does_not_fit_is_named_with_its_path(values: dict[str, object], message: str):
    with pytest.raises(ConfigError, match=message):
        load(**values)


def test_a_nested_mapping_changes_the_default_of_its_field():
    @dataclass(frozen=True)
    class Fast:
        inner: Inner = field(default_factory=lambda: Inner(rate=0.9))

    assert load_config(Fast, {"inner": {"count": 3}}) == Fast(Inner(0.9, 3))
    assert load_config(Inner, {"count": 3}, defaults=Inner(0.7)) == Inner(0.7, 3)


def test_a_missing_key_is_named():
    with pytest.raises(ConfigError, match="file.yaml: .*'name'"):
        load_config(Outer, {}, "file.yaml")


def test_overrides_are_read_as_yaml_and_nest():
    found = parse_overrides(["a.b=1", "a.c=[x, y]", "d=", "e=a=b", "f=on"])
    assert found == {"a": {"b": 1, "c": ["x", "y"]}, "d": None, "e": "a=b", "f": True}
    assert parse_overrides(["a=1", "a=2"]) == {"a": 2}
    with pytest.raises(ConfigError, match="`overrides` steps: expected key=value"):
        parse_overrides(["steps"])
    with pytest.raises(ConfigError, match=r"`overrides` a=\[1: the value is not valid YAML"):
        parse_overrides(["a=[1"])


def test_a_file_is_laid_over_its_base(tmp_path: Path):
    (tmp_path / "base.yaml").write_text("a: {b: 1, c: 2}\nd: 3\n", "utf-8")
    (tmp_path / "top.yaml").write_text("base: base.yaml\na: {c: 9}\n", "utf-8")
    assert read_yaml(tmp_path / "top.yaml") == {"a": {"b": 1, "c": 9}, "d": 3}
    (tmp_path / "empty.yaml").write_text("", "utf-8")
    assert read_yaml(tmp_path / "empty.yaml") == {}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"a: [", "not valid YAML"),
        (b"- a\n- b\n", "expected keys and values, got list"),
        (b"\xff\xfe\x00", "is no text file in UTF-8"),
        (None, "cannot be read"),
    ],
)
def test_files_that_hold_no_configuration_are_named(tmp_path: Path, data: bytes | None, message: str):
    path = tmp_path / "recipe.yaml"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(ConfigError, match=rf"recipe\.yaml: {message}"):
        read_yaml(path)


def test_merging_changes_neither_side():
    base, changes = {"a": {"b": 1}}, {"a": {"c": 2}, "d": 3}
    assert merge(base, changes) == {"a": {"b": 1, "c": 2}, "d": 3}
    assert base == {"a": {"b": 1}} and changes == {"a": {"c": 2}, "d": 3}


def test_the_hash_changes_with_every_value_and_with_nothing_else():
    assert config_hash(Outer("n")) == config_hash(Outer("n")) == config_hash(to_dict(Outer("n")))
    others = [Outer("m"), Outer("n", Inner(0.6)), Outer("n", path=Path("x")), Outer("n", parts=(Inner(),))]
    assert len({config_hash(config) for config in [Outer("n"), *others]}) == 5
    assert len(config_hash(Outer("n"))) == 12


RECIPES = sorted(
    entry.name
    for entry in resources.files("kws.recipes").iterdir()
    # of a study: tests/kws/workflows/test_study.py; of a run: tests/kws/test_recipes.py
    if entry.name.endswith(".yaml") and entry.name not in ("study.yaml", "train.yaml", "enroll.yaml")
)


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_is_read_strictly(name: str):
    with resources.as_file(resources.files("kws.recipes") / name) as path:
        values = read_yaml(path)
    recipe = load_config(PretrainConfig, values, name)
    assert recipe.train and recipe.dev
    with pytest.raises(ConfigError, match="unknown key `stepps`; did you mean `steps`"):
        load_config(PretrainConfig, {**values, "stepps": 1}, name)


def test_there_are_recipes():
    assert "embedded.yaml" in RECIPES


def test_a_key_of_an_earlier_version_is_taken_by_its_name_of_now():
    old = {"balance": "gradnorm", "balance_options": {"rate": 0.1}}
    new = {"loss_weighting": "gradnorm", "loss_weighting_options": {"rate": 0.1}}
    assert load_config(TrainConfig, old) == load_config(TrainConfig, new) != TrainConfig()
    with pytest.raises(ConfigError, match="`balance` is now `loss_weighting`, and both are given"):
        load_config(TrainConfig, old | new)
    source = load_config(SpeechSourceConfig, {"manifest": "a.jsonl", "unlabelled": True})
    assert source.unlabeled
    with pytest.raises(ConfigError, match="unknown key `balanc`"):
        load_config(TrainConfig, {"balanc": "fixed"})
