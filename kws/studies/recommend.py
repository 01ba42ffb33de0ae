"""From a study's table to what `auto` takes for each number of recordings, where the table can tell.

Every finished choice is compared, also those that ``auto`` cannot stand for, such as enrolment: a policy that
one of them is shown to beat is not recommended. Choices are told apart by the interval of their paired
difference; where it holds zero, nothing is recommended.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from kws.counts import counted
from kws.regularizers import need_source_alone
from kws.studies.compare import Gain, gain_over
from kws.studies.recipe import CONTROL, ChoiceConfig, StudyConfig
from kws.studies.results import StudyResults
from kws.transfer import AUTO, load_auto
from kws.transfer.auto import AutoStep, AutoTable

SCRATCH = "scratch"
"""Policy of the control: not one to recommend."""

REGULARIZERS = "train.regularizers"
"""Key of the terms beside the loss in what a choice sets."""

COMMON = ("train.transfer.auto_table", REGULARIZERS)
"""Where the common settings hold one of these, ``auto`` stands for something else than what ships."""

FEWEST_RUNS = 2
"""Pairs of runs: one of each does not tell a good choice from a lucky draw."""
FEWEST_UNITS = 6
"""People heard: that five of five gained says no more than 2 · 0.5^5 = 6 % in a sign test, six of six 3 %."""
MOST_NAMED = 5
"""Of choices that cannot be told apart, in a sentence."""
MOST_TIMES = 100
"""Advice to get more data than so many times what there is helps nobody."""

RULE = (
    "fewest misses at {rate:g} false accepts per hour, averaged over conditions, of all finished choices, "
    "where the 95 % interval of the paired difference tells it from every other one or what it replaces; "
    "elsewhere what fewer recordings are recommended stays, or what ships"
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a study says for one number of recordings."""

    recordings: int | str
    """Training recordings."""
    choice: str | None
    """The recommended one; None where the data cannot tell."""
    reason: str
    """Why, in words."""
    step: AutoStep | None = None
    """What ``auto`` takes there, also what stays from fewer recordings; None where it is what ships."""

    def __str__(self) -> str:
        """Return a sentence."""
        said = f"{self.choice} is recommended" if self.choice else "nothing is recommended"
        return f"{counted(self.recordings, 'recording')}: {said}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Recommendation:
    """What a study says for all numbers of recordings."""

    verdicts: tuple[Verdict, ...]
    """One for each number of recordings, from few to many."""
    table: AutoTable | None
    """For ``auto``; None where nothing is recommended."""


Steps = Callable[[str, int | str], AutoStep | None]
"""Choice and recordings -> what ``auto`` would take there for this choice; None where it cannot."""


def recommend(
    study: StudyResults, steps: Steps, source: str, shipped: AutoTable | None = None
) -> Recommendation:
    """Return what is recommended.

    Below the smallest number tried, what was found for that number holds; from each number on, what was found
    for that one. Where nothing is recommended the table holds what ships.

    Args:
        study: what is finished.
        steps: see :data:`Steps`.
        source: where the numbers come from.
        shipped: what ``auto`` takes now; None reads the table that ships.
    """
    shipped = shipped or load_auto()
    verdicts: list[Verdict] = []
    found: list[tuple[int, AutoStep | None]] = []
    kept: AutoStep | None = None
    for recordings in study.recordings():
        number = round(study.num_recordings(recordings))
        now = kept or replace(shipped.choose(number)[0], recordings=0)
        verdict = judge(study, recordings, steps, now, recommended=kept is not None)
        verdicts.append(verdict)
        kept = verdict.step
        found.append((number if found else 0, kept))
    if all(step is None for _, step in found):
        return Recommendation(tuple(verdicts), None)
    table = AutoTable(_laid_over(shipped, found), source, RULE.format(rate=study.compared_at))
    return Recommendation(tuple(verdicts), table)


