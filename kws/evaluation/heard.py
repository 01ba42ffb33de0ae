"""What a detector hears in a test by its protocol: clips amid their surroundings, and a stream of negatives.

``kws.workflows.protocol_audio`` opens it with noise and rooms; `kws eval` scores what it gives at once, and
`kws study` keeps it on disk first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kws import audio
from kws.audio import samples_to_seconds, seconds_to_samples
from kws.errors import ConfigError
from kws.evaluation.protocol import TestProtocol
from kws.manifest import Recording
from kws.speech_span import EVALUATION, speech_span

Change = Callable[[np.ndarray, str, int, int], np.ndarray]
"""``change(waveform, item_id, lead_samples, tail_samples) -> int16 samples`` with so much heard before and
after; the same item, the same result."""


@dataclass(frozen=True, slots=True)
class HeardClip:
    """A clip of the keyword amid its surroundings.

    Attributes:
        utterance: the recording.
        samples: (samples,) int16, lead and tail included.
        num_samples: of the recording in them.
        lead_s: where the recording begins in them, in seconds.
        start_s: where the keyword begins in the recording, from its manifest or by energy, in seconds.
        end_s: where it ends.
    """

    utterance: Recording
    samples: np.ndarray
    num_samples: int
    lead_s: float
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class HeardPiece:
    """A recording of the stream of negatives.

    Attributes:
        utterance: the recording.
        pieces: its (samples,) int16, in order.
        gap_samples: silence after it.
        is_copy: it was heard before, and is changed here.
    """

    utterance: Recording
    pieces: Iterator[np.ndarray]
    gap_samples: int
    is_copy: bool


class HeardAudio:
    """Makes the audio of a test.

    Args:
        protocol: of the test.
        changes: what is done to a clip, by condition; those that are missing leave it as it is.
        copies: what is done to a copy of a negative, by name.
        noise: recordings that are part of the negatives.
    Raises:
        ConfigError: a condition of the protocol changes clips, and nothing is given for it.
    """

    def __init__(
        self,
        protocol: TestProtocol,
        changes: Mapping[str, Change] | None = None,
        copies: Mapping[str, Change] | None = None,
        noise: Sequence[Recording] = (),
    ) -> None:
        self.protocol, self.noise = protocol, tuple(noise)
        self._changes, self._copies = dict(changes or {}), dict(copies or {})
        for kind, wanted, given in (
            ("conditions", protocol.conditions, self._changes),
            ("copies", protocol.copies, self._copies),
        ):
            lacking = [name for name, keys in wanted.items() if keys and name not in given]
            if lacking:
                raise ConfigError(f"protocol.{kind}.{lacking[0]}: nothing makes it here; leave it out")

    def clip(self, utterance: Recording, condition: str) -> HeardClip:
        """Return a clip in a condition, with its lead and tail.

        Raises:
            AudioError: the recording cannot be read.
        """
        waveform = np.concatenate(list(utterance.pieces()))
        lead, tail = (seconds_to_samples(s) for s in (self.protocol.lead_s, self.protocol.tail_s))
        samples = self._changes.get(condition, unchanged)(waveform, utterance.item_id, lead, tail)
        num_samples = len(samples) - lead - tail
        slower = num_samples / len(waveform)
        start_s, end_s = map(samples_to_seconds, speech_span(waveform, EVALUATION))
        return HeardClip(
            utterance,
            samples,
            num_samples,
            samples_to_seconds(lead),
            slower * float(utterance.extra.get("keyword_start_s", start_s)),
            slower * float(utterance.extra.get("keyword_end_s", end_s)),
        )

    def stream(self, speech: Sequence[Recording]) -> Iterator[HeardPiece]:
        """Yield the negatives: speech as it is, noise, then a changed copy of each of the speech.

        Raises:
            AudioError: a recording cannot be read.
        """
        gap = seconds_to_samples(self.protocol.gap_s)
        for utterance in speech:
            yield HeardPiece(utterance, map(audio.to_int16, utterance.pieces()), gap, False)
        for utterance in self.noise:
            yield HeardPiece(utterance, map(audio.to_int16, utterance.pieces()), 0, False)
        in_turn = list(self._copies.values())
        for number, utterance in enumerate(speech if in_turn else ()):
            waveform = np.concatenate(list(utterance.pieces()))
            changed = in_turn[number % len(in_turn)](waveform, utterance.item_id, 0, 0)
            yield HeardPiece(utterance, iter([changed]), gap, True)


def unchanged(waveform: np.ndarray, item_id: str, lead_samples: int, tail_samples: int) -> np.ndarray:
    """Return a recording as it is with silence around it; a :data:`Change`."""
    return audio.to_int16(np.pad(waveform, (lead_samples, tail_samples)))
