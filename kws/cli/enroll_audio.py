"""Audio of ``kws enroll``: recordings of a phrase, and speech without it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from kws.audio_store import AudioStore

VERSIONS = 3
"""Of each recording, the first as it is."""


def read_clips(
    phrase: str, spoken: Sequence[str], source: Path, listed: Path, weights: Path | None
) -> tuple[list[np.ndarray], list[str]]:
    """Return the spoken part of each usable recording of a phrase, and why others are not used.

    Args:
        phrase: what is said in them.
        spoken: its pronunciations, phones between spaces.
        source: folder or manifest.
        listed: where the manifest of those that are used is written.
        weights: of the recogniser that listens whether the phrase is said; None takes what ships.
    Raises:
        ManifestError: none can be used.
    """
    from data_prep import checks, manifests
    from data_prep.config import CheckConfig
    from kws.cli.recordings import KEYWORD_LENGTH_S, select_keyword
    from kws.data import active_span
    from kws.encoders.sources.embedded_weights import load_recogniser
    from kws.enrollment.typed import is_like, reading
    from kws.errors import ManifestError
    from kws.manifest import read_manifest

    found, notes = select_keyword(manifests.read(source), phrase)
    usable = checks.check_all(found, CheckConfig(*KEYWORD_LENGTH_S), num_workers=1)
    notes += [
        f"{phrase}: not used: {check.rejection.message}" for check in usable.left_out if check.rejection
    ]
    manifests.write(usable.kept, listed)
    recogniser = load_recogniser(weights)
    clips = []
    for entry in read_manifest(listed):
        waveform = entry.load()
        clip = waveform[slice(*active_span(waveform))]
        heard = reading(recogniser, clip)
        if is_like(heard, spoken):
            clips.append(clip)
            continue
        notes.append(
            f"{phrase}: not used: {entry.path}: {len(heard)} phones are heard in it, the phrase has "
            f"{len(spoken[0].split())}; record the phrase alone"
        )
    if not clips:
        raise ManifestError(
            f"{phrase}: none of {len(found)} recordings in {source} can be used; give others, or none: "
            f"{notes[-1]}"
        )
    return clips, notes


def versions(clips: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return each clip as it is and in augmented versions; the same clips give the same versions."""
    from data_prep.augmentation.chain import default_chain

    augment = default_chain(None, seed=0).augment
    return [
        augment(clip, str(number), 0, version) if version else clip
        for number, clip in enumerate(clips)
        for version in range(VERSIONS)
    ]


def read_negatives(
    negatives: Sequence[Path], phrases: Sequence[str], output: Path, num_workers: int
) -> AudioStore:
    """Return the usable recordings without the phrases; the manifest of them is written into ``output``."""
    from data_prep import checks, manifests
    from kws.audio_store import AudioStore
    from kws.cli.recordings import select_negatives
    from kws.manifest import read_manifest

    other, _ = select_negatives(manifests.read_all(negatives), phrases)
    usable = checks.check_all(other, num_workers=num_workers, cache=output / "cache" / "measurements.jsonl")
    manifests.write(usable.kept, output / "data" / "negatives.jsonl")
    return AudioStore(
        read_manifest(output / "data" / "negatives.jsonl"), None, num_workers, "background speech"
    )