def judge(
    study: StudyResults, recordings: int | str, steps: Steps, now: AutoStep, *, recommended: bool = False
) -> Verdict:
    """Return what is recommended at a number of recordings.

    Args:
        study: what is finished.
        recordings: number of training recordings.
        steps: see :data:`Steps`.
        now: what is taken where nothing is recommended.
        recommended: ``now`` is recommended for fewer recordings, and not what ships.
    """
    compared = _distinct(contenders(study, recordings), steps)
    if len(compared) < 2:
        lone = f"only {next(iter(compared))} is finished" if compared else "no choice is wholly finished"
        return Verdict(recordings, None, f"{lone}, there is nothing to compare it with")
    rates = {name: study.mean_miss_rate(name, number) for name, number in compared.items()}
    best = min(rates, key=rates.__getitem__)
    gains = {
        name: gain_over(study, best, name, compared[best], other_recordings=number)
        for name, number in compared.items()
        if name != best
    }
    ties = [best, *sorted((n for n, gain in gains.items() if not told_apart(gain)), key=rates.__getitem__)]
    able = [name for name in ties if compared[name] == recordings and steps(name, recordings)]
    shown = [_place(name, compared[name], recordings, rates[name]) for name in ties[:MOST_NAMED]]
    more = len(ties) - MOST_NAMED
    told = _listed([*shown, f"{more} more"] if more > 0 else shown)
    if len(ties) == 1:
        if able:
            missed = f"{100 * rates[best]:.1f} % missed"
            reason = f"{missed}, and every other choice is shown to miss more"
            return Verdict(recordings, best, reason, steps(best, recordings))
        return Verdict(
            recordings,
            None,
            f"every choice but {told} is shown to miss more, and `auto` cannot be that one",
        )
    doubt = f"{told} cannot be told apart"
    same = [name for name in compared if compared[name] == recordings and steps(name, recordings) == now]
    advice = _what_would_tell(gains[ties[1]])
    if recommended and set(same) & set(able):
        stays = f"{same[0]}, recommended with fewer recordings, stays for `auto`"
        return Verdict(recordings, None, f"{doubt}; {stays}; {advice}", now)
    if same and able and told_apart(gain_over(study, able[0], same[0], recordings)):
        reason = f"{same[0]}, taken otherwise, is shown to miss more; {doubt}"
        return Verdict(recordings, able[0], reason, steps(able[0], recordings))
    return Verdict(recordings, None, f"{doubt}; {advice}")


def told_apart(gain: Gain | None) -> bool:
    """Tell whether a gain is shown: its interval lies above zero, over people and runs enough to say so."""
    enough = gain is not None and gain.num_pairs >= FEWEST_RUNS and gain.num_units >= FEWEST_UNITS
    return enough and gain is not None and gain.positive


def contenders(study: StudyResults, recordings: int | str) -> dict[str, int | str]:
    """Return what can be had with so many recordings: choice -> the most of them that it is finished with.

    A choice that is finished with fewer alone, such as enrolment from the text, can be had with more too.
    """
    most = study.num_recordings(recordings)
    found = {}
    for name in study.choices:
        numbers = [
            number
            for number in study.recordings(name)
            if study.num_recordings(number) <= most and study.complete(name, number)
        ]
        if numbers:
            found[name] = max(numbers, key=study.num_recordings)
    return found


def _distinct(found: Mapping[str, int | str], steps: Steps) -> dict[str, int | str]:
    """Leave out what stands for another choice: ``auto`` beside what it takes is no second choice."""
    kept: dict[str, int | str] = {}
    taken: list[tuple[AutoStep, int | str]] = []
    for name in sorted(found, key=lambda name: name == AUTO):  # auto is the one that is left out
        step = steps(name, found[name])
        if step is not None and (step, found[name]) in taken:
            continue
        if step is not None:
            taken.append((step, found[name]))
        kept[name] = found[name]
    return kept


def _place(name: str, number: int | str, recordings: int | str, rate: float) -> str:
    """Return a choice with its misses, and with its own number of recordings where it has one."""
    own = "" if number == recordings else f" with {number}"
    return f"{name}{own} ({100 * rate:.1f} % missed)"


def _listed(words: list[str]) -> str:
    """Return words with commas and an "and"."""
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _what_would_tell(gain: Gain | None) -> str:
    """Return what would tell the two choices apart that miss least."""
    if gain is None:
        return "runs of the same keywords and seeds would tell"
    if gain.num_pairs < FEWEST_RUNS:
        return "more `seeds` would tell: one run of each does not tell a good choice from a lucky draw"
    if gain.num_units < FEWEST_UNITS:
        return f"test clips of {FEWEST_UNITS} or more people would tell"
    if gain.value <= 0:
        return "they miss the same; test clips of more people and more `seeds` would tell what is smaller"
    times = ((gain.high - gain.low) / 2 / gain.value) ** 2
    many = f"about {max(times, 2):.0f} times as many" if times < MOST_TIMES else "very many more"
    points = f"{100 * gain.value:.1f} points"
    return f"{many} people in the test clips and `seeds` would tell a difference of {points}"


