"""Which recording is for training, which for choosing, which for reporting: a stable hash of the speaker decides.

Called by ``data_prep.prepare`` after the checks. The same speaker lands on the same side on every machine, in any
order and whatever other recordings there are, so that adding data never moves a test speaker into training.
"""

from __future__ import annotations

import hashlib
import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from data_prep.manifests import SPLITS, Recording
from kws.errors import ConfigError, ManifestError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SplitConfig:
    """How recordings are shared out."""

    dev_fraction: float = 0.1
    """Share of speakers for choosing thresholds and stopping, in [0, 1)."""
    test_fraction: float = 0.1
    """Share of speakers for reporting, in [0, 1)."""
    seed: int = 0
    """Another seed gives another split."""
    ensure: tuple[str, ...] = ("dev",)
    """Splits that get at least one item, if need be by taking a speaker, or files of the only speaker, from train."""

    def __post_init__(self) -> None:
        """Refuse fractions that leave nothing to train on."""
        if min(self.dev_fraction, self.test_fraction) < 0 or self.dev_fraction + self.test_fraction >= 1:
            raise ConfigError(
                f"split: dev_fraction {self.dev_fraction} and test_fraction {self.test_fraction} must not be negative "
                "and together be below 1; lower them"
            )
        if unknown := set(self.ensure) - set(SPLITS):
            raise ConfigError(f"split.ensure: got {', '.join(sorted(unknown))}, allowed: {', '.join(SPLITS)}")


@dataclass(frozen=True, slots=True)
class Split:
    """Recordings with their splits, and what a person should know about them."""

    recordings: list[Recording]
    """In the order given, each with a split."""
    notes: tuple[str, ...] = ()
    """Sentences for the report."""
    shared_speakers: tuple[str, ...] = ()
    """Speakers that are in two splits because there is no other; pass to ``manifests.validate(allow_shared=…)``."""


def unit_hash(seed: int, stage: str, item: str) -> float:
    """Return a number in [0, 1) that depends on nothing but the arguments (never on ``PYTHONHASHSEED``)."""
    digest = hashlib.blake2b(f"{seed}\n{stage}\n{item}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def group_key(recording: Recording) -> str:
    """Return what must stay on one side: the speaker, or the file where no speaker is known."""
    if recording.speaker is not None:
        return f"speaker:{recording.speaker}"
    return f"file:{recording.path.parent.name}/{recording.path.name}"


def split(recordings: Sequence[Recording], config: SplitConfig | None = None) -> Split:
    """Give every recording a split; splits that are given already stay.

    A recording without a split follows its speaker where other recordings of the speaker have one.

    Args:
        recordings: from :func:`data_prep.manifests.read`, after the checks.
        config: fractions, seed and which splits may not be empty.
    Raises:
        ManifestError: a split that must not be empty cannot be filled (a single file in all).
    """
    config = config or SplitConfig()
    notes: list[str] = []
    side = {group_key(item): item.split for item in recordings if item.split is not None}
    loose = sorted({group_key(item) for item in recordings if item.split is None} - set(side))
    side.update({key: _side(key, config) for key in loose})
    unknown = sum(item.split is None and item.speaker is None for item in recordings)
    if unknown:
        notes.append(
            f"{unknown} of {len(recordings)} recordings name no speaker and are split by file: one voice may be on both "
            "sides, which makes results too good; add a `speaker` column"
        )
    assigned = [item if item.split else replace(item, split=side[group_key(item)]) for item in recordings]
    shared: list[str] = []
    for wanted in config.ensure:
        assigned = _ensure(wanted, assigned, set(loose), config, notes, shared)
    for note in notes:
        logger.warning("%s", note)
    return Split(assigned, tuple(notes), tuple(sorted(set(shared))))


def _side(key: str, config: SplitConfig) -> str:
    """Place a group by its hash."""
    position = unit_hash(config.seed, "split", key)
    if position < config.test_fraction:
        return "test"
    return "dev" if position < config.test_fraction + config.dev_fraction else "train"


def _ensure(
    wanted: str,
    recordings: list[Recording],
    loose: set[str],
    config: SplitConfig,
    notes: list[str],
    shared: list[str],
) -> list[Recording]:
    """Move the group with the lowest hash to an empty split, or some files of the only speaker."""
    if not recordings or any(item.split == wanted for item in recordings):
        return recordings
    groups: dict[str, list[int]] = defaultdict(list)
    for index, item in enumerate(recordings):
        groups[group_key(item)].append(index)
    sizes: dict[str, int] = defaultdict(int)
    for key in groups:
        sizes[recordings[groups[key][0]].split or ""] += 1
    movable = [key for key in groups if key in loose and sizes[recordings[groups[key][0]].split or ""] > 1]
    donors = [key for key in movable if recordings[groups[key][0]].split == "train"] or movable
    if donors:
        chosen = min(donors, key=lambda key: unit_hash(config.seed, f"ensure-{wanted}", key))
        moved = set(groups[chosen])
        notes.append(
            f"{wanted} was empty: {chosen.removeprefix('speaker:').removeprefix('file:')} was moved there"
        )
        return [
            replace(item, split=wanted) if index in moved else item for index, item in enumerate(recordings)
        ]
    return _split_one_speaker(wanted, recordings, loose, config, notes, shared)


def _split_one_speaker(
    wanted: str,
    recordings: list[Recording],
    loose: set[str],
    config: SplitConfig,
    notes: list[str],
    shared: list[str],
) -> list[Recording]:
    """Take files of the speaker with most recordings; this is the one case where a voice is on both sides."""
    files: dict[str, set[str]] = defaultdict(set)
    for item in recordings:
        if item.speaker is not None and group_key(item) in loose:
            files[item.speaker].add(str(item.path))
    speaker = max(sorted(files), key=lambda name: len(files[name]), default=None)
    if speaker is None or len(files[speaker]) < 2:
        raise ManifestError(
            f"split: nothing can be moved to `{wanted}`, which must not be empty: {len(recordings)} recording(s), and no "
            "speaker or file to spare; add recordings, give a split column, or remove it from split.ensure"
        )
    share = max(config.dev_fraction if wanted == "dev" else config.test_fraction, 1e-9)
    own = sorted(
        files[speaker], key=lambda path: unit_hash(config.seed, f"files-{wanted}", path.rsplit("/", 1)[-1])
    )
    moved = set(own[: min(max(1, round(share * len(own))), len(own) - 1)])
    shared.append(speaker)
    notes.append(
        f"all recordings to choose from are of {speaker}: {len(moved)} file(s) went to {wanted}, so that {wanted} shares "
        "the voice with train and its miss rate is too good; record another person for an honest number"
    )
    return [
        replace(item, split=wanted) if item.speaker == speaker and str(item.path) in moved else item
        for item in recordings
    ]
