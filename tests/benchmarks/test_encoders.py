"""The encoder that ships and those kept beside the benchmarks: each is what its recipe makes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kws.config import load_config, read_yaml
from kws.encoders.registry import load_encoder
from kws.encoders.sources.embedded_weights import ASSETS, load_recognizer
from kws.encoders.truncate import num_parameters
from kws.pretraining.config import PretrainConfig

REPOSITORY = Path(__file__).parents[2]
KEPT = REPOSITORY / "benchmarks" / "encoders"
RECIPES = {ASSETS: "embedded_taught.yaml", KEPT / "second": "embedded_finish.yaml"}
"""Of each encoder."""


def test_every_encoder_has_a_recipe():
    assert {ASSETS, *KEPT.iterdir()} == RECIPES.keys()


@pytest.mark.parametrize("folder", RECIPES, ids=lambda folder: folder.name)
def test_an_encoder_is_what_its_recipe_makes_and_small_enough_to_ship(folder: Path):
    made = load_config(PretrainConfig, read_yaml(folder / "config.yaml"))
    recipe = load_config(PretrainConfig, read_yaml(REPOSITORY / "kws" / "recipes" / RECIPES[folder]))
    for key in (
        "encoder",
        "steps",
        "batch_s",
        "learning_rate",
        "augment_strength",
        "consistency",
        "teacher",
        "seed",
    ):
        assert getattr(made, key) == getattr(recipe, key), key
    assert [(source.manifest, source.weight) for source in made.train] == [
        (source.manifest, source.weight) for source in recipe.train
    ]
    assert made.init is not None and not made.init.is_absolute()
    encoder = load_recognizer(folder).encoder
    metrics = json.loads((folder / "metrics.json").read_text("utf-8"))
    assert num_parameters(encoder) == metrics["parameters"] <= 2_000_000
    assert (folder / "weights.safetensors").stat().st_size <= 8 * 2**20
    assert load_encoder("embedded", folder).info.lookahead_samples <= 0.16 * 16_000


def test_what_ships_began_with_the_encoder_that_shipped_before():
    made = load_config(PretrainConfig, read_yaml(ASSETS / "config.yaml"))
    assert made.init is not None and REPOSITORY / made.init == KEPT / "second"
