"""The recipes with every key: as the classes say, and the same run as without a recipe."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from kws.workflows.enroll.config import EnrollConfig
from kws.workflows.enroll.request import read_config
from kws.workflows.train.request import TrainRequest, read_overrides, read_settings, resolve
from tests.support.recipes import HEADS, RECIPES, documented, written


@pytest.mark.parametrize("name", HEADS)
def test_a_recipe_holds_what_the_classes_say(name: str):
    """`python -m tests.support.recipes` writes both anew."""
    assert (RECIPES / name).read_text("utf-8") == written(name)


def test_the_recipe_of_training_is_the_run_without_one():
    identities = set()
    for config in (None, RECIPES / "train.yaml"):
        model, train = read_settings(["hey robot"], read_overrides(config, []))
        identities.add(resolve(TrainRequest(("hey robot",), (), (), Path("run"), model, train)).identity)
    assert len(identities) == 1


def test_the_recipe_asks_an_earlier_run_for_nothing():
    assert read_overrides(RECIPES / "train.yaml", []).given() == ()


def test_the_recipe_of_enrollment_is_the_run_without_one():
    assert read_config(RECIPES / "enroll.yaml", []) == EnrollConfig()


def test_each_key_is_explained():
    for name in HEADS:
        lines = (RECIPES / name).read_text("utf-8").splitlines()
        for above, line in zip(lines, lines[1:], strict=False):
            if line and not line.lstrip().startswith("#") and line not in ("model: {}", "train:"):
                assert above.lstrip().startswith("#") or above.endswith(":"), line
        assert yaml.safe_load("\n".join(lines))
    assert documented(EnrollConfig)["dev_copies"].startswith("Augmented copies")
