"""Encoders kept beside the benchmarks: each can be trained on, and its recipe says how it was made."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kws.config import load_config, read_yaml
from kws.encoders.registry import load_encoder
from kws.encoders.sources.embedded_weights import load_recogniser
from kws.encoders.truncate import num_parameters
from kws.pretraining.config import PretrainConfig

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
RECIPES = {"taught": "encoder_taught.yaml"}
"""Of each encoder."""


def test_every_encoder_has_a_recipe():
    assert {folder.name for folder in (BENCHMARKS / "encoders").iterdir()} == RECIPES.keys()


@pytest.mark.parametrize("name", RECIPES)
def test_an_encoder_is_what_its_recipe_makes_and_small_enough_to_ship(name: str):
    folder = BENCHMARKS / "encoders" / name
    made = load_config(PretrainConfig, read_yaml(folder / "config.yaml"))
    recipe = load_config(PretrainConfig, read_yaml(BENCHMARKS / RECIPES[name]))
    for key in ("encoder", "steps", "batch_s", "learning_rate", "augment_strength", "consistency", "seed"):
        assert getattr(made, key) == getattr(recipe, key), key
    assert made.teacher is not None and recipe.teacher is not None
    assert made.teacher.layer == recipe.teacher.layer
    assert made.init is not None and not made.init.is_absolute() and not made.teacher.path.is_absolute()
    encoder = load_recogniser(folder).encoder
    metrics = json.loads((folder / "metrics.json").read_text("utf-8"))
    assert num_parameters(encoder) == metrics["parameters"] <= 2_000_000
    assert (folder / "weights.safetensors").stat().st_size <= 8 * 2**20
    assert load_encoder("embedded", folder).info.lookahead_samples <= 0.16 * 16_000
