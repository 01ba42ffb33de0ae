"""From a study's table to a policy for each number of recordings: what `auto` reads."""

from __future__ import annotations

from collections.abc import Collection

from kws.errors import ConfigError
from kws.study.compare import gain_over
from kws.study.recipe import StudyConfig
from kws.study.results import StudyResults
from kws.transfer import AUTO
from kws.transfer.auto import AutoStep, AutoTable

SCRATCH = "scratch"
"""Policy of the control: not one to recommend."""

RULE = (
    "fewest misses at {rate:g} false accepts per hour, averaged over conditions; where the 95 % interval of "
    "the paired difference to that one holds zero, the policy that moves the fewest parameters"
)


def best_policy(study: StudyResults, recordings: int | str, candidates: Collection[str]) -> str | None:
    """Return the choice to recommend at a number of recordings; None where no candidate is wholly finished.

    Args:
        study: what is finished.
        recordings: number of training recordings.
        candidates: choices to choose from.
    """
    measured = [name for name in study.choices if name in candidates and study.complete(name, recordings)]
    if not measured:
        return None
    best = min(measured, key=lambda name: study.mean_miss_rate(name, recordings))

    def tied(name: str) -> bool:
        worse_by = gain_over(study, best, name, recordings)
        return name == best or (worse_by is not None and worse_by.low <= 0)

    def cost(name: str) -> tuple[float, float]:
        runs = list(study.members(name, recordings).values())
        moving = sum(run.moving_parameters for run in runs) / len(runs)
        return moving, sum(run.train_s for run in runs) / len(runs)

    return min(filter(tied, measured), key=cost)


def recommend(study: StudyResults, policies: dict[str, str], source: str) -> AutoTable:
    """Return the table for ``auto``.

    Below the smallest number tried, the policy of that number is taken; from each number on, that of the
    number.

    Args:
        study: what is finished.
        policies: choice -> policy, of the choices that change the policy alone.
        source: where the numbers come from.
    Raises:
        ConfigError: none of these choices is finished.
    """
    steps: list[AutoStep] = []
    for recordings in study.recordings():
        choice = best_policy(study, recordings, policies)
        if choice is None:
            continue
        policy = policies[choice]
        if not steps or steps[-1].policy != policy:
            start = round(study.num_recordings(recordings)) if steps else 0
            steps.append(AutoStep(start, policy))
    if not steps:
        raise ConfigError(
            "no recommendation: no choice that sets a policy alone is finished; add one, such as "
            "`late: {policy: late}`"
        )
    return AutoTable(tuple(steps), source, RULE.format(rate=study.compared_at))


def lone_policies(config: StudyConfig) -> dict[str, str]:
    """Return choice -> policy of the choices that set their policy alone, without control and auto."""
    return {
        name: choice.policy
        for name, choice in config.all_choices().items()
        if choice.policy not in (None, AUTO, SCRATCH) and set(choice.given()) == {"policy"} and not choice.set
    }
