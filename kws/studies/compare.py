"""What one choice gains over another, with an interval, and how many recordings it saves.

Both heard the same clips after training on the same recordings with the same seed, so their misses are
subtracted clip by clip (Bisani and Ney, "Bootstrap estimates for confidence intervals in ASR performance
evaluation", ICASSP 2004). The interval is a percentile bootstrap over two crossed factors, each drawn anew
with replacement: the people heard, each with all their clips in all conditions, and the pairs of runs (Owen,
"The pigeonhole bootstrap", arXiv:0712.1111). It so holds for other people and other draws of recordings, not
for other keywords.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kws.counts import counted
from kws.evaluation.intervals import CONFIDENCE
from kws.studies.recipe import CONTROL
from kws.studies.results import CellResult, StudyResults

RESAMPLES = 4000
"""Of the bootstrap."""
BOOTSTRAP_SEED = 20


@dataclass(frozen=True, slots=True)
class Gain:
    """How much less one choice misses than another, as a share of the clips; negative is more."""

    value: float
    low: float
    high: float
    num_pairs: int
    """Pairs of runs."""
    num_units: int
    """People heard, or clips where they are not known, over all keywords."""

    def __str__(self) -> str:
        """Return percentage points."""
        return f"{100 * self.value:+.1f} [{100 * self.low:+.1f}, {100 * self.high:+.1f}]"

    @property
    def positive(self) -> bool:
        """The whole interval lies above zero."""
        return self.low > 0


def paired_gain(differences: Mapping[str, np.ndarray], units: Mapping[str, Sequence[str]]) -> Gain:
    """Average paired differences, with the interval that the module describes.

    Args:
        differences: keyword -> (runs, clips), misses of one less misses of the other, in [-1, 1].
        units: keyword -> (clips,) what is drawn as one: the speaker, or a name of the clip's own.
    """
    rng = np.random.default_rng(BOOTSTRAP_SEED)
    total, weight = np.zeros(RESAMPLES), np.zeros(RESAMPLES)
    num_units = 0
    for keyword, difference in differences.items():
        names, index = np.unique(np.asarray(units[keyword]), return_inverse=True)
        member = np.eye(len(names))[index]  # (clips, unit)
        sums, sizes = difference @ member, member.sum(axis=0)  # (runs, unit), (unit,)
        runs = _drawn(rng, len(difference))  # (resample, run)
        people = _drawn(rng, len(names))  # (resample, unit)
        total += np.einsum("br,ru,bu->b", runs, sums, people)
        weight += runs.sum(axis=1) * (people @ sizes)
        num_units += len(names)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(total / weight, [tail, 1 - tail])
    everything = sum(float(difference.sum()) for difference in differences.values())
    value = everything / sum(difference.size for difference in differences.values())
    pairs = sum(len(difference) for difference in differences.values())
    return Gain(value, float(low), float(high), pairs, num_units)


def _drawn(rng: np.random.Generator, number: int) -> np.ndarray:
    """Return (RESAMPLES, number): how often each was drawn; a single one stands as it is."""
    if number == 1:
        return np.ones((RESAMPLES, 1))
    return rng.multinomial(number, np.full(number, 1 / number), RESAMPLES).astype(np.float64)


def gain_over(
    study: StudyResults,
    choice: str,
    other: str,
    recordings: int | str,
    condition: str | None = None,
    *,
    other_recordings: int | str | None = None,
) -> Gain | None:
    """Return how much less a choice misses than another, at the rate that the study compares at.

    Args:
        study: what is finished.
        choice: the one judged.
        other: what it is compared with.
        recordings: number of training recordings of both.
        condition: None averages over all.
        other_recordings: those of the other, where it has other ones.
    Returns:
        None where no two cells of the same keyword and seed are finished.
    """
    ours = study.members(choice, recordings)
    theirs = study.members(other, recordings if other_recordings is None else other_recordings)
    names = study.conditions if condition is None else (condition,)
    differences: dict[str, list[np.ndarray]] = {}
    for keyword, seed in sorted(set(ours) & set(theirs)):
        parts = [
            _missed(theirs[keyword, seed], name, study.compared_at)
            - _missed(ours[keyword, seed], name, study.compared_at)
            for name in names
        ]
        differences.setdefault(keyword, []).append(np.mean(parts, axis=0))
    if not differences:
        return None
    return paired_gain({keyword: np.stack(runs) for keyword, runs in differences.items()}, study.units)


def _missed(result: CellResult, condition: str, rate: float) -> np.ndarray:
    """Return (clips,) 1 where a clip was missed, else 0."""
    count = result.miss_count(condition, rate)
    missed = np.zeros(count.clips)
    missed[list(count.missed)] = 1.0
    return missed


NOTHING, UNSHOWN = "transfer gained nothing here", "the gain is not shown to be above zero"


def gains_of(study: StudyResults, choice: str, other: str = CONTROL) -> dict[int | str, Gain]:
    """Return what a choice gains over another, by number of recordings; none over itself."""
    if choice == other:
        return {}
    found = {number: gain_over(study, choice, other, number) for number in study.recordings(choice)}
    return {number: gain for number, gain in found.items() if gain is not None}


def all_gains(study: StudyResults, other: str) -> dict[str, dict[int | str, Gain]]:
    """Return what each choice gains over one, by choice and number of recordings."""
    return {choice: gains for choice in study.choices if (gains := gains_of(study, choice, other))}


def behind_best(study: StudyResults) -> dict[str, dict[int | str, Gain]]:
    """Return how much more a choice misses than the best one, by choice and number of recordings.

    The best gains most over the choice with most cells finished, of those with more than half as many; the
    control is left out. An interval that holds zero is a tie.
    """
    found: dict[str, dict[int | str, Gain]] = {}
    for number in study.recordings():
        cells = {name: len(study.members(name, number)) for name in study.choices if name != CONTROL}
        choices = [name for name, finished in cells.items() if finished]
        if not choices:
            continue
        fullest = max(choices, key=cells.__getitem__)
        gains = {
            name: gain.value
            for name in choices
            if 2 * cells[name] > cells[fullest] and (gain := gain_over(study, name, fullest, number))
        }
        best = max(gains, key=gains.__getitem__)
        for name in choices:
            gain = gain_over(study, best, name, number)
            if gain is not None:
                found.setdefault(name, {})[number] = gain
    return {name: found[name] for name in study.choices if name in found}


def _doubt(gain: Gain) -> str | None:
    """Return what speaks against a gain."""
    if gain.value <= 0:
        return NOTHING
    return None if gain.positive else UNSHOWN


def gain_lines(study: StudyResults) -> list[str]:
    """Return a sentence for each choice and number of recordings, with a warning where nothing is gained."""
    lines = []
    for choice in study.choices:
        for number, gain in gains_of(study, choice).items():
            line = f"{choice}, {counted(number, 'recording')}: {gain} points fewer missed than from scratch"
            doubt = _doubt(gain)
            lines.append(f"WARNING: {line}: {doubt}" if doubt else line)
    return lines


def gain_warnings(study: StudyResults) -> list[str]:
    """Return a sentence for each choice and doubt, with the numbers of recordings that it is about."""
    lines = []
    for choice in study.choices:
        doubts = {number: _doubt(gain) for number, gain in gains_of(study, choice).items()}
        for doubt in (NOTHING, UNSHOWN):
            numbers = [str(number) for number, found in doubts.items() if found == doubt]
            if numbers:
                lines.append(f"WARNING: {choice}, {', '.join(numbers)} recordings: {doubt}")
    return lines


@dataclass(frozen=True, slots=True)
class Saving:
    """How few recordings do what scratch does with all of them."""

    choice: str
    recordings: int | str | None
    """The fewest at which the choice misses no more; None where it always misses more."""
    miss_rate: float | None
    """Of the choice there, averaged over conditions."""
    control_recordings: int | str
    """The most that the control was trained on."""
    control_miss_rate: float
    """Its misses with them."""
    factor: float | None
    """How many times fewer; none counts as one."""

    def __str__(self) -> str:
        """Return a sentence."""
        scratch = f"scratch with {self.control_recordings} ({100 * self.control_miss_rate:.1f} %)"
        if self.recordings is None or self.miss_rate is None or self.factor is None:
            return f"{self.choice}: misses more than {scratch} with every number of recordings tried"
        times = f"{self.factor:.1f} times fewer recordings" if self.factor > 1 else "no fewer recordings"
        if self.recordings == 0:
            times = "no recordings but synthetic ones"
        return (
            f"{self.choice}: with {self.recordings} ({100 * self.miss_rate:.1f} %) no more is missed than by "
            f"{scratch}: {times}"
        )


def savings(study: StudyResults) -> list[Saving]:
    """Return for each choice the fewest recordings with which it misses no more than scratch with most.

    Miss rates are those at the compared rate, averaged over conditions. What needs fewest comes first, of
    those that need as many what misses least.
    """
    if not study.has_control():
        return []
    most = study.recordings(CONTROL)[-1]
    wanted = study.mean_miss_rate(CONTROL, most)
    found = []
    for choice in study.choices:
        if choice == CONTROL or not study.recordings(choice):
            continue
        rates = {number: study.mean_miss_rate(choice, number) for number in study.recordings(choice)}
        fewest = next((number for number, rate in rates.items() if rate <= wanted), None)
        few = None if fewest is None else study.num_recordings(fewest)
        factor = None if few is None else study.num_recordings(most) / max(few, 1.0)
        found.append(Saving(choice, fewest, None if fewest is None else rates[fewest], most, wanted, factor))
    return sorted(found, key=lambda saving: (-(saving.factor or 0.0), saving.miss_rate or 0.0))
