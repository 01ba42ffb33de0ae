"""Recordings of another word than the keyword, noticed before they are learnt from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from kws.encoders.ctc import PhoneRecognizer
    from kws.manifest import Recording

LISTENED_TO = 12
"""Recordings of each keyword that are listened to, taken evenly from all."""
NAMED = 3
"""Files that a note names."""


def other_words(
    keywords: Sequence[str],
    positives: Path,
    language: str,
    spoken: Sequence[Sequence[str]] = (),
    *,
    clip: Callable[[Recording], np.ndarray] | None = None,
) -> list[str]:
    """Say which keywords most recordings of a run do not sound like.

    Args:
        keywords: the phrases.
        positives: manifest of their recordings, ``label`` says of which.
        language: eSpeak language code of the keywords.
        spoken: pronunciations of each, phones between spaces; empty asks eSpeak.
        clip: gives (samples,) int16 of a recording; None decodes it.
    """
    from kws.audio import to_float32
    from kws.decoded_audio import decode
    from kws.encoders.sources.embedded_weights import load_recognizer
    from kws.errors import AudioError
    from kws.manifest import read_manifest

    recognizer = load_recognizer(None)
    recordings = read_manifest(positives)
    notes = []
    for keyword, said in zip(keywords, spoken or [()] * len(keywords), strict=True):
        own = [entry for entry in recordings if entry.label == keyword]
        heard = []
        for entry in own[:: -(-len(own) // LISTENED_TO) or 1]:
            try:
                heard.append((entry.path, to_float32((clip or decode)(entry))))
            except AudioError:
                continue  # said where it is learnt from
        notes += other_word(keyword, heard, language, recognizer, said)
    return notes


def other_word(
    keyword: str,
    recordings: Sequence[tuple[Path, np.ndarray]],
    language: str,
    recognizer: PhoneRecognizer,
    spoken: Sequence[str] = (),
) -> list[str]:
    """Return a note where most recordings do not sound like a keyword; none where its phones are not known.

    Args:
        keyword: the phrase.
        recordings: file and (samples,) float32 of each.
        language: eSpeak language code.
        recognizer: the one that ships.
        spoken: pronunciations, phones between spaces; empty asks eSpeak.
    """
    from data_prep.synthesis.phones import pronunciations
    from kws.enrollment.likeness import Likeness
    from kws.errors import KwsError

    try:
        spoken = spoken or [" ".join(phones) for phones in pronunciations(keyword, language)]
    except KwsError:
        return []
    if not any(map(str.strip, spoken)):
        return []
    likeness = Likeness(recognizer, spoken, english=language.split("-")[0] == "en")
    unlike = [path for path, waveform in recordings if not likeness.sounds_like(waveform)]
    if 2 * len(unlike) <= len(recordings):
        return []
    named = ", ".join(str(path) for path in unlike[:NAMED])
    return [
        f"{keyword}: {len(unlike)} of {len(recordings)} recordings that were listened to do not sound like "
        f"{keyword!r} ({spoken[0]}); listen to them: {named}"
    ]
