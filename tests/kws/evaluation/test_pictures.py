"""The DET picture: every operating point lies within its axes, and each condition has a line."""

from __future__ import annotations

from dataclasses import replace

import pytest
from matplotlib.colors import to_rgb
from matplotlib.text import Text

from kws.evaluation.intervals import hourly_rate, proportion
from kws.evaluation.metrics import DetPoint
from kws.evaluation.pictures import ORANGE, det_figure, groups_figure
from kws.evaluation.result import GroupResult, KeywordResult, OperatingResult

HOURS, CLIPS = 2.0, 50
CONDITIONS = ("noise 10 dB", "room and noise 5 dB", "a street in the rain behind two doors", "fan")


def point(threshold: float, missed: int, accepts: int) -> DetPoint:
    return DetPoint(threshold, proportion(missed, CLIPS), hourly_rate(accepts, HOURS))


def operating(
    name: str, target: float | None, threshold: float, missed: int, accepts: int
) -> OperatingResult:
    misses, false_accepts = proportion(missed, CLIPS), hourly_rate(accepts, HOURS)
    return OperatingResult(name, target, threshold, misses, false_accepts, None, (), None)


def result(stored: tuple[float, int, int], conditions: tuple[str, ...] = ()) -> KeywordResult:
    """Evaluate nothing: a curve of three points, and a stored threshold anywhere."""
    det = (point(0.9, 5, 0), point(0.5, 2, 3), point(0.2, 0, 40))
    return KeywordResult(
        keyword="tone",
        stored_threshold=stored[0],
        num_positives=CLIPS,
        num_positive_originals=CLIPS,
        num_speakers=9,
        operating=(operating("stored threshold", None, *stored), operating("1 per hour", 1.0, 0.6, 3, 2)),
        det=det,
        hardest_negatives=(),
        det_by_condition={
            name: tuple(replace(p, misses=proportion(p.misses.events + 8 + n, CLIPS)) for p in det)
            for n, name in enumerate(conditions)
        },
    )


@pytest.mark.parametrize(
    "stored",
    [
        (0.5, 2, 3),
        (0.01, 0, 1900),  # 950 false accepts an hour
        (0.999, 48, 0),  # stricter than every point of the curve
        (1.0, 50, 0),
        (0.0, 0, 200_000),
    ],
)
def test_the_stored_threshold_lies_within_the_axes(stored: tuple[float, int, int]):
    figure = det_figure(result(stored))
    figure.draw_without_rendering()
    (axes,) = figure.axes
    (marker,) = [line for line in axes.get_lines() if line.get_marker() == "D"]
    assert to_rgb(marker.get_color()) == to_rgb(ORANGE) and marker.get_label().startswith("stored threshold")
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    ((x, y),) = marker.get_xydata()
    assert left <= x <= right and bottom <= y <= top
    box, place = axes.get_window_extent(), axes.transData.transform((x, y))
    assert box.contains(*place)


@pytest.mark.parametrize("conditions", [(), CONDITIONS])
def test_each_condition_has_a_line_of_its_own_and_all_words_stand_in_the_picture(conditions: tuple[str, ...]):
    figure = det_figure(result((0.01, 0, 1900), conditions))
    figure.draw_without_rendering()
    (axes,) = figure.axes
    steps = [line for line in axes.get_lines() if line.get_drawstyle() == "steps-post"]
    names = ["clean", *conditions] if conditions else ["misses at each number of false accepts"]
    assert [line.get_label() for line in steps] == names
    marks = [line for line in axes.get_lines() if line not in steps]
    assert len({to_rgb(line.get_color()) for line in [*steps, *marks]}) == len(steps) + len(marks)
    whole = figure.bbox.padded(1)
    for text in figure.findobj(Text):
        if text.get_visible() and text.get_text().strip():
            box = text.get_window_extent()
            assert whole.x0 <= box.x0 and box.x1 <= whole.x1, text.get_text()
            assert whole.y0 <= box.y0 and box.y1 <= whole.y1, text.get_text()


def test_each_group_has_a_row_with_its_rate_and_interval_and_a_name_that_fits():
    found = result((0.6, 3, 2))
    names = ("fan", "a street in the rain behind two doors and a wall")
    groups = tuple(
        GroupResult("condition", name, proportion(7 + n, CLIPS), None) for n, name in enumerate(names)
    )
    groups += (GroupResult("gender", "f", proportion(0, 20), None),)
    stored = replace(found.operating[0], groups=groups)
    figure = groups_figure(replace(found, operating=(stored, *found.operating[1:])))
    (axes,) = figure.axes
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels[0].startswith("all, ") and labels[1] == "fan (50)" and labels[3] == "gender: f (20)"
    assert all(len(line) <= 34 for label in labels for line in label.split("\n"))
    intervals, points = axes.lines[0::2], axes.lines[1::2]
    assert [line.get_xdata()[0] for line in points] == pytest.approx([6.0, 14.0, 16.0, 0.0])
    for line, group in zip(intervals[1:], groups, strict=True):
        assert list(line.get_xdata()) == pytest.approx([100 * group.misses.low, 100 * group.misses.high])
    figure.draw_without_rendering()
    assert all(label.get_window_extent().x0 >= 0 for label in axes.get_yticklabels())
    assert figure.get_suptitle().endswith("?")
