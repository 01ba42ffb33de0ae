"""Audio of ``kws enroll``: recordings of a phrase, and speech without it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np

    from kws.data import Augment
    from kws.enrollment.typed import RecordingsConfig
    from kws.workflows.roles import OwnRecordings


def read_clips(
    phrase: str,
    spoken: Sequence[str],
    source: Path,
    listed: Path,
    weights: Path | None,
    own: OwnRecordings | None = None,
    config: RecordingsConfig | None = None,
) -> tuple[list[np.ndarray], list[str]]:
    """Return the spoken part of each usable recording of a phrase, and why others are not used.

    Args:
        phrase: what is said in them.
        spoken: its pronunciations, phones between spaces.
        source: folder or manifest.
        listed: where the manifest of those that are used is written.
        weights: of the recogniser that listens whether the phrase is said; None takes what ships.
        own: gets the recordings, to be found again in other roles.
        config: which are used; None takes the defaults.
    Raises:
        ManifestError: none can be used.
    """
    from data_prep import checks, manifests
    from data_prep.config import CheckConfig
    from data_prep.copies import with_hashes
    from kws.encoders.sources.embedded_weights import load_recognizer
    from kws.enrollment.notes import unlike_the_phrase
    from kws.enrollment.typed import RECORDINGS, is_like, reading
    from kws.errors import ManifestError
    from kws.manifest import read_manifest
    from kws.speech_span import TRAINING, speech_span
    from kws.workflows.recordings import KEYWORD_LENGTH_S, select_keyword

    notes: list[str] = []
    found, said = select_keyword(manifests.read(source, notes), phrase)
    notes += said
    usable = checks.check_all(found, CheckConfig(*KEYWORD_LENGTH_S), num_workers=1)
    notes += [
        f"{phrase}: not used: {check.rejection.message}" for check in usable.left_out if check.rejection
    ]
    kept = with_hashes(usable)
    if own is not None:
        own.known.add([*found, *kept])
    manifests.write(kept, listed)
    recognizer = load_recognizer(weights)
    clips = []
    for entry in read_manifest(listed):
        waveform = entry.load()
        clip = waveform[slice(*speech_span(waveform, TRAINING))]
        heard = reading(recognizer, clip)
        if is_like(heard, spoken, config or RECORDINGS):
            clips.append(clip)
            continue
        notes.append(unlike_the_phrase(phrase, entry.path, len(heard), len(spoken[0].split())))
    if not clips:
        raise ManifestError(
            f"{phrase}: none of {len(found)} recordings in {source} can be used; give others, or none: "
            f"{notes[-1]}"
        )
    return clips, notes


def versions(clips: Sequence[np.ndarray], count: int) -> list[np.ndarray]:
    """Return each clip as it is and augmented, ``count`` in all; the same clips give the same versions."""
    from data_prep.augmentation.chain import default_chain

    augment = default_chain(None, seed=0).augment
    return [
        augment(clip, str(number), 0, version) if version else clip
        for number, clip in enumerate(clips)
        for version in range(count)
    ]


def augmentation(noise: Sequence[Path], own: OwnRecordings | None = None) -> tuple[Augment, list[str]]:
    """Return the default augmentation with own noise, and what is wrong with noise that cannot be read.

    Args:
        noise: folders or manifests; none makes noise.
        own: recordings of the phrases, which are no noise.
    Raises:
        ManifestError: all of it is held out for tests, or of a phrase.
    """
    from data_prep.augmentation.banks import NoiseBank
    from data_prep.augmentation.chain import default_chain
    from data_prep.augmentation.made_noise import made_noises
    from kws.errors import ManifestError
    from kws.workflows.roles import OwnRecordings

    bank: NoiseBank | None = None
    unreadable: list[str] = []
    passed: list[str] = []
    if noise:
        own = own or OwnRecordings("recordings")
        found = own.without_samples("noise", own.read_others("noise", noise, passed))
        given = [entry.path for entry in found if entry.split != "test"]
        if not given:
            raise ManifestError(
                f"`noise` {', '.join(map(str, noise))}: all recordings are of split test; give others"
            )
        bank, unreadable = NoiseBank.of_readable(given)
    else:
        made_noises(0)  # once, before worker processes share it
    notes = [*passed, *(f"noise: not used: {reason}" for reason in unreadable)]
    return default_chain(bank, seed=0).augment, notes


class OtherSpeech(NamedTuple):
    """Speech without the phrases that thresholds are chosen on.

    Attributes:
        samples: (samples,) int16, the recordings as they are.
        rows: copies in noise and rooms: the number of a row of ``ROW_S`` in ``samples``, and (samples,)
            int16.
        copies: how many of each recording.
        notes: how many recordings were left out, and why.
    """

    samples: np.ndarray
    rows: Sequence[tuple[int, np.ndarray]]
    copies: float
    notes: Sequence[str] = ()


def read_negatives(
    negatives: Sequence[Path],
    phrases: Sequence[str],
    output: Path,
    augment: Augment,
    false_accepts_per_hour: float,
    num_workers: int,
    split: str | None = None,
    own: OwnRecordings | None = None,
    dev_copies: int = 3,
) -> OtherSpeech:
    """Return the usable recordings without the phrases, with up to ``dev_copies`` augmented copies.

    Of a ``split`` alone where one is given, and without ``own`` recordings of the phrases. The manifest of
    the recordings is written into ``output``.
    """
    from data_prep import checks, manifests
    from kws.audio_store import AudioStore
    from kws.manifest import read_manifest
    from kws.training.copies import augmented_copies, num_copies
    from kws.workflows.recordings import select_negatives
    from kws.workflows.roles import OwnRecordings

    own = own or OwnRecordings("recordings")
    notes: list[str] = []
    found = own.read_others("negatives", negatives, notes)
    other, said = select_negatives([entry for entry in found if split in (None, entry.split)], phrases)
    notes += said
    usable = checks.check_all(other, num_workers=num_workers, cache=output / "cache" / "measurements.jsonl")
    manifests.write(own.kept("negatives", usable), output / "data" / "negatives.jsonl")
    store = AudioStore(
        read_manifest(output / "data" / "negatives.jsonl"), None, num_workers, "background speech"
    )
    copies = num_copies(store.hours, false_accepts_per_hour, dev_copies)
    rows = augmented_copies(store, augment, 0, copies, num_workers) if copies else ()
    return OtherSpeech(store.samples, list(rows), copies, notes)
