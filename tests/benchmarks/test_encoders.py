"""The encoder that ships is what its recipe makes."""

from __future__ import annotations

import json
from pathlib import Path

from kws.config import load_config, read_yaml
from kws.encoders.registry import load_encoder
from kws.encoders.sources.embedded_weights import ASSETS, load_recognizer
from kws.encoders.truncate import num_parameters
from kws.pretraining.config import PretrainConfig

REPOSITORY = Path(__file__).parents[2]
RECIPE = "embedded_taught.yaml"


def test_what_ships_is_what_its_recipe_makes_and_small_enough():
    made = load_config(PretrainConfig, read_yaml(ASSETS / "config.yaml"))
    recipe = load_config(PretrainConfig, read_yaml(REPOSITORY / "kws" / "recipes" / RECIPE))
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
    encoder = load_recognizer(ASSETS).encoder
    metrics = json.loads((ASSETS / "metrics.json").read_text("utf-8"))
    assert num_parameters(encoder) == metrics["parameters"] <= 2_000_000
    assert (ASSETS / "weights.safetensors").stat().st_size <= 8 * 2**20
    assert load_encoder("embedded", ASSETS).info.lookahead_samples <= 0.16 * 16_000
