"""Exact intervals for counted events; every rate that is reported passes through here."""

from __future__ import annotations

from dataclasses import dataclass

from scipy import stats

from kws.errors import ConfigError

CONFIDENCE = 0.95
"""Of every interval that the project reports."""

ZERO_EVENTS = 3.0
"""Zero events in T hours: the rate is under 3 / T at 95 %, one-sided (-ln 0.05 = 2.996, the rule of
three)."""


@dataclass(frozen=True, slots=True)
class Proportion:
    """Events out of trials, such as missed clips, with the Clopper-Pearson interval."""

    events: int
    trials: int
    rate: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{100 * self.rate:.1f} % [{100 * self.low:.1f}, {100 * self.high:.1f}]"


@dataclass(frozen=True, slots=True)
class HourlyRate:
    """Events in hours, such as false accepts, with the Garwood interval."""

    events: int
    hours: float
    per_hour: float
    low: float
    high: float

    def __str__(self) -> str:
        if self.events == 0:
            return f"< {number(ZERO_EVENTS / self.hours)} per hour (95 %)"
        return f"{number(self.per_hour)} per hour [{number(self.low)}, {number(self.high)}]"


def number(value: float) -> str:
    """Return a rate with two significant digits and no exponent."""
    if value >= 10:
        return f"{value:.0f}"
    text = f"{value:.2g}"
    return f"{value:.6f}".rstrip("0") if "e" in text else text


def proportion(events: int, trials: int, confidence: float = CONFIDENCE) -> Proportion:
    """Return a rate with its exact two-sided binomial interval.

    Args:
        events: such as missed clips.
        trials: such as all clips, at least one.
        confidence: of the interval.
    Raises:
        ConfigError: no trials, or events outside 0..trials.
    Source: Clopper & Pearson 1934, doi:10.1093/biomet/26.4.404.
    """
    if trials < 1 or not 0 <= events <= trials:
        raise ConfigError(
            f"proportion: got {events} events of {trials} trials, expected 0 to trials of 1 or more"
        )
    tail = (1 - confidence) / 2
    low = float(stats.beta.ppf(tail, events, trials - events + 1)) if events else 0.0
    high = float(stats.beta.ppf(1 - tail, events + 1, trials - events)) if events < trials else 1.0
    return Proportion(events, trials, events / trials, low, high)


def hourly_rate(events: int, hours: float, confidence: float = CONFIDENCE) -> HourlyRate:
    """Return events per hour with their exact two-sided Poisson interval.

    Args:
        events: such as false accepts.
        hours: of the audio that was scored, above 0.
        confidence: of the interval.
    Raises:
        ConfigError: no hours or fewer than 0 events.
    Source: Garwood 1936, doi:10.1093/biomet/28.3-4.437.
    """
    if not hours > 0 or events < 0:
        raise ConfigError(f"hourly rate: got {events} events in {hours} hours, expected 0 or more in above 0")
    tail = (1 - confidence) / 2
    low = float(stats.chi2.ppf(tail, 2 * events)) / 2 / hours if events else 0.0
    high = float(stats.chi2.ppf(1 - tail, 2 * events + 2)) / 2 / hours
    return HourlyRate(events, hours, events / hours, low, high)
