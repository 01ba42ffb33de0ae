"""The shapes that are compared: small enough, alike in delay, run from a whole recipe, timed side by side."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import architectures, short_runs
from benchmarks.architectures import SHAPES, encoder_config
from export.benchmark import Contender
from kws.config import load_config, read_yaml, to_dict
from kws.encoders.sources.embedded import EmbeddedConfig, EmbeddedEncoder
from kws.encoders.sources.embedded_weights import load_recognizer
from kws.encoders.truncate import num_parameters
from kws.pretraining.config import PretrainConfig

RATES = {"all": 0.25, "gender=male": 0.3, "gender=female": 0.2}


@pytest.fixture(autouse=True)
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Rows lie in a folder of the test."""
    monkeypatch.setattr(short_runs, "RESULTS", tmp_path / "results")
    (tmp_path / "results").mkdir()
    return tmp_path / "results"


def rows_of(results: Path, kind: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (results / f"{kind}.jsonl").read_text("utf-8").splitlines()]


@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_is_as_small_as_allowed_and_hears_as_far_ahead_as_what_ships(name: str):
    shipped = load_recognizer().encoder
    encoder = EmbeddedEncoder(encoder_config(name))
    assert num_parameters(encoder) <= 2_000_000
    assert encoder.info.lookahead_samples == shipped.info.lookahead_samples == 0.16 * 16_000
    assert encoder.info.num_layers > architectures.MODEL.depth == 6
    assert encoder.config.block == ("separable" if name == "stacked" else name)
    assert encoder.config.stem_channels == (() if name == "stacked" else (24, 32))


def test_the_plain_shape_is_the_recipe():
    recipe = load_config(EmbeddedConfig, read_yaml(short_runs.RECIPE)["encoder"], "recipe")
    assert encoder_config("separable") == replace(recipe, stem_channels=short_runs.STEM)


def test_every_shape_is_trained_alike_and_only_once(
    tmp_path: Path, results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    recipes: dict[str, dict[str, Any]] = {}

    def pretrain(recipe: Path, folder: Path, root: Path) -> None:
        recipes[folder.name] = to_dict(load_config(PretrainConfig, read_yaml(recipe), str(recipe)))
        folder.mkdir()
        metrics = {"steps": 20, "test_phone_error_rate": RATES, "dev_phone_error_rate": {"all": 0.5}}
        (folder / "metrics.json").write_text(json.dumps(metrics), "utf-8")

    monkeypatch.setattr(short_runs, "pretrain", pretrain)
    words = [str(tmp_path), "--output", str(tmp_path), "--steps", "20"]
    architectures.main(words)
    architectures.main(words)
    assert list(recipes) == [f"{name}-20" for name in SHAPES]
    for name in SHAPES:
        recipe = recipes[f"{name}-20"]
        assert recipe.pop("encoder") == to_dict(encoder_config(name))
        assert recipe.pop("middle") == (4 if name == "attention" else 5)
    assert all(recipe == recipes["separable-20"] for recipe in recipes.values())
    assert [row["run"] for row in rows_of(results, "architectures")] == list(SHAPES)
    shown = capsys.readouterr().out.splitlines()[-len(SHAPES) :]
    assert shown[0] == "| separable | 10 × 192 | 1.62 | – | – | 20 | 25.0 | 30.0 | 20.0 | 50.0 |"


def test_times_the_shapes_beside_the_plain_one_and_keeps_them_until_they_change(
    tmp_path: Path, results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def cpu_ms_per_push(contenders: Sequence[Contender], rounds: int) -> list[list[float]]:
        names = ["separable-cut", "separable-whole", "gated-cut", "gated-whole"]
        assert [contender.path.stem for contender in contenders] == [*names, "openwakeword"]
        assert (contenders[4].kind, rounds) == ("openwakeword-files", 3)
        # the machine was slow in the second round and fast in the third
        return [[speed * ms for speed in (1, 2, 0.5)] for ms in (0.4, 0.8, 0.5, 0.72, 1.6)]

    monkeypatch.setattr(architectures, "export_model", lambda model, point, path: None)
    monkeypatch.setattr(architectures, "cpu_ms_per_push", cpu_ms_per_push)
    words = [str(tmp_path), "--output", str(tmp_path), "--cost"]
    peer = ["--openwakeword", str(tmp_path / "openwakeword")]
    architectures.main([*words, "--only", "gated", "--rounds", "3", *peer])
    plain, gated = rows_of(results, "architecture_costs")
    assert [plain[f"{part}_ratio"] for part in ("cut", "whole")] == [1, 1]
    assert (gated["cut_ms"], gated["cut_ratio"], gated["cut_of_openwakeword"]) == (0.5, 1.25, 0.3125)
    assert (gated["whole_ms"], gated["whole_ratio"], gated["steps"]) == (0.72, 0.9, 0)
    shown = capsys.readouterr().out.splitlines()
    assert shown[2] == "| separable | 10 × 192 | 1.62 | 0.400 (× 1.00) | 0.800 (× 1.00) | 0.25 |"
    assert shown[3].endswith(" | 0.500 (× 1.25) | 0.720 (× 0.90) | 0.31 |") and len(shown) == 4

    monkeypatch.setitem(SHAPES, "gated", ("gated", {"encoder": {"block": "gated", "dimension": 96}}))
    architectures.main([*words, "--table"])
    assert capsys.readouterr().out.splitlines()[2:] == shown[2:3]


def test_a_shape_that_is_not_there_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        architectures.main([str(tmp_path), "--output", str(tmp_path), "--only", "gatd"])
    assert "--only: got gatd, allowed: separable, stacked, gated" in capsys.readouterr().err
