"""Many streams of audio through one exported file, in batches: :class:`DetectorPool`.

Imports numpy and onnxruntime and no torch. A batch reads the weights once for all of its streams, so that a
stream costs a fraction of what a :class:`kws.Detector` of its own costs::

    pool = kws.DetectorPool("hey_computer.onnx")
    kitchen, hall = pool.add(), pool.add()
    for stream, detections in pool.process({kitchen: block, hall: other_block}).items():
        ...
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from kws.decisions import DecisionState, Detection, decide
from kws.detector import NOTHING, Detector, within_stream
from kws.errors import CheckpointError, ConfigError
from kws.exported import StateTensor
from kws.one_thread import OneThread
from kws.pcm import to_float32

MAX_BATCH = 128
"""Most streams of one run: more take memory and no less time each."""


@dataclass(slots=True)
class _Stream:
    """What is kept of one stream beside its row of the state."""

    row: int
    pending: np.ndarray = field(default_factory=lambda: NOTHING)
    num_samples: int = 0
    decision: DecisionState | None = None


class DetectorPool(OneThread):
    """Listens to many streams at once for the keywords of one exported file.

    Streams join and leave at any time. Each gives the scores and detections that a :class:`kws.Detector` of
    its own would give: scores within 1e-6, as products of larger matrices are rounded otherwise. A pool
    serves one thread.

    Args:
        path: the ``.onnx`` file, or the folder of a run that holds ``model.onnx``. Files whose graph takes
            one stream only (int8, sliding encoders, earlier versions) are run stream by stream.
        threshold: see :class:`kws.Detector`, as are the arguments that follow it there.
        max_streams: most streams at a time; bounds memory.
        settings: further arguments of :class:`kws.Detector`, such as ``num_threads`` or ``refractory_s``.
    Raises:
        CheckpointError, ConfigError: see :class:`kws.Detector`.
    """

    def __init__(
        self,
        path: str | Path,
        threshold: float | Mapping[str, float] | None = None,
        *,
        max_streams: int = 1000,
        **settings: float | int | None,
    ) -> None:
        super().__init__()
        if max_streams < 1:
            raise ConfigError(f"`max_streams`: got {max_streams}, allowed: 1 or more")
        self._detector = Detector(path, threshold, **settings)  # type: ignore[arg-type]
        self._max_streams = max_streams
        self._states = self._detector.graph.states
        self._rows = [_zeros(state, 0) for state in self._states]
        self._capacity = 0
        self._free: list[int] = []
        self._streams: dict[int, _Stream] = {}
        self._next = 0

    @property
    def keywords(self) -> tuple[str, ...]:
        """Names of the keywords, in the order of the score columns."""
        return self._detector.keywords

    @property
    def chunk_samples(self) -> int:
        """Samples of a stream that must be there before it is run."""
        return self._detector.chunk_samples

    @property
    def streams(self) -> tuple[int, ...]:
        """Numbers of the streams that are there."""
        return tuple(self._streams)

    def __len__(self) -> int:
        """Return how many streams are there."""
        return len(self._streams)

    def add(self) -> int:
        """Begin a stream and return its number, which no other stream of the pool ever has.

        Raises:
            ConfigError: there are ``max_streams`` already.
        """
        with self._alone():
            if len(self._streams) >= self._max_streams:
                raise ConfigError(
                    f"`max_streams`: {self._max_streams} streams are there already; remove one, or allow more"
                )
            if not self._free:
                self._grow()
            row = self._free.pop()
            for state, rows in zip(self._states, self._rows, strict=True):
                rows[_at(state, row)] = 0
            number = self._next
            self._next += 1
            self._streams[number] = _Stream(row)
            return number

    def remove(self, stream: int) -> None:
        """Forget a stream and its audio; see :meth:`finish` for what its last sounds hold.

        Raises:
            ConfigError: there is none of that number.
        """
        with self._alone():
            self._free.append(self._stream(stream).row)
            del self._streams[stream]

    def process(self, pcm: Mapping[int, np.ndarray]) -> dict[int, list[Detection]]:
        """Take the next audio of some streams and return what was heard in each.

        Args:
            pcm: number of a stream -> (samples,) int16, or float32 in [-1, 1]; any lengths, also different
                ones. What does not fill a chunk is held for the next call.
        Returns:
            Of each stream given, its detections; times count from its own start.
        Raises:
            AudioError: audio of a stream is no audio; no stream takes any of this call.
            ConfigError: there is no stream of a number.
        """
        return {number: detections for number, (_, detections) in self.push(pcm).items()}

    def push(self, pcm: Mapping[int, np.ndarray]) -> dict[int, tuple[np.ndarray, list[Detection]]]:
        """Take the next audio of some streams and return scores (frames, keywords) and detections of each.

        Args, Raises: see :meth:`process`.
        """
        with self._alone():
            return self._push(pcm)

    def finish(self, stream: int) -> list[Detection]:
        """End a stream, so that a phrase at its very end is heard, and remove it.

        Returns:
            Detections of that end, as :meth:`kws.Detector.finish` returns them.
        Raises:
            ConfigError: there is no stream of that number.
        """
        with self._alone():
            num_samples = self._stream(stream).num_samples
            detections = []
            if num_samples:
                silence = np.zeros(self._detector.end_samples, np.float32)
                detections = within_stream(
                    self.process({stream: silence})[stream], num_samples, self._detector
                )
            self.remove(stream)
            return detections

    def _push(self, pcm: Mapping[int, np.ndarray]) -> dict[int, tuple[np.ndarray, list[Detection]]]:
        """Do what :meth:`push` does, for the one thread that may."""
        given = [(self._stream(number), to_float32(samples)) for number, samples in pcm.items()]
        for stream, waveform in given:
            stream.num_samples += len(waveform)
            stream.pending = np.concatenate([stream.pending, waveform]) if stream.pending.size else waveform
        pieces: dict[int, list[np.ndarray]] = {stream.row: [] for stream, _ in given}
        chunk = self.chunk_samples
        while ready := [stream for stream, _ in given if len(stream.pending) >= chunk]:
            for start in range(0, len(ready), MAX_BATCH):
                batch = ready[start : start + MAX_BATCH]
                scores = self._run(
                    [stream.row for stream in batch], np.stack([s.pending[:chunk] for s in batch])
                )
                for stream, row in zip(batch, scores, strict=True):
                    pieces[stream.row].append(row)
                    stream.pending = stream.pending[chunk:]
        found = {}
        for number, (stream, _) in zip(pcm, given, strict=True):
            stream.pending = stream.pending.copy()  # keeps no long push alive
            joined = np.concatenate([np.zeros((0, len(self.keywords)), np.float32), *pieces[stream.row]])
            config = self._detector.decision_config
            detections, stream.decision = decide(
                joined, self.keywords, config, self._detector.hop_s, stream.decision
            )
            found[number] = (joined, detections)
        return found

    def _stream(self, number: int) -> _Stream:
        try:
            return self._streams[number]
        except KeyError:
            raise ConfigError(
                f"there is no stream {number} in this pool; `add` begins one and returns its number"
            ) from None

    def _grow(self) -> None:
        """Make rows of state for as many streams again."""
        more = max(8, self._capacity)
        self._rows = [
            np.concatenate([rows, _zeros(state, more)], axis=_axis(state))
            for state, rows in zip(self._states, self._rows, strict=True)
        ]
        self._capacity += more
        self._free = list(range(self._capacity - 1, self._capacity - more - 1, -1))

    def _run(self, rows: list[int], waveforms: np.ndarray) -> np.ndarray:
        """Bring some streams forward by a chunk; returns (stream, frames, keywords)."""
        if not self._detector.takes_several_streams:
            pairs = zip(rows, waveforms, strict=True)
            return np.concatenate([self._run_batch([row], waveform[None]) for row, waveform in pairs])
        return self._run_batch(rows, waveforms)

    def _run_batch(self, rows: list[int], waveforms: np.ndarray) -> np.ndarray:
        kept_states = list(zip(self._states, self._rows, strict=True))
        states = [np.take(kept, rows, axis=_axis(state)) for state, kept in kept_states]
        try:
            scores, after = self._detector.graph.run_batch(waveforms, states)
        except Exception as error:  # onnxruntime's exceptions have no common base of their own
            raise CheckpointError(f"the graph cannot be run ({error}); export the model again") from error
        for (state, kept), new in zip(kept_states, after, strict=True):
            kept[_at(state, rows)] = new
        return scores


def _axis(state: StateTensor) -> int:
    """Return the axis of a state tensor along which streams are kept."""
    return state.batch_axis or 0


def _at(state: StateTensor, rows: int | list[int]) -> tuple[slice | int | list[int], ...]:
    return (*(slice(None),) * _axis(state), rows)


def _zeros(state: StateTensor, streams: int) -> np.ndarray:
    shape = list(state.shape)
    shape[_axis(state)] = streams
    return np.zeros(shape, np.float32)
