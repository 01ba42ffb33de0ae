"""Recipes of studies: the grid that they mean, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from kws.config import load_config
from kws.errors import ConfigError
from kws.evaluation.protocol import TestProtocol
from kws.studies.grid import Cell, cells
from kws.studies.recipe import CONTROL, ChoiceConfig, SettingsConfig, StudyConfig, load_study

RECIPE: dict[str, Any] = {
    "keywords": [{"keyword": "a b", "train": ["train"], "test": ["test"]}],
    "negatives": ["speech"],
    "test_negatives": ["other"],
    "recordings": [5, "all"],
    "choices": {"head": {"policy": "head"}, "wide": {"policy": "all", "recordings": [10]}},
}


def study(**changes: Any) -> StudyConfig:
    config = load_config(StudyConfig, {**RECIPE, **changes}, "study.yaml")
    config.all_choices()
    return config


def test_the_grid_goes_from_few_to_all_and_the_control_is_in_it():
    assert [cell.name for cell in cells(study(seeds=[3, 1]))][:6] == [
        "a_b-5-head-3",
        "a_b-5-scratch-3",
        "a_b-10-wide-3",
        "a_b-10-scratch-3",
        "a_b-all-head-3",
        "a_b-all-scratch-3",
    ]
    assert len(cells(study(seeds=[3, 1]))) == 12
    assert [cell.count for cell in cells(study()) if cell.choice == "head"] == [5, None]


def test_the_control_can_be_smaller_or_switched_off():
    few = [cell.recordings for cell in cells(study(control_recordings=["all"])) if cell.choice == CONTROL]
    assert few == ["all"]
    assert all(cell.choice != CONTROL for cell in cells(study(control=False)))
    assert study(control=False, choices={CONTROL: {"policy": "scratch"}}).all_choices()


def test_settings_of_a_choice_lie_over_common_ones_key_by_key():
    common = SettingsConfig(depth=4, policy="late", set={"train.epochs": 2, "train.loss": "focal"})
    settings = ChoiceConfig(policy="all", set={"train.epochs": 9}, recordings=(5,)).over(common)
    assert settings == SettingsConfig(policy="all", depth=4, set={"train.epochs": 9, "train.loss": "focal"})
    assert settings.given() == {"policy": "all", "depth": 4}


def test_names_of_cells_can_be_names_of_files():
    assert Cell("l2 1/10", "hey, you/there", 5, 0).name == "hey_you_there-5-l2_1_10-0"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"recording": [5]}, "study.yaml: unknown key `recording`; did you mean `recordings`?"),
        (
            {"choices": {"head": {"polcy": "head"}}},
            "choices.head: unknown key `polcy`; did you mean `policy`",
        ),
        ({"choices": {}, "control": False}, "choices: is empty and there is no control"),
        ({"choices": {"scratch": {}}}, "choices.scratch: is the name of the control"),
        (
            {"recordings": [5, "al"]},
            "recordings: got 'al', allowed: whole numbers from 0, or all; did you mean",
        ),
        ({"recordings": [-1]}, "recordings: got -1, allowed: whole numbers from 0"),
        ({"recordings": [5, 5]}, "recordings: got 5, 5; give each once"),
        ({"recordings": []}, "recordings: is empty; give one or more"),
        ({"choices": {"a": {"recordings": [2.5]}}}, "recordings: got 2.5"),
        ({"seeds": [1, 1]}, "seeds: got 1, 1; give each once"),
        ({"compared_at": 3.0}, "compared_at: got 3, allowed: one of the rates, all above 0: 0.5, 1, 2"),
        ({"keywords": [{"keyword": "a", "train": ["x"]}]}, "a: give either `test`, of which conditions"),
        (
            {"keywords": [{"keyword": "a", "train": ["x"], "test_conditions": {"clean": 3}}]},
            "test_conditions.clean: got 3, expected a path",
        ),
        (
            {
                "keywords": [
                    {"keyword": "a", "train": ["x"], "test_conditions": {"clean": "y"}},
                    {"keyword": "b", "train": ["x"], "test": ["y"]},
                ]
            },
            "give every keyword the same `test_conditions`",
        ),
        ({"protocol": {"conditions": {}}}, "protocol.conditions: is empty"),
        ({"choices": {"a": {"others": "beside"}}}, "others: got 'beside', allowed: together, before"),
        ({"choices": {"a": {"others": "before"}}}, "choices.a.others: the study has one keyword"),
        ({"choices": {"a": {"enroll": "sounds"}}}, "enroll: got 'sounds', allowed: phones, examples"),
        ({"choices": {"a": {"enroll": "phones", "head": "gru"}}}, "head: nothing is trained with `enroll`"),
        ({"choices": {"a": {"enroll": "phones", "set": {"x": 1}}}}, "set: nothing is trained with `enroll`"),
        (
            {"choices": {"a": {"enroll": "phones", "others": "before"}}},
            "others: nothing is trained with `enroll`; leave it out",
        ),
        (
            {"choices": {"a": {"enroll": "phones", "target_audio": ["rooms"]}}},
            "target_audio: nothing is trained with `enroll`; leave it out",
        ),
        (
            {"choices": {"a": {"enroll": "words", "recordings": [0, 5]}}},
            "recordings: enroll words takes none; give `recordings: [0]`",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(changes: dict[str, Any], message: str):
    with pytest.raises(ConfigError, match=re.escape(message)):
        study(**changes)


def test_a_recipe_is_a_file_and_can_be_overridden(tmp_path: Path):
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(RECIPE))
    config = load_study(path, {"seeds": [7]})
    assert config.seeds == (7,) and config.condition_names() == (
        "clean",
        "noise 10 dB",
        "room and noise 5 dB",
    )
    with pytest.raises(ConfigError, match=r"study\.yaml\.seeds\[0\]: expected int, got 'x'"):
        load_study(path, {"seeds": ["x"]})


def test_keys_of_an_older_recipe_are_those_of_its_protocol(tmp_path: Path):
    path = tmp_path / "study.yaml"
    older = {"conditions": {"clean": {}}, "copies": {"fast": {"speed": 0.1}}, "test_seed": 7}
    path.write_text(yaml.safe_dump({**RECIPE, **older, "after_silence": False}))
    protocol = TestProtocol(conditions={"clean": {}}, copies={"fast": {"speed": 0.1}}, seed=7)
    assert load_study(path).protocol == protocol and protocol.lead_s > 0
    assert load_study(path, {"protocol": {"seed": 8}}).protocol.seed == 8
