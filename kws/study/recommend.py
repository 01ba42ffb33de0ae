"""From a study's table to what `auto` takes for each number of recordings."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from kws.errors import ConfigError
from kws.regularizers import need_source_alone
from kws.study.compare import gain_over
from kws.study.recipe import ChoiceConfig, StudyConfig
from kws.study.results import StudyResults
from kws.transfer import AUTO
from kws.transfer.auto import AutoStep, AutoTable

SCRATCH = "scratch"
"""Policy of the control: not one to recommend."""

REGULARIZERS = "train.regularizers"
"""Key of the terms beside the loss in what a choice sets."""

RULE = (
    "fewest misses at {rate:g} false accepts per hour, averaged over conditions; with more recordings "
    "another choice where it misses less by more than the 95 % interval of the paired difference"
)


def best_choice(
    study: StudyResults, recordings: int | str, candidates: Collection[str], kept: str | None = None
) -> str | None:
    """Return the choice to recommend at a number of recordings; None where no candidate is wholly finished.

    Args:
        study: what is finished.
        recordings: number of training recordings.
        candidates: choices to choose from.
        kept: what fewer recordings are recommended; it stays where another's gain over it is not shown.
    """
    measured = [name for name in study.choices if name in candidates and study.complete(name, recordings)]
    if not measured:
        return None
    best = min(measured, key=lambda name: study.mean_miss_rate(name, recordings))
    if kept not in measured:
        return best
    gain = gain_over(study, best, kept, recordings)
    return best if gain is not None and gain.positive else kept


def recommend(study: StudyResults, candidates: Mapping[str, AutoStep], source: str) -> AutoTable:
    """Return the table for ``auto``.

    Below the smallest number tried, what was chosen for that number is taken; from each number on, what was
    chosen for that one.

    Args:
        study: what is finished.
        candidates: choice -> what ``auto`` would take, whatever the number.
        source: where the numbers come from.
    Raises:
        ConfigError: none of these choices is finished.
    """
    steps: list[AutoStep] = []
    kept: str | None = None
    for recordings in study.recordings():
        choice = best_choice(study, recordings, candidates, kept)
        if choice not in (None, kept):
            start = round(study.num_recordings(recordings)) if steps else 0
            steps.append(replace(candidates[choice], recordings=start))
            kept = choice
    if not steps:
        raise ConfigError(
            "no recommendation: no choice is finished that sets a policy alone, or regularizers beside it "
            "that need no more than the borrowed layers; add one, such as `late: {policy: late}`"
        )
    return AutoTable(tuple(steps), source, RULE.format(rate=study.compared_at))


def candidates_of(config: StudyConfig) -> dict[str, AutoStep]:
    """Return the choices that ``auto`` could stand for, with what it would take; control and auto are none.

    They set a policy, and beside it nothing, or regularisers that any encoder and any data will do for.
    """
    found = {}
    for name, choice in config.all_choices().items():
        terms = _regularizers(choice)
        if terms is None or choice.policy in (None, AUTO, SCRATCH) or set(choice.given()) != {"policy"}:
            continue
        if choice.others is not None:
            continue
        if need_source_alone(terms):
            found[name] = AutoStep(0, choice.policy, terms)
    return found


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