def _laid_over(shipped: AutoTable, found: list[tuple[int, AutoStep | None]]) -> tuple[AutoStep, ...]:
    """Return the steps of a table: what was found from each number on, and what ships where nothing was."""
    steps: list[AutoStep] = []
    for index, (start, step) in enumerate(found):
        end = found[index + 1][0] if index + 1 < len(found) else None
        rest = [
            entry
            for entry in shipped.policies
            if start < entry.recordings and (end is None or entry.recordings < end)
        ]
        taken = (
            [replace(step, recordings=start)]
            if step
            else [replace(shipped.choose(start)[0], recordings=start), *rest]
        )
        for entry in taken:
            if not steps or replace(steps[-1], recordings=entry.recordings) != entry:
                steps.append(entry)
    return tuple(steps)


def candidates_of(config: StudyConfig) -> dict[str, AutoStep]:
    """Return the choices that ``auto`` could stand for, with what it would take; control and auto are none.

    They set a policy, and beside it nothing, or regularisers that any encoder and any data will do for.
    """
    return {
        name: AutoStep(0, choice.policy, _regularizers(choice) or {})
        for name, choice in config.all_choices().items()
        if choice.policy not in (None, AUTO) and why_not(name, choice) is None
    }


def steps_of(config: StudyConfig, study: StudyResults) -> Steps:
    """Return what ``auto`` would take for each choice; for the choice ``auto`` itself what it stood for."""
    fixed = candidates_of(config)
    autos = {n for n, c in config.all_choices().items() if c.policy == AUTO and why_not(n, c) is None}
    shipped = load_auto()
    own_table = any(key.startswith(COMMON) for key in config.settings.set)

    def step(name: str, recordings: int | str) -> AutoStep | None:
        if name not in autos or own_table:
            return fixed.get(name)
        numbers = {result.num_recordings for result in study.members(name, recordings).values()}
        taken = [replace(shipped.choose(number)[0], recordings=0) for number in sorted(numbers)]
        return taken[0] if taken and all(entry == taken[0] for entry in taken) else None

    return step


def why_not(name: str, choice: ChoiceConfig) -> str | None:
    """Return why ``auto`` cannot stand for a choice; None where it can."""
    if name == CONTROL or choice.policy == SCRATCH:
        return "trains from random weights"
    if choice.peer is not None:
        return "is a detector of others"
    if choice.enroll is not None:
        return "is `kws enroll`, not training"
    if choice.others is not None:
        return "trains other keywords too"
    more = [key for key in choice.given() if key != "policy"]
    terms = _regularizers(choice)
    if terms is None:
        more += [key for key in choice.set if key.partition(".")[2].split(".")[0] != "regularizers"]
    if more:
        return f"sets {', '.join(more)}"
    if choice.policy is None:
        return "names no policy"
    if not need_source_alone(terms or {}):
        return f"needs more than the borrowed layers for {', '.join(terms or {})}"
    return None


def _regularizers(choice: ChoiceConfig) -> dict[str, float] | None:
    """Return what a choice adds to the loss; None where it sets something else too."""
    terms: dict[str, float] = {}
    for key, value in choice.set.items():
        if key == REGULARIZERS:
            terms.update(value)
        elif key.startswith(f"{REGULARIZERS}."):
            terms[key.removeprefix(f"{REGULARIZERS}.")] = value
        else:
            return None
    return terms


def what_counts(config: StudyConfig, study: StudyResults) -> list[str]:
    """Return sentences on which choices are compared, and which can win but not be recommended."""
    reasons = {
        name: why_not(name, choice) for name, choice in config.all_choices().items() if name in study.choices
    }
    barred = [f"{name} ({reason})" for name, reason in reasons.items() if reason]
    lines = ["every finished choice is compared"]
    if barred:
        lines[0] += (
            f"; `auto` cannot be {_listed(barred)}: what one of these is shown to beat is not recommended"
        )
    missing = [
        f"{name} with {number} ({len(study.members(name, number))} of {study.num_runs})"
        for name in study.choices
        for number in study.recordings(name)
        if not study.complete(name, number)
    ]
    if missing:
        lines.append(f"not compared, as not all their runs are finished: {', '.join(missing)}")
    return lines
