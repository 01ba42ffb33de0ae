"""Gains, their intervals and the recordings saved, against values worked by hand or by another road."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from kws.studies.compare import (
    all_gains,
    behind_best,
    gain_lines,
    gain_over,
    gain_warnings,
    paired_gain,
    savings,
)
from kws.studies.grid import Cell
from kws.studies.recipe import CONTROL
from kws.studies.results import NOT_TRAINED
from kws.studies.tables import points_table
from tests.support.studies import cell_result, study_of


def each_alone(number: int) -> list[str]:
    return [f"clip {index}" for index in range(number)]


def test_a_gain_of_every_clip_has_no_width():
    gain = paired_gain({"a": np.ones((2, 5)), "b": np.ones((1, 3))}, {"a": each_alone(5), "b": each_alone(3)})
    assert (gain.value, gain.low, gain.high) == pytest.approx((1.0, 1.0, 1.0))
    assert (gain.num_pairs, gain.num_units) == (3, 8) and gain.positive


def test_the_interval_of_one_run_is_that_of_a_binomial():
    # one run, 40 clips of which 10 are gained: a resample gains Binomial(40, 1/4) / 40
    difference = np.zeros((1, 40))
    difference[0, :10] = 1
    gain = paired_gain({"a": difference}, {"a": each_alone(40)})
    exact = stats.binom.ppf([0.025, 0.975], 40, 0.25) / 40
    assert gain.value == 0.25
    assert (gain.low, gain.high) == pytest.approx(exact, abs=1 / 40)
    assert gain.low == pytest.approx(0.125, abs=0.026) and gain.high == pytest.approx(0.4, abs=0.026)


def test_clips_of_one_speaker_are_drawn_together():
    # two speakers of 20 clips, one gains all and one none: 0, 1/2 or 1 with 1/4, 1/2, 1/4
    difference = np.concatenate([np.ones(20), np.zeros(20)])[None]
    people = ["anna"] * 20 + ["bert"] * 20
    together = paired_gain({"a": difference}, {"a": people})
    assert (together.value, together.low, together.high, together.num_units) == (0.5, 0.0, 1.0, 2)
    apart = paired_gain({"a": difference}, {"a": each_alone(40)})
    assert 0.3 < apart.low and apart.high < 0.7


def test_runs_are_drawn_too():
    # two runs, one gains everything and one nothing, for every clip: clips alone would give no width
    difference = np.stack([np.ones(30), np.zeros(30)])
    gain = paired_gain({"a": difference}, {"a": each_alone(30)})
    assert (gain.value, gain.low, gain.high) == (0.5, 0.0, 1.0)


def test_speakers_with_more_clips_weigh_more():
    difference = np.array([[1.0, 1.0, 1.0, 0.0]])
    gain = paired_gain({"a": difference}, {"a": ["anna"] * 3 + ["bert"]})
    assert gain.value == 0.75


def test_misses_are_subtracted_clip_by_clip_and_averaged_over_conditions():
    ours = cell_result({"clean": [0], "noise": [0, 1]})
    theirs = cell_result({"clean": [0, 1, 2], "noise": [0, 1, 2, 3, 4, 5]})
    unpaired = cell_result({"clean": range(10), "noise": range(10)}, seed=1)
    study = study_of(
        {
            Cell("head", "tone", 5, 0): ours,
            Cell("head", "tone", 5, 1): unpaired,  # the control has no run of this seed
            Cell(CONTROL, "tone", 5, 0): theirs,
        }
    )
    gain = gain_over(study, "head", CONTROL, 5)
    assert gain is not None and gain.value == pytest.approx((0.2 + 0.4) / 2) and gain.num_pairs == 1
    noise = gain_over(study, "head", CONTROL, 5, "noise")
    assert noise is not None and noise.value == pytest.approx(0.4)
    back = gain_over(study, CONTROL, "head", 5)
    assert back is not None and back.value == -gain.value
    assert gain_over(study, "head", CONTROL, 10) is None


def test_gains_over_any_choice_are_told_by_number_with_the_runs_that_both_have():
    study = study_of(
        {
            Cell("late", "tone", 5, 0): cell_result({"clean": [0, 1]}),
            Cell("late", "tone", 5, 1): cell_result({"clean": [0, 1]}, seed=1),
            Cell("late", "tone", 10, 0): cell_result({"clean": []}),
            Cell("head", "tone", 5, 0): cell_result({"clean": [0]}),
            Cell("head", "tone", 5, 1): cell_result({"clean": [1]}, seed=1),
            Cell("early", "tone", 5, 0): cell_result({"clean": range(5)}),
            Cell("alone", "tone", 25, 0): cell_result({"clean": []}),
        },
        num_runs=2,
    )
    found = all_gains(study, "late")
    assert list(found) == ["head", "early"]  # the one itself, and one with no number in common, say nothing
    assert found["head"].keys() == {5} and found["head"][5].value == pytest.approx(0.1)
    header, rows = points_table(study, found)
    assert header == ["choice", "5 recordings", "10 recordings", "25 recordings"]
    assert rows == [
        ["head", str(found["head"][5]), "–", "–"],
        ["early", f"{found['early'][5]} (1)", "–", "–"],  # one of two runs is finished
    ]
    assert rows[1][1].startswith("-30.0 [")


def test_cells_of_one_draw_are_held_against_each_other_whatever_machine_trained_them():
    study = study_of(
        {
            Cell("late", "tone", 5, 0): cell_result({"clean": range(5)}, precision="bf16-mixed"),
            Cell("head", "tone", 5, 0): cell_result({"clean": range(1)}, precision="32-true"),
            Cell("typed", "tone", 5, 0): cell_result({"clean": range(7)}, precision=NOT_TRAINED),
        }
    )
    found = all_gains(study, "late")
    assert {name: gains[5].value for name, gains in found.items()} == pytest.approx(
        {"head": 0.4, "typed": -0.2}
    )


def test_a_gain_that_is_not_positive_is_a_warning():
    study = study_of(
        {
            Cell("good", "tone", 5, 0): cell_result({"clean": []}),
            Cell("same", "tone", 5, 0): cell_result({"clean": range(9)}),
            Cell("slight", "tone", 5, 0): cell_result({"clean": range(1, 9)}),
            Cell(CONTROL, "tone", 5, 0): cell_result({"clean": range(9)}),
        }
    )
    good, same, slight = gain_lines(study)
    assert good.startswith("good, 5 recordings: +90.0 [+70.0, +100.0] points fewer missed than from scratch")
    assert same == (
        "WARNING: same, 5 recordings: +0.0 [+0.0, +0.0] points fewer missed than from scratch: transfer "
        "gained nothing here"
    )
    assert slight.startswith("WARNING: slight") and slight.endswith("is not shown to be above zero")


def test_warnings_of_a_choice_are_told_together():
    missed = {5: 9, 10: 9, 25: 8, 50: 0}
    study = study_of(
        {Cell("late", "tone", number, 0): cell_result({"clean": range(n)}) for number, n in missed.items()}
        | {Cell(CONTROL, "tone", number, 0): cell_result({"clean": range(9)}) for number in missed}
    )
    assert gain_warnings(study) == [
        "WARNING: late, 5, 10 recordings: transfer gained nothing here",
        "WARNING: late, 25 recordings: the gain is not shown to be above zero",
    ]


def test_the_saving_is_the_fewest_recordings_that_do_what_scratch_does_with_most():
    def row(missed: int, recordings: int) -> object:
        return cell_result({"clean": range(missed)}, num_recordings=recordings)

    study = study_of(
        {
            Cell("late", "tone", 5, 0): row(5, 5),
            Cell("late", "tone", 10, 0): row(4, 10),
            Cell("late", "tone", "all", 0): row(1, 80),
            Cell("bad", "tone", 10, 0): row(6, 10),
            Cell("spoken", "tone", 0, 0): row(4, 0),
            Cell(CONTROL, "tone", 10, 0): row(8, 10),
            Cell(CONTROL, "tone", "all", 0): row(4, 80),
        }  # type: ignore[arg-type]
    )
    spoken, late, bad = savings(study)
    assert str(spoken).startswith("spoken: with 0 (40.0 %) no more is missed than by scratch with all")
    assert str(spoken).endswith(": no recordings but synthetic ones")
    assert (late.recordings, late.factor) == (10, 8.0)
    assert str(late) == (
        "late: with 10 (40.0 %) no more is missed than by scratch with all (40.0 %): "
        "8.0 times fewer recordings"
    )
    assert bad.recordings is None and str(bad).startswith("bad: misses more than scratch with all (40.0 %)")


def test_every_choice_is_held_against_the_one_that_misses_least_with_as_many_recordings():
    missed = {
        ("head", 5): range(1),
        ("late", 5): range(7),
        (CONTROL, 5): [],
        ("head", 10): range(4),
        ("late", 10): range(3),
        ("early", 10): range(3, 6),
    }
    study = study_of(
        {Cell(choice, "tone", number, 0): cell_result({"clean": m}) for (choice, number), m in missed.items()}
    )
    found = behind_best(study)
    assert list(found) == ["head", "late", "early"]
    values = {choice: {n: gain.value for n, gain in gains.items()} for choice, gains in found.items()}
    assert values == {
        "head": {5: 0.0, 10: pytest.approx(0.1)},
        "late": {5: pytest.approx(0.6), 10: 0.0},
        "early": {10: 0.0},
    }
    assert found["late"][5].positive and not found["head"][10].positive
    assert found["early"][10].low < 0 < found["early"][10].high  # other clips: as many, and not told apart
    assert found["late"][10].low == found["late"][10].high == 0


def test_one_cell_that_is_not_finished_yet_makes_no_other_choice_the_best():
    misses = {"late": [[0], [0], [0, 1, 2]], "head": [[], []]}  # with the third draw, `late` misses more
    study = study_of(
        {
            Cell(choice, "tone", 5, seed): cell_result({"clean": missed})
            for choice, draws in misses.items()
            for seed, missed in enumerate(draws)
        }
    )
    assert behind_best(study)["head"][5].value == 0
    assert behind_best(study)["late"][5].value == pytest.approx(0.1)


def test_the_best_is_one_of_those_with_most_cells():
    cells = {("late", 0): [0], ("late", 1): [0], ("head", 0): []}
    study = study_of(
        {Cell(choice, "tone", 5, seed): cell_result({"clean": m}) for (choice, seed), m in cells.items()}
    )
    assert behind_best(study)["late"][5].value == 0
    assert behind_best(study)["head"][5].value == pytest.approx(-0.1)
