"""Recorded room impulse responses: a folder of them, or a manifest such as that of the corpus rirs_noises."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from data_prep import manifests
from data_prep.augmentation.room import RoomBank
from kws.errors import AudioError, ConfigError

RESPONSE = "rir"
"""Label of a response in a manifest that holds noise, too."""
MOST_RESPONSES = 1000
"""Of more, so many are taken evenly: each takes up to 96 kB."""


def read_rooms(
    sources: Sequence[str | Path], unwanted_splits: Iterable[str] = (), notes: list[str] | None = None
) -> RoomBank | None:
    """Read recorded responses and check each.

    Args:
        sources: folders of audio files, or manifests. Where a label says `rir`, recordings of other labels
            are left out.
        unwanted_splits: responses of these are left out, so that training and test meet different rooms.
        notes: gets how many responses there are.
    Returns:
        The responses, or None where no source is given.
    Raises:
        ManifestError: a source cannot be read.
        ConfigError: a file cannot be read or holds no impulse response, or none is left.
    """
    if not sources:
        return None
    found = manifests.read_all(sources)
    if any(entry.label == RESPONSE for entry in found):
        found = [entry for entry in found if entry.label == RESPONSE]
    unwanted = set(unwanted_splits)
    kept = [entry for entry in found if entry.split not in unwanted]
    if not kept:
        raise ConfigError(
            f"`rooms` {', '.join(map(str, sources))}: all {len(found)} responses are of split "
            f"{' or '.join(sorted(unwanted))}; give others"
        )
    kept = kept[:: -(-len(kept) // MOST_RESPONSES)]
    bank = RoomBank(paths=tuple(entry.path for entry in kept))
    try:
        number = len(bank.responses)
    except (AudioError, ConfigError) as error:
        raise ConfigError(f"`rooms`: {error}") from error
    if notes is not None:
        notes.append(f"rooms: {number} recorded impulse responses take the place of simulated rooms")
    return bank
