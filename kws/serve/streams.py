"""One client's audio through the models that it chose; runs in worker threads, never in two at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kws.audio import SAMPLE_RATE, seconds_to_samples
from kws.decisions import Detection
from kws.detector import Detector
from kws.serve.library import Catalog, ServedFile
from kws.serve.pcm import PcmConverter, PcmFormat

KEPT_S = 2.0
"""Audio that a stream keeps in memory, so that a model which comes in has heard what was said before it."""

CATCH_UP_S = 0.5
"""How old a detection may be that a model which comes in finds in it: the one before may not have told it."""


@dataclass(frozen=True, slots=True)
class StreamDetection:
    """A detection under the name that the client chose, at the client's own time."""

    name: str
    score: float
    time_ms: int
    """End of the frame that fired, in milliseconds: by the client's time stamps, or from the start."""


class _Voice:
    """One file in one stream: its detector, and the names that are asked of it.

    Args:
        file: that is heard.
        first_sample: of the stream that the detector hears.
    """

    def __init__(self, file: ServedFile, first_sample: int) -> None:
        self.detector: Detector = file.detector.new_stream()
        self.first_sample = first_sample
        self.names: dict[str, str] = {}

    def lacks(self, num_samples: int) -> int:
        """Return how many samples are wanting before the model runs, after so many of the stream."""
        chunk = self.detector.chunk_samples
        return chunk - (num_samples - self.first_sample) % chunk

    def heard(self, detections: list[Detection]) -> list[tuple[float, str, float]]:
        """Return time in the stream in seconds, name and score of what was asked for."""
        return [
            (found.time_s + self.first_sample / SAMPLE_RATE, self.names[found.keyword], found.score)
            for found in detections
            if found.keyword in self.names
        ]


class AudioStream:
    """From ``audio-start`` to ``audio-stop`` of one client.

    Args:
        form: of the audio.
        names: that the client chose; None for every model, also one that is added later.
    """

    def __init__(self, form: PcmFormat, names: Sequence[str] | None) -> None:
        self.form = form
        self._converter = PcmConverter(form)
        self._names = names
        self._catalog = Catalog()
        self._voices: dict[ServedFile, _Voice] = {}
        self._num_samples = 0
        self._kept = np.zeros(0, np.float32)
        self._last_s: dict[str, float] = {}
        self._held = b""  # less than a chunk of any model
        self._ahead_ms: float = 0  # of the client's time stamps before the stream's own clock
        self.num_detections = 0

    def start_at(self, timestamp_ms: int | None) -> None:
        """Count time from the client's time stamp of the start, if it has one."""
        if timestamp_ms is not None:
            self._ahead_ms = timestamp_ms

    def choose(self, names: Sequence[str] | None) -> None:
        """Take other names from the next piece on."""
        self._names, self._catalog = names, Catalog()

    def holds(self, data: bytes, catalog: Catalog, timestamp_ms: int | None = None) -> bool:
        """Keep a piece for the next push where no model can run on it yet; returns whether it was kept.

        It costs next to nothing, so that small pieces need no turn of a worker thread.
        """
        if self.form.rate_hz != SAMPLE_RATE or catalog is not self._catalog or not self._voices:
            return False
        num_samples = self._samples_held(data)
        if any(voice.lacks(self._num_samples) <= num_samples for voice in self._voices.values()):
            return False
        self._note_time(timestamp_ms)
        self._held += data
        return True

    def push(self, data: bytes, catalog: Catalog, timestamp_ms: int | None = None) -> list[StreamDetection]:
        """Hear the next piece.

        Args:
            data: samples in the form of the stream.
            catalog: models of now; where it is another one than before, the stream goes on with those.
            timestamp_ms: the client's time at the start of the piece.
        """
        self._note_time(timestamp_ms)
        return self._hear(self._converter.push(self._with_held(data)), catalog)

    def change_form(self, form: PcmFormat, catalog: Catalog) -> list[StreamDetection]:
        """Go on in another form of audio; returns what the last samples of the old one bring."""
        rest = self._converter.push(self._with_held(b""), last=True)
        self.form, self._converter = form, PcmConverter(form)
        return self._hear(rest, catalog)

    def finish(self, catalog: Catalog) -> list[StreamDetection]:
        """End the stream, so that a phrase at its very end is heard."""
        heard = self._hear(self._converter.push(self._with_held(b""), last=True), catalog)
        found = [item for voice in self._voices.values() for item in voice.heard(voice.detector.finish())]
        return heard + self._told(found)

    def _samples_held(self, data: bytes = b"") -> int:
        """Return how many samples are kept for the next push, with those of a piece."""
        return (len(self._held) + len(data)) // self.form.frame_bytes

    def _with_held(self, data: bytes) -> bytes:
        """Return a piece with what was kept before it."""
        held, self._held = self._held, b""
        return held + data if held else data

    def _note_time(self, timestamp_ms: int | None) -> None:
        """Set the stream's clock by the client's time of the next sample."""
        if timestamp_ms is not None:
            num_samples = self._num_samples + self._samples_held()
            self._ahead_ms = timestamp_ms - 1000 * num_samples / SAMPLE_RATE

    def _hear(self, waveform: np.ndarray, catalog: Catalog) -> list[StreamDetection]:
        found = self._follow(catalog)
        for voice in self._voices.values():
            found += voice.heard(voice.detector.process(waveform))
        self._num_samples += len(waveform)
        self._kept = np.concatenate([self._kept, waveform])[-seconds_to_samples(KEPT_S) :]
        return self._told(found)

    def _follow(self, catalog: Catalog) -> list[tuple[float, str, float]]:
        """Go on with the models of a catalog; returns what a model that comes in for another still finds.

        A file that stays goes on with its state. One that comes in first hears what was kept.
        """
        if catalog is self._catalog:
            return []
        self._catalog = catalog
        before, self._voices = self._voices, {}
        names_before = {name for voice in before.values() for name in voice.names.values()}
        for model in catalog.chosen(self._names):
            if model.file not in self._voices:
                voice = before.get(model.file) or _Voice(model.file, self._kept_from(model.file))
                voice.names = {}
                self._voices[model.file] = voice
            self._voices[model.file].names[model.keyword] = model.name
        found: list[tuple[float, str, float]] = []
        for file, voice in self._voices.items():
            if file not in before:
                found += self._catch_up(voice, names_before)
        return found

    def _kept_from(self, file: ServedFile) -> int:
        """Return from which sample of the stream on a file that comes in hears it: where a chunk begins."""
        first = self._num_samples - len(self._kept)
        return first + -first % file.detector.chunk_samples

    def _catch_up(self, voice: _Voice, names: set[str]) -> list[tuple[float, str, float]]:
        """Let a voice hear what was kept; returns what of these names was said just now and not yet told."""
        kept = self._kept[max(0, len(self._kept) - (self._num_samples - voice.first_sample)) :]
        oldest_s = self._num_samples / SAMPLE_RATE - CATCH_UP_S
        apart_s = voice.detector.decision_config.refractory_s
        return [
            (time_s, name, score)
            for time_s, name, score in voice.heard(voice.detector.process(kept))
            if name in names and time_s > max(oldest_s, self._last_s.get(name, -apart_s) + apart_s)
        ]

    def _told(self, found: list[tuple[float, str, float]]) -> list[StreamDetection]:
        """Return detections as the client is told them, in the order of time."""
        self.num_detections += len(found)
        for time_s, name, _ in found:
            self._last_s[name] = time_s
        return [
            StreamDetection(name, score, round(1000 * time_s + self._ahead_ms))
            for time_s, name, score in sorted(found)
        ]
