"""From a table of misses to a policy for each number of recordings."""

from __future__ import annotations

import pytest
import yaml

from kws.config import to_dict
from kws.errors import ConfigError
from kws.study.grid import Cell
from kws.study.recommend import best_policy, recommend
from kws.study.results import StudyResults
from kws.transfer.auto import AutoStep, load_auto
from tests.support.studies import cell_result, study_of

POLICIES = {"head": "head", "late": "late", "everything": "all"}
MOVING = {"head": 10, "late": 300, "everything": 900}


def table(misses: dict[int | str, dict[str, int]], drawn: dict[str, int] | None = None) -> StudyResults:
    """A study that misses the first so many of 10 clips, by recordings and choice."""
    return study_of(
        {
            Cell(choice, "tone", recordings, 0): cell_result(
                {"clean": range(missed), "noise": range(missed)},
                num_recordings=(drawn or {}).get(str(recordings), 0) or int(recordings),
                policy=POLICIES[choice],
                moving=MOVING[choice],
            )
            for recordings, choices in misses.items()
            for choice, missed in choices.items()
        }
    )


def test_the_fewest_misses_win_where_the_interval_shows_it():
    study = table({5: {"head": 9, "late": 2, "everything": 1}})
    assert best_policy(study, 5, POLICIES) == "late"  # one clip apart from the best: the cheaper one
    study = table({5: {"head": 9, "late": 8, "everything": 1}})
    assert best_policy(study, 5, POLICIES) == "everything"
    assert best_policy(study, 5, ["head"]) == "head"
    assert best_policy(study, 10, POLICIES) is None


def test_equal_misses_go_to_what_moves_least():
    study = table({5: {"everything": 3, "late": 3, "head": 3}})
    assert best_policy(study, 5, POLICIES) == "head"


def test_the_table_starts_at_none_and_holds_only_changes():
    study = table(
        {
            5: {"head": 1, "late": 9},
            10: {"head": 1, "late": 9},
            25: {"head": 9, "late": 0, "everything": 9},
            "all": {"head": 9, "late": 9, "everything": 0},
        },
        {"all": 189},
    )
    found = recommend(study, POLICIES, "a study")
    assert found.policies == (AutoStep(0, "head"), AutoStep(25, "late"), AutoStep(189, "all"))
    assert found.source == "a study" and "fewest misses at 1 false accepts per hour" in found.rule


def test_what_is_not_wholly_finished_is_not_recommended():
    study = study_of({Cell("late", "tone", 5, 0): cell_result({"clean": []})}, num_runs=2)
    with pytest.raises(ConfigError, match="no choice that sets a policy alone is finished"):
        recommend(study, POLICIES, "a study")


def test_a_recommendation_is_what_auto_reads(tmp_path):
    path = tmp_path / "recommendation.yaml"
    found = recommend(table({5: {"head": 0, "late": 9}, 50: {"head": 9, "late": 0}}), POLICIES, "a study")
    path.write_text(yaml.safe_dump(to_dict(found)))
    assert load_auto(path) == found
    assert load_auto(path).choose(49) == ("head", "49 recordings are fewer than 50 (a study)")
    assert load_auto(path).choose(50) == ("late", "50 recordings are at least 50 (a study)")
