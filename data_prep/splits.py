"""Which recording is for training, for choosing or for reporting: a stable hash of the speaker decides.

Called by ``data_prep.prepare`` after the checks. A speaker lands on the same side on every machine, in any
order and whatever other recordings there are, so adding data never moves a test speaker into training.
"""

from __future__ import annotations

import hashlib
import logging
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from data_prep.config import SplitConfig
from kws.errors import ManifestError
from kws.manifest import Recording

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Split:
    """Recordings with their splits, and what a person should know about them."""

    recordings: list[Recording]
    """In the order given, each with a split."""
    notes: tuple[str, ...] = ()
    """Sentences for the report."""
    shared_speakers: tuple[str, ...] = ()
    """Speakers in two splits because there is no other; ``manifests.validate(allow_shared=…)`` takes them."""


@dataclass(slots=True)
class _Plan:
    """Splits while they are being chosen, one entry per recording."""

    keys: list[str]
    splits: list[str]
    loose: frozenset[str]
    notes: list[str] = field(default_factory=list)
    shared: list[str] = field(default_factory=list)


def unit_hash(seed: int, stage: str, item: str) -> float:
    """Return a number in [0, 1) that depends on the arguments alone (never on ``PYTHONHASHSEED``)."""
    told = f"{seed}\n{stage}\n{item}".encode("utf-8", "backslashreplace")  # names may hold any bytes
    return int.from_bytes(hashlib.blake2b(told, digest_size=8).digest(), "big") / 2**64


def group_key(recording: Recording) -> str:
    """Return what must stay on one side: the speaker, or the file where no speaker is known."""
    if recording.speaker is not None:
        return f"speaker {recording.speaker}"
    return f"file {recording.path.parent.name}/{recording.path.name}"


def split(
    recordings: Sequence[Recording], config: SplitConfig | None = None, *, voices: bool = True
) -> Split:
    """Give every recording a split; splits that are given already stay.

    A recording without a split follows its speaker where other recordings of the speaker have one.

    Args:
        recordings: from :func:`data_prep.manifests.read`, after the checks.
        config: fractions, seed, and which splits and labels may not be missing.
        voices: people may be heard, so that a speaker is worth naming; in noise nobody is.
    Raises:
        ManifestError: a split that must not be empty cannot be filled (a single file in all).
    """
    config = config or SplitConfig()
    keys = [group_key(item) for item in recordings]
    shared, told = _given_to_several(recordings)
    side = {key: item.split for key, item in zip(keys, recordings, strict=True) if item.split is not None}
    loose = frozenset(keys) - frozenset(side)
    side.update({key: _side(key, config) for key in loose})
    splits = [item.split or side[key] or "" for key, item in zip(keys, recordings, strict=True)]
    plan = _Plan(keys, splits, loose, told, shared)
    by_file = sum(item.split is None and item.speaker is None for item in recordings)
    if by_file and voices:
        plan.notes.append(
            f"{by_file} of {len(recordings)} recordings name no speaker and are split by file: one voice may "
            'be on both sides, which makes results too good; add a column "speaker"'
        )
    if loose:
        for wanted in sorted(config.ensure, key=lambda name: name != "train"):
            for label in (None, *config.ensure_labels):
                _fill(plan, recordings, wanted, label, config)
    for note in plan.notes:
        logger.info("%s", note)  # whoever asked for the split tells them
    assigned = [replace(item, split=name) for item, name in zip(recordings, plan.splits, strict=True)]
    return Split(assigned, tuple(plan.notes), tuple(sorted(set(plan.shared))))


def _given_to_several(recordings: Sequence[Recording]) -> tuple[list[str], list[str]]:
    """Return speakers that a manifest itself has in several splits because there is no other, and notes.

    There is no other where all recordings, or all of a label that is in several splits, are of one speaker.
    """
    speakers: dict[str | None, set[str | None]] = defaultdict(set)  # of each label; "" is everything
    given: dict[str | None, set[str]] = defaultdict(set)
    for entry in recordings:
        for label in ("", entry.label):
            speakers[label].add(entry.speaker)
            given[label].update([entry.split] if entry.split else [])
    alone: dict[str, set[str]] = {}
    for label, found in speakers.items():
        (name, *others) = found
        if name is not None and not others and len(given[label]) > 1:
            alone.setdefault(name, given[label])
    return sorted(alone), [
        f"{name} is the only speaker and in {' and '.join(sorted(splits))}, as the manifest says: miss "
        "rates are too good; record another person for an honest number"
        for name, splits in sorted(alone.items())
    ]


def _side(key: str, config: SplitConfig) -> str:
    """Place a group by its hash."""
    position = unit_hash(config.seed, "split", key)
    if position < config.test_fraction:
        return "test"
    return "dev" if position < config.test_fraction + config.dev_fraction else "train"


def _fill(
    plan: _Plan, recordings: Sequence[Recording], wanted: str, label: str | None, config: SplitConfig
) -> None:
    """Where ``wanted`` holds nothing (of a label), move the group with the lowest hash there."""
    pool = [index for index, item in enumerate(recordings) if label is None or item.label == label]
    if not pool:
        raise ManifestError(
            f"split: no recording is labelled `{label}`, which must be in {wanted}; mend the labels"
        )
    if any(plan.splits[index] == wanted for index in pool):
        return
    where = {plan.keys[index]: plan.splits[index] for index in pool}
    sizes = Counter(where.values())
    spare = {name for name in sizes if wanted == "train" or sizes[name] > 1 or name not in config.ensure}
    movable = [key for key in where if key in plan.loose and where[key] in spare]
    donors = [key for key in movable if where[key] == "train"] or movable
    if not donors:
        _share_speaker(plan, recordings, pool, wanted, label, config)
        return
    chosen = min(donors, key=lambda key: unit_hash(config.seed, f"ensure {wanted}", key))
    plan.splits = [
        wanted if key == chosen else name for key, name in zip(plan.keys, plan.splits, strict=True)
    ]
    plan.notes.append(f"{wanted} had no {label or 'recordings'}: {chosen} was moved there")


def _share_speaker(
    plan: _Plan,
    recordings: Sequence[Recording],
    pool: list[int],
    wanted: str,
    label: str | None,
    config: SplitConfig,
) -> None:
    """Move files of the only speaker: the one case in which a voice is on both sides."""
    files: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for index in pool:
        speaker = recordings[index].speaker
        if speaker is not None and plan.keys[index] in plan.loose and plan.splits[index] == "train":
            files[speaker][str(recordings[index].path)].append(index)
    speaker = max(sorted(files), key=lambda name: len(files[name]), default="")
    if len(files[speaker]) < 2:
        raise ManifestError(
            f"split: {wanted} needs at least one recording{f' labelled `{label}`' if label else ''}, but of "
            f"{len(pool)} there is no speaker or file to spare; add recordings, or give each a split"
        )
    own = sorted(files[speaker], key=lambda path: unit_hash(config.seed, f"files {wanted}", Path(path).name))
    share = config.dev_fraction if wanted == "dev" else config.test_fraction
    moved = own[: min(max(1, round(share * len(own))), len(own) - 1)]
    for path in moved:
        for index in files[speaker][path]:
            plan.splits[index] = wanted
    plan.shared.append(speaker)
    plan.notes.append(
        f"{label or 'everything'} is of one speaker, {speaker}: {len(moved)} file(s) went to {wanted}, which "
        "so shares the voice with train, and its miss rate is too good; record another person for an honest "
        "number"
    )
