"""The shapes that are compared: each is a recipe that can run, of the size and delay of what ships."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from benchmarks import architectures
from benchmarks.architectures import SHAPES, recipe_of
from kws.config import config_hash
from kws.encoders.sources.embedded import EmbeddedEncoder
from kws.encoders.sources.embedded_weights import load_recogniser
from kws.encoders.truncate import num_parameters


@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_is_a_short_recipe_for_an_encoder_as_small_as_what_ships(name: str):
    recipe, shipped = recipe_of(name, steps=20), load_recogniser().encoder
    encoder = EmbeddedEncoder(recipe.encoder)
    assert 0.75 * num_parameters(shipped) < num_parameters(encoder) <= 2_000_000
    assert encoder.info.lookahead_samples == shipped.info.lookahead_samples
    assert encoder.info.num_layers > architectures.DEPTH
    assert (recipe.steps, recipe.evaluate_every) == (20, 20)
    assert [source.versions for source in recipe.train] == [2, 2, 1]
    assert recipe.encoder.block == name.partition("-")[0]


def test_a_finished_shape_is_not_run_again_and_a_longer_one_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    trained = []

    def train(name: str, arguments: argparse.Namespace) -> dict | None:
        trained.append((name, arguments.steps))
        errors = {"dev_phone_error_rate": {"all": 0.5}, "test_phone_error_rate": {"all": 0.25}}
        return None if name == "squeeze" else {"train_hours": 1.0, "wall_s": 2, **errors}

    cost = {"parameters": 1_700_000, "whole_ms": 0.7, "whole_ratio": 1.0, "cut_ms": 0.5, "cut_ratio": 1.0}
    monkeypatch.setattr(architectures, "train", train)
    monkeypatch.setattr(architectures, "measure", lambda rounds: dict.fromkeys(SHAPES, cost))
    results = tmp_path / "rows.jsonl"
    arguments = argparse.Namespace(
        work=tmp_path, root=None, steps=20, only=["separable", "squeeze"], rounds=1, set=[], results=results
    )
    assert not architectures.run(arguments)
    assert trained == [("separable", 20), ("squeeze", 20)]
    assert not architectures.run(arguments)
    assert trained[2:] == [("squeeze", 20)]
    arguments.steps, arguments.only = 30, ["separable"]
    assert architectures.run(arguments)
    assert trained[3:] == [("separable", 30)]
    rows = [json.loads(line) for line in results.read_text("utf-8").splitlines()]
    assert [row["config_hash"] for row in rows] == [config_hash(recipe_of("separable", n)) for n in (20, 30)]
    assert list(architectures.table(rows, trained=True))[2:] == [
        f"| separable: 10 × 192, separable | 1.70 | 0.700 (× 1.00) | 0.500 (× 1.00) | {steps} | 50.0 | 25.0 |"
        for steps in (20, 30)
    ]
