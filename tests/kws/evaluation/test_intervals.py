"""Exact intervals against published values."""

from __future__ import annotations

import pytest

from kws.errors import ConfigError
from kws.evaluation.intervals import hourly_rate, number, proportion


@pytest.mark.parametrize(
    ("events", "trials", "low", "high"),
    [(0, 10, 0.0, 0.3085), (1, 10, 0.0025, 0.4450), (5, 10, 0.1871, 0.8129), (10, 10, 0.6915, 1.0)],
)
def test_clopper_pearson(events: int, trials: int, low: float, high: float):
    interval = proportion(events, trials)
    assert interval.rate == events / trials
    assert (interval.low, interval.high) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


@pytest.mark.parametrize(
    ("events", "low", "high"), [(0, 0.0, 3.689), (1, 0.0253, 5.572), (3, 0.6187, 8.767), (10, 4.7954, 18.390)]
)
def test_garwood(events: int, low: float, high: float):
    interval = hourly_rate(events, 4.0)
    assert interval.per_hour == events / 4
    assert interval.low * 4 == pytest.approx(low, abs=5e-5)
    assert interval.high * 4 == pytest.approx(high, rel=1e-4)


def test_one_sided_zero_of_ten():
    assert proportion(0, 10, confidence=0.9).high == pytest.approx(0.2589, abs=5e-5)  # 5 % in the one tail


def test_words():
    assert str(hourly_rate(0, 30.0)) == "< 0.1 per hour (95 %)"
    assert str(hourly_rate(6, 12.0)) == "0.5 per hour [0.18, 1.1]"
    assert str(proportion(1, 10)) == "10.0 % [0.3, 44.5]"
    assert [number(value) for value in (0.5, 12.34, 123.4, 0.05, 0.0000123)] == [
        "0.5",
        "12",
        "123",
        "0.05",
        "0.000012",
    ]


def test_nothing_to_divide_by():
    with pytest.raises(ConfigError, match="0 events of 0 trials"):
        proportion(0, 0)
    with pytest.raises(ConfigError, match="5 events of 4 trials"):
        proportion(5, 4)
    with pytest.raises(ConfigError, match="in 0.0 hours"):
        hourly_rate(3, 0.0)
