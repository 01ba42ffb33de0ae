"""Finished cells on disk, and the tables made of them."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from kws.errors import ConfigError
from kws.studies import page, plots
from kws.studies.grid import Cell, cell_path
from kws.studies.recipe import CONTROL
from kws.studies.recommend import Recommendation, Verdict
from kws.studies.results import StudyResults, read_cell, write_cell
from kws.studies.tables import markdown, result_rows, summary_rows, summary_table, write_csv
from kws.transfer.auto import AutoStep, AutoTable
from tests.support.browser import axe, chromium, complaints, shown_on
from tests.support.studies import cell_result, study_of


def small_study():
    """Two choices and the control with 5, one of them with all, which are 80 and 90; 10 clips each."""
    return study_of(
        {
            Cell("head", "tone", 5, 0): cell_result({"clean": [1], "noise": [0, 1]}),
            Cell(CONTROL, "tone", 5, 0): cell_result({"clean": [0, 1, 2], "noise": [0, 1, 2, 3]}, moving=900),
            Cell("head", "tone", "all", 0): cell_result({"clean": [], "noise": [1]}, num_recordings=80),
            Cell("head", "word", "all", 0): cell_result(
                {"clean": [], "noise": [1, 2]}, num_recordings=90, keyword="word"
            ),
        }
    )


def test_a_cell_is_read_as_it_was_written(tmp_path: Path):
    result = cell_result({"clean": [0, 7]}, identity="abc")
    assert write_cell(tmp_path, result) == cell_path(tmp_path, "abc")
    assert read_cell(tmp_path, "abc") == result
    assert read_cell(tmp_path, "abd") is None
    assert [path.name for path in (tmp_path / "cells").iterdir()] == ["abc.json"]


def test_a_cell_of_an_older_version_is_read(tmp_path: Path):
    result = cell_result({"clean": [0, 2]}, clips=5)
    path = write_cell(tmp_path, result)
    path.write_text(path.read_text("utf-8").replace('"miss_counts"', '"readings"'), "utf-8")
    assert read_cell(tmp_path, result.identity) == result


def test_a_file_of_something_else_is_refused(tmp_path: Path):
    write_cell(tmp_path, cell_result({"clean": []}, identity="abc"))
    path = cell_path(tmp_path, "abd")
    path.write_text(cell_path(tmp_path, "abc").read_text())
    with pytest.raises(ConfigError, match=r"abd\.json: holds cell abc; remove the file"):
        read_cell(tmp_path, "abd")
    for text in ("{", "[]", '{"identity": "abd"}'):
        path.write_text(text)
        with pytest.raises(ConfigError, match=r"abd\.json: is no finished cell"):
            read_cell(tmp_path, "abd")


def test_misses_are_counted_over_keywords_and_seeds():
    study = small_study()
    assert study.recordings() == [5, "all"] and study.recordings(CONTROL) == [5]
    assert study.num_recordings(5) == 5 and study.num_recordings("all") == 85
    misses = study.misses("head", "all", "noise", 1.0)
    assert (misses.events, misses.trials, misses.rate) == (3, 20, 0.15)
    # Clopper-Pearson of 3 in 20, from tables
    assert (misses.low, misses.high) == pytest.approx((0.0321, 0.3789), abs=1e-4)
    assert study.mean_miss_rate("head", 5) == pytest.approx(0.15)


def test_tables_hold_a_row_per_cell_and_per_choice(tmp_path: Path):
    study = small_study()
    with write_csv(tmp_path / "results.csv", list(result_rows(study))).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["choice"] for row in rows] == ["head", CONTROL, "head", "head"]
    first = rows[0]
    assert (first["missed, noise at 1/h"], first["clips, noise at 1/h"]) == ("2", "10")
    assert (first["threshold, clean at 1/h"], first["false accepts, clean at 1/h"]) == ("0.5", "2")
    assert (first["negative_hours"], first["moving_parameters"]) == ("2.0", "100")
    assert (first["config_hash"], first["cell"]) == ("fedcba987654", "0123456789ab")
    with write_csv(tmp_path / "summary.csv", list(summary_rows(study))).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["recordings"], row["choice"], row["cells"]) for row in rows] == [
        ("5", "head", "1"),
        ("5", CONTROL, "1"),
        ("all", "head", "2"),
    ]
    assert float(rows[0]["gain, mean of conditions at 1/h"]) == pytest.approx(0.2)
    assert float(rows[0]["gain, clean at 1/h"]) == pytest.approx(0.2)
    assert rows[1]["gain, clean at 1/h"] == rows[2]["gain, clean at 1/h"] == ""


def test_the_markdown_table_shows_exact_intervals_and_the_gain():
    lines = markdown(*summary_table(small_study()))
    assert lines[0].startswith(
        "| recordings | choice | cells | clean, 1 FA/h | noise, 1 FA/h | gain over scratch"
    )
    assert lines[2].startswith("| 5 | head | 1 | 10.0 (0.3–44.5) | 20.0 (2.5–55.6) | +20.0 [")
    assert len(lines) == 5 and all(line.count("|") == lines[0].count("|") for line in lines)


def test_a_choice_with_few_numbers_of_recordings_has_no_line_beside_those_with_more():
    def finished(numbers: dict[str, tuple[int, ...]]) -> StudyResults:
        cells = {
            Cell(choice, "tone", number, 0): cell_result({"clean": [1]})
            for choice, found in numbers.items()
            for number in found
        }
        return study_of(cells)

    numbers = {"a": (5, 10, 25, 50), "b": (0, 10, 50), "c": (0, 5, 10, 50)}
    assert plots.choices_with_lines(finished(numbers)) == ["a", "c"]
    assert plots.choices_with_lines(finished({"a": (5, 10), "b": (10,), "c": (10, 25)})) == ["a", "c"]


def small_page() -> str:
    """Return the page of a small study."""
    study = small_study()
    table = AutoTable((AutoStep(0, "head"),), "a study", "the rule <b>")
    found = Recommendation((Verdict(5, "head", "it is < others", AutoStep(0, "head")),), table)
    return page.render(
        study,
        plots.misses_by_recordings(study),
        plots.gains(study),
        plots.behind(study),
        against=["head"],
        warnings=["mind < this"],
        recommendation=found,
        compared=["all of them"],
        provenance={"study_hash": "1a2b"},
    )


def test_the_page_holds_everything_itself():
    study = small_study()
    pictures = {plots.misses_by_recordings(study), plots.gains(study), plots.behind(study)}
    assert len(pictures) == 3
    assert all(picture is not None and picture.startswith(b"\x89PNG") for picture in pictures)
    html = small_page()
    assert not re.search(r"https?://|<script|<link", html) and html.count("<img") == 3
    for text in ("mind &lt; this", "the rule &lt;b&gt;", "study hash", "1a2b", "+20.0 [", "“tone”, “word”"):
        assert text in html


@pytest.mark.slow
def test_the_page_can_be_read_by_everybody_in_light_and_dark_and_on_a_phone(tmp_path: Path):
    (tmp_path / "study.html").write_text(small_page(), encoding="utf-8")
    with chromium() as driver:
        driver.get((tmp_path / "study.html").as_uri())
        for dark, width in ((False, None), (True, None), (False, 360), (True, 360)):
            shown_on(driver, dark=dark, width=width)
            assert axe(driver) == []
            assert driver.execute_script("return document.documentElement.scrollWidth <= innerWidth")
        assert complaints(driver) == []


def test_without_a_control_there_is_no_picture_of_gains():
    study = study_of({Cell("head", "tone", 5, 0): cell_result({"clean": [1], "noise": [0]})})
    assert plots.gains(study) is None
    html = page.render(
        study,
        plots.misses_by_recordings(study),
        None,
        None,
        warnings=[],
        recommendation=Recommendation((Verdict(5, None, "nothing to compare"),), None),
        compared=[],
        provenance={},
    )
    assert "No policy is recommended" in html and "<td>nothing to compare</td>" in html
    assert "There is no control" in html and html.count("<img") == 1
