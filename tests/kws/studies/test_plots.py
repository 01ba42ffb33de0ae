"""`kws.studies.plots`: what stands in a picture is whole, and no two choices look the same."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text

from kws.evaluation.palette import colors
from kws.studies.compare import behind_best
from kws.studies.grid import Cell
from kws.studies.plots import _square_root_scale, intervals_figure, misses_figure
from kws.studies.recipe import CONTROL
from kws.studies.results import StudyResults
from tests.support.studies import cell_result, study_of

LONG = "all layers near the source by feature matching and distillation, number {}"


def wide_study(num_choices: int, numbers: Sequence[int] = (5, 10, 25, 50), name: str = LONG) -> StudyResults:
    """A study of many choices, each of which misses another number of clips."""
    choices = [*(name.format(number) for number in range(num_choices)), CONTROL]
    return study_of(
        {
            Cell(choice, "tone", number, 0): cell_result({"clean": range(index % 10), "noise 10 dB": [0]})
            for index, choice in enumerate(choices)
            for number in numbers
        }
    )


def outside(figure: Figure) -> list[str]:
    """Return the texts of a figure that are not whole within it."""
    figure.draw_without_rendering()
    whole = figure.bbox.padded(1)
    found = []
    for text in figure.findobj(Text):
        if text.get_visible() and text.get_text().strip():
            box = text.get_window_extent()
            if not (whole.x0 <= box.x0 and whole.y0 <= box.y0 and box.x1 <= whole.x1 and box.y1 <= whole.y1):
                found.append(text.get_text())
    return found


@pytest.mark.parametrize(
    ("choices", "numbers"), [(24, (5, 10, 25, 50)), (1, (5,)), (2, (0, 5, 10, 25, 50, 100))]
)
def test_every_label_stands_whole_in_the_picture(choices: int, numbers: Sequence[int]):
    study = wide_study(choices, numbers)
    assert outside(misses_figure(study)) == []
    label = "points more missed than by the best choice (blue: the interval holds zero or less)"
    figure = intervals_figure(
        study, behind_best(study), "How far behind?", label, lambda gain: not gain.positive
    )
    assert figure is not None and outside(figure) == []


@pytest.mark.parametrize("number", [1, 7, 12, 31, 40])
def test_no_two_choices_have_the_same_color(number: int):
    found = colors(number)
    assert len(found) == number
    apart = [np.abs(np.subtract(one, other)).max() for n, one in enumerate(found) for other in found[:n]]
    assert not apart or min(apart) > 0.03


def test_lines_differ_in_color_and_the_legend_covers_no_data():
    figure = misses_figure(wide_study(14, name="choice {}"))
    figure.draw_without_rendering()
    lines = [line for line in figure.axes[0].get_lines() if line.get_markersize() == 5]
    drawn = {(to_rgb(line.get_color()), line.get_marker()) for line in lines}
    assert len({color for color, _ in drawn}) == len({marker for _, marker in drawn}) == 15
    legend = figure.legends[0].get_window_extent()
    assert all(not legend.overlaps(axes.get_window_extent()) for axes in figure.axes)


def test_all_recordings_that_are_as_many_as_another_number_share_its_label():
    cells = {
        Cell("head", "tone", number, 0): cell_result({"clean": [1]}, num_recordings=25)
        for number in (5, 25, "all")
    }
    (axes,) = misses_figure(study_of(cells)).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["5", "25 = all"]


@pytest.mark.parametrize(
    ("limits", "shown"), [((-5.0, 20.0), [-4, -1, 0, 1, 4, 9, 16]), ((-5.0, 70.0), [-4, 0, 4, 16, 60])]
)
def test_numbers_of_a_wide_panel_stand_apart(limits: tuple[float, float], shown: list[int]):
    axes = Figure().subplots()
    axes.set_xlim(limits)
    _square_root_scale(axes)
    assert list(axes.get_xticks()) == shown and axes.get_xlim() == pytest.approx(limits)
