"""From a table of misses to what `auto` takes for each number of recordings."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from kws.config import to_dict
from kws.errors import ConfigError
from kws.studies.grid import Cell
from kws.studies.recipe import CONTROL, load_study
from kws.studies.recommend import candidates_of, judge, recommend, steps_of, what_counts
from kws.studies.results import StudyResults
from kws.transfer.auto import AutoStep, AutoTable, load_auto
from tests.support.studies import cell_result, study_of

CHOICES = {
    "head": AutoStep(0, "head"),
    "late": AutoStep(0, "late"),
    "everything": AutoStep(0, "all", {"feature_matching": 1.0}),
}


SHIPPED = AutoTable((AutoStep(0, "head"), AutoStep(20, "late")), "what ships")
"""In place of the table that ships."""


def step(name: str, recordings: int | str) -> AutoStep | None:
    """What ``auto`` takes for a choice."""
    return CHOICES.get(name)


def table(
    misses: Mapping[int | str, Mapping[str, int]], drawn: int = 0, seeds: int = 2, people: int = 20
) -> StudyResults:
    """A study that misses the first so many of 20 clips in each run, by recordings and choice."""
    cells = {
        Cell(choice, "tone", recordings, seed): cell_result(
            {"clean": range(missed), "noise": range(missed)},
            clips=20,
            num_recordings=recordings if isinstance(recordings, int) else drawn,
            seed=seed,
        )
        for recordings, choices in misses.items()
        for choice, missed in choices.items()
        for seed in range(seeds)
    }
    return study_of(cells, {"tone": [f"person {clip % people}" for clip in range(20)]}, num_runs=seeds)


def test_what_misses_least_is_recommended_where_every_other_choice_is_shown_to_miss_more():
    verdict = judge(table({5: {"head": 18, "late": 1, "everything": 12}}), 5, step, AutoStep(0, "head"))
    assert verdict.choice == "late"
    assert str(verdict) == (
        "5 recordings: late is recommended: 5.0 % missed, and every other choice is shown to miss more"
    )


def test_where_intervals_overlap_nothing_is_recommended_and_what_would_tell_is_said():
    study = table({5: {"head": 6, "late": 5, "everything": 5}})
    verdict = judge(study, 5, step, AutoStep(0, "head"))
    assert verdict.choice is None
    assert "late (25.0 % missed), everything (25.0 % missed) and head (30.0 % missed) cannot be" in str(
        verdict
    )
    assert "people and more `seeds` would tell" in str(verdict)
    found = recommend(study, step, "a study", SHIPPED)
    assert found.table is None and found.verdicts[0].choice is None


def test_more_data_are_asked_for_by_how_far_the_interval_is_too_wide():
    verdict = judge(table({5: {"late": 5, "head": 7}}), 5, step, AutoStep(0, "head"))
    assert verdict.choice is None
    assert re.search(r"about \d+ times as many people .* difference of 10.0 points", verdict.reason)


@pytest.mark.parametrize("other", ["auto", "enrolled", "longer", CONTROL])
def test_the_worst_of_a_table_is_never_recommended_whatever_the_others_are(other: str):
    study = table({5: {"late": 15, other: 2}})
    verdict = judge(study, 5, step, AutoStep(0, "head"))
    assert verdict.choice is None
    assert verdict.reason == (
        f"every choice but {other} (10.0 % missed) is shown to miss more, and `auto` cannot be that one"
    )
    assert recommend(study, step, "a study", SHIPPED).table is None


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["head", "late", "everything", "enrolled", "longer", CONTROL]),
            st.integers(0, 20),
            min_size=2,
        ),
        min_size=1,
        max_size=3,
    )
)
@settings(max_examples=25, deadline=None)
def test_no_table_makes_its_worst_choice_the_recommended_one(rows: list[dict[str, int]]):
    study = table({5 * (number + 1): row for number, row in enumerate(rows)})
    for row, verdict in zip(rows, recommend(study, step, "a study", SHIPPED).verdicts, strict=True):
        assert verdict.choice is None or row[verdict.choice] < max(row.values())


def test_what_is_measured_with_fewer_recordings_alone_is_compared_too():
    study = table({0: {"typed": 2}, 5: {"late": 9, "head": 19}})
    verdict = judge(study, 5, step, AutoStep(0, "head"))
    assert verdict.choice is None and "every choice but typed with 0 (10.0 % missed)" in verdict.reason


@pytest.mark.parametrize(
    ("seeds", "people", "reason"),
    [
        (1, 20, "more `seeds` would tell: one run of each"),
        (2, 5, "test clips of 6 or more people would tell"),
    ],
)
def test_one_run_or_few_people_tell_nothing(seeds: int, people: int, reason: str):
    study = table({5: {"late": 0, "head": 20}}, seeds=seeds, people=people)
    verdict = judge(study, 5, step, AutoStep(0, "head"))
    assert verdict.choice is None and reason in verdict.reason
    assert judge(table({5: {"late": 0, "head": 20}}), 5, step, AutoStep(0, "head")).choice == "late"


def test_one_choice_alone_is_compared_with_nothing():
    verdict = judge(table({5: {"late": 0}}), 5, step, AutoStep(0, "head"))
    assert verdict.choice is None and "only late is finished, there is nothing to compare it with" in str(
        verdict
    )


def test_what_is_taken_otherwise_gives_way_where_it_is_shown_to_miss_more():
    study = table({5: {"head": 18, "late": 2, "everything": 3}})
    verdict = judge(study, 5, step, AutoStep(0, "head"))
    assert verdict.choice == "late"
    assert verdict.reason == (
        "head, taken otherwise, is shown to miss more; "
        "late (10.0 % missed) and everything (15.0 % missed) cannot be told apart"
    )
    assert judge(study, 5, step, AutoStep(0, "early")).choice is None


def test_the_table_holds_changes_and_what_ships_where_nothing_is_recommended():
    study = table(
        {
            5: {"late": 1, "head": 18, "everything": 17},
            10: {"late": 10, "head": 9},  # not told apart: late stays
            25: {"head": 19, "late": 5, "everything": 4, "enrolled": 0},  # the best can not be taken
            "all": {"head": 19, "late": 19, "everything": 0},
        },
        drawn=189,
    )
    found = recommend(study, step, "a study", SHIPPED)
    assert [verdict.choice for verdict in found.verdicts] == ["late", None, None, "everything"]
    assert "late, recommended with fewer recordings, stays for `auto`" in found.verdicts[1].reason
    assert found.table is not None and found.table.policies == (
        AutoStep(0, "late"),
        AutoStep(189, "all", {"feature_matching": 1.0}),
    )
    assert found.table.source == "a study" and "tells it from every other one" in found.table.rule
    first = recommend(table({5: {"late": 1}, 50: {"everything": 0, "late": 19}}), step, "a study", SHIPPED)
    assert first.table is not None and [(s.recordings, str(s)) for s in first.table.policies] == [
        (0, "head"),
        (20, "late"),
        (50, "all with feature_matching 1"),
    ]


def test_what_is_not_wholly_finished_is_not_compared():
    study = study_of({Cell("late", "tone", 5, 0): cell_result({"clean": []})}, num_runs=2)
    found = recommend(study, step, "a study", SHIPPED)
    assert found.table is None and "no choice is wholly finished" in found.verdicts[0].reason


def test_a_recommendation_is_what_auto_reads(tmp_path):
    path = tmp_path / "recommendation.yaml"
    rows = {5: {"head": 0, "everything": 19}, 50: {"head": 19, "everything": 0}}
    found = recommend(table(rows), step, "a study", SHIPPED).table
    assert found is not None
    path.write_text(yaml.safe_dump(to_dict(found)))
    assert load_auto(path) == found
    assert load_auto(path).choose(49) == (AutoStep(0, "head"), "49 recordings are fewer than 50 (a study)")
    taken, reason = load_auto(path).choose(50)
    assert reason == "50 recordings are at least 50 (a study)"
    assert (taken.policy, taken.regularizers, str(taken)) == (
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


RECIPE = """
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


