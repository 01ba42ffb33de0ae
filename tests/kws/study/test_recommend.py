"""From a table of misses to what `auto` takes for each number of recordings."""

from __future__ import annotations

import re

import pytest
import yaml

from kws.config import to_dict
from kws.errors import ConfigError
from kws.study.grid import Cell
from kws.study.recipe import load_study
from kws.study.recommend import best_choice, candidates_of, recommend
from kws.study.results import StudyResults
from kws.transfer.auto import AutoStep, load_auto
from tests.support.studies import cell_result, study_of

CHOICES = {
    "head": AutoStep(0, "head"),
    "late": AutoStep(0, "late"),
    "everything": AutoStep(0, "all", {"feature_matching": 1.0}),
}


def table(misses: dict[int | str, dict[str, int]], drawn: dict[str, int] | None = None) -> StudyResults:
    """A study that misses the first so many of 10 clips, by recordings and choice."""
    return study_of(
        {
            Cell(choice, "tone", recordings, 0): cell_result(
                {"clean": range(missed), "noise": range(missed)},
                num_recordings=(drawn or {}).get(str(recordings), 0) or int(recordings),
                policy=CHOICES[choice].policy,
            )
            for recordings, choices in misses.items()
            for choice, missed in choices.items()
        }
    )


def test_the_fewest_misses_win_and_what_was_kept_stays_where_nothing_is_shown_to_miss_less():
    study = table({5: {"head": 9, "late": 2, "everything": 1}})
    assert best_choice(study, 5, CHOICES) == "everything"
    assert best_choice(study, 5, CHOICES, "late") == "late"  # one clip of ten: nothing is shown
    assert best_choice(study, 5, CHOICES, "head") == "everything"
    assert best_choice(study, 5, ["head"]) == best_choice(study, 5, ["head"], "late") == "head"
    assert best_choice(study, 10, CHOICES, "late") is None


def test_the_table_starts_at_none_and_holds_only_changes():
    study = table(
        {
            5: {"head": 1, "late": 9},
            10: {"head": 1, "late": 9},
            25: {"head": 9, "late": 0, "everything": 9},
            50: {"late": 2, "everything": 1},
            "all": {"head": 9, "late": 9, "everything": 0},
        },
        {"all": 189},
    )
    found = recommend(study, CHOICES, "a study")
    assert found.policies == (
        AutoStep(0, "head"),
        AutoStep(25, "late"),
        AutoStep(189, "all", {"feature_matching": 1.0}),
    )
    assert found.source == "a study" and "fewest misses at 1 false accepts per hour" in found.rule


def test_what_is_not_wholly_finished_is_not_recommended():
    study = study_of({Cell("late", "tone", 5, 0): cell_result({"clean": []})}, num_runs=2)
    with pytest.raises(ConfigError, match="no choice is finished that sets a policy alone"):
        recommend(study, CHOICES, "a study")


def test_a_recommendation_is_what_auto_reads(tmp_path):
    path = tmp_path / "recommendation.yaml"
    found = recommend(
        table({5: {"head": 0, "everything": 9}, 50: {"head": 9, "everything": 0}}), CHOICES, "a study"
    )
    path.write_text(yaml.safe_dump(to_dict(found)))
    assert load_auto(path) == found
    assert load_auto(path).choose(49) == (AutoStep(0, "head"), "49 recordings are fewer than 50 (a study)")
    step, reason = load_auto(path).choose(50)
    assert reason == "50 recordings are at least 50 (a study)"
    assert (step.policy, step.regularizers, str(step)) == (
        "all",
        {"feature_matching": 1.0},
        "all with feature_matching 1",
    )


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ("{policy: auto}", "policies: auto cannot stand for itself"),
        ("{policy: lat}", "train.transfer.policy: got 'lat'"),
        ("{policy: all, regularizers: {l2: 1}}", "policies: regularizers: unknown key 'l2'"),
        ("{policy: all, regularizers: {l2_sp: 0}}", "policies: regularizers.l2_sp: got 0"),
        ("{policy: all, regularizers: {ewc: 1}}", "policies: regularizers: got ewc, allowed: those"),
        ("{policy: all, regularizers: {dann: 1}}", "policies: regularizers: got dann, allowed: those"),
        ("{policy: all, regularizers: {phones: 1}}", "policies: regularizers: got phones, allowed: those"),
    ],
)
def test_a_table_that_cannot_be_followed_is_refused(step: str, message: str, tmp_path):
    path = tmp_path / "auto.yaml"
    path.write_text(f"source: a study\npolicies: [{{recordings: 0, {step[1:]}]\n")
    with pytest.raises(ConfigError, match=re.escape(message)):
        load_auto(path)


def test_auto_can_stand_for_a_policy_and_terms_that_need_the_source_alone(tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        """
        keywords: [{keyword: tone, train: [a], test: [b]}, {keyword: beep, train: [a], test: [b]}]
        negatives: [c]
        test_negatives: [d]
        choices:
          late: {policy: late}
          auto: {policy: auto}
          matched: {policy: all, set: {train.regularizers: {feature_matching: 1}}}
          near: {policy: early, set: {train.regularizers.l2_sp: 0.5}}
          phones: {policy: all, set: {train.regularizers: {feature_matching: 1, phones: 1}}}
          slow: {policy: all, set: {train.learning_rate: 0.001}}
          shallow: {policy: all, depth: 2}
          pair: {policy: all, others: together}
          typed: {enroll: phones}
          unset: {}
        """
    )
    assert candidates_of(load_study(recipe)) == {
        "late": AutoStep(0, "late"),
        "matched": AutoStep(0, "all", {"feature_matching": 1.0}),
        "near": AutoStep(0, "early", {"l2_sp": 0.5}),
    }
