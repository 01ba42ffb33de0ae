"""`kws.study.plots`: numbers below the points between two choices."""

from __future__ import annotations

import pytest
from matplotlib.figure import Figure

from kws.study.plots import _square_root_scale


@pytest.mark.parametrize(
    ("limits", "shown"), [((-5.0, 20.0), [-4, -1, 0, 1, 4, 9, 16]), ((-5.0, 70.0), [-4, 0, 4, 16, 60])]
)
def test_numbers_of_a_wide_panel_stand_apart(limits: tuple[float, float], shown: list[int]):
    axes = Figure().subplots()
    axes.set_xlim(limits)
    _square_root_scale(axes)
    assert list(axes.get_xticks()) == shown and axes.get_xlim() == pytest.approx(limits)