def test_auto_can_stand_for_a_policy_and_terms_that_need_the_source_alone(tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE)
    assert candidates_of(load_study(recipe)) == {
        "late": AutoStep(0, "late"),
        "matched": AutoStep(0, "all", {"feature_matching": 1.0}),
        "near": AutoStep(0, "early", {"l2_sp": 0.5}),
    }


def test_which_choices_can_win_but_not_be_recommended_is_said(tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE)
    study = table(
        {5: dict.fromkeys(["late", "slow", "shallow", "pair", "typed", "unset", "phones", CONTROL], 1)}
    )
    line, *more = what_counts(load_study(recipe), study)
    assert line.startswith("every finished choice is compared; `auto` cannot be ") and not more
    for told in (
        "slow (sets train.learning_rate)",
        "shallow (sets depth)",
        "pair (trains other keywords too)",
        "typed (is `kws enroll`, not training)",
        "unset (names no policy)",
        "scratch (trains from random weights)",
    ):
        assert told in line
    half = study_of({Cell("late", "tone", 5, 0): cell_result({"clean": []})}, num_runs=2)
    assert what_counts(load_study(recipe), half)[1:] == [
        "not compared, as not all their runs are finished: late with 5 (1 of 2)"
    ]


def test_auto_counts_as_what_it_stood_for(tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE)
    study = table({3: {"auto": 1, "late": 18}, 10: {"auto": 1, "matched": 1, "late": 18}})
    steps = steps_of(load_study(recipe), study)
    assert steps("auto", 3) == AutoStep(0, "head")
    assert steps("auto", 10) == steps("matched", 10) == AutoStep(0, "all", {"feature_matching": 1.0})
    assert judge(study, 3, steps, AutoStep(0, "head")).choice == "auto"
    assert judge(study, 10, steps, AutoStep(0, "head")).choice == "matched"  # and auto is no second choice
