"""What of a corpus cannot be learnt from: found before training, named with the reason, and counted."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from kws import audio
from kws.encoders.sources.embedded import HOP_SAMPLES
from kws.errors import AudioError, ManifestError
from kws.manifest import Recording

logger = logging.getLogger(__name__)

TAIL_S = 0.36
"""Silence after each utterance: a causal recogniser names a phone some frames after it was spoken."""
SILENT_RANGE = 66
"""Lowest to highest int16 sample of a silent recording: a peak of -60 dB of full scale."""
MISSING_S, MISSING_SHARE = 0.05, 0.1
"""A file that is shorter than its manifest says by more than both is cut short: lengths are rounded."""


class LeftOut(NamedTuple):
    """A line of a manifest that is not used.

    Attributes:
        where: manifest and line, or the file.
        reason: what is wrong with it, what was given and what to do.
        is_fault: False where the line only lacks a transcript, which many corpora do.
    """

    where: str
    reason: str
    is_fault: bool = True


def fewest_frames(targets: Sequence[int]) -> int:
    """Return how many frames CTC needs: one for each phone, and a blank between two that are the same."""
    return len(targets) + sum(left == right for left, right in zip(targets, targets[1:], strict=False))


def num_frames(num_samples: int) -> int:
    """Return the encoder frames of so many samples with ``TAIL_S`` of silence after them."""
    return (num_samples + audio.seconds_to_samples(TAIL_S)) // HOP_SAMPLES


def read_speech(entry: Recording) -> np.ndarray:
    """Read an utterance as int16, or say why it cannot be learnt from.

    Raises:
        AudioError: the file cannot be read, is silent, or shorter than the manifest says.
    """
    samples = audio.to_int16(entry.load())
    heard_s = audio.samples_to_seconds(len(samples))
    if entry.length_s - heard_s > max(MISSING_S, MISSING_SHARE * entry.length_s):
        raise AudioError(
            f"{entry.path}: {heard_s:.2f} s could be read, the manifest says {entry.length_s:.2f} s; copy "
            "the file again, or mend `duration_s`"
        )
    if int(samples.max()) - int(samples.min()) < SILENT_RANGE:
        raise AudioError(f"{entry.path}: silent; record it again or remove the line")
    return samples


def shortage(entry: Recording, targets: Sequence[int], num_samples: int) -> str | None:
    """Return why the phones of an utterance cannot be said in its time, or None: they can.

    Args:
        entry: a line of a manifest.
        targets: phone indices of its transcript; empty where it has none.
        num_samples: its length.
    """
    frames = num_frames(num_samples)
    if fewest_frames(targets) <= frames:
        return None
    heard_s = audio.samples_to_seconds(num_samples)
    return (
        f"{entry.path}: {heard_s:.2f} s, {frames} frames with the tail, cannot hold the {len(targets)} "
        "phones of the transcript; mend the transcript or the length"
    )


def refuse_too_many(left_out: Sequence[LeftOut], total: int, largest_share: float) -> None:
    """Refuse a corpus of which too much, or everything, cannot be used.

    Args:
        left_out: of its lines; faults alone count.
        total: lines with a transcript, and those that need none.
        largest_share: of them that may be left out.
    Raises:
        ManifestError: more is left out; the first is named.
    """
    faults = [entry for entry in left_out if entry.is_fault]
    if faults and (len(faults) >= total or len(faults) > largest_share * total):
        what = "all" if len(faults) >= total else f"{len(faults)} of"
        raise ManifestError(
            f"{what} {total} lines cannot be used (max_left_out allows {largest_share:.0%}); the first: "
            f"{described(faults[0])}"
        )


def described(entry: LeftOut) -> str:
    """Return the place and what is wrong there, in one sentence."""
    return f"{entry.where}: {entry.reason}"


def warn(left_out: Sequence[LeftOut], what: str) -> None:
    """Log how many lines are left out of ``what``, and the first of each kind."""
    for is_fault, reason in ((True, "cannot be used"), (False, "have no transcript")):
        found = [entry for entry in left_out if entry.is_fault == is_fault]
        if found:
            logger.warning("%s: %d lines %s; the first: %s", what, len(found), reason, described(found[0]))
