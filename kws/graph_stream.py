"""One stream of audio through the graph of an exported file: its state, and runs that copy little.

Used by :class:`kws.detector.Detector`. Nearly every run of a device takes one chunk. For that length inputs,
outputs and both generations of the state lie in memory that is bound once, and a run swaps the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnxruntime

from kws.exported import ModelInfo, StateTensor


class GraphStream:
    """The state of one stream, and the runs that bring it forward.

    Args:
        session: of the file; several streams may share it, each in its own thread.
        states: the state tensors of the graph.
        info: what the file says about itself.
        chunk_samples: the usual length of a run.
    """

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        states: Sequence[StateTensor],
        info: ModelInfo,
        chunk_samples: int,
    ) -> None:
        self._session, self._hop_samples = session, info.hop_samples
        self._chunk_samples = chunk_samples
        self._num_keywords = len(info.keywords)
        self.states = tuple(states)
        self._inputs = [state.name for state in states]
        self._outputs = [f"next_{name}" for name in self._inputs]
        self._waveform = np.zeros((1, chunk_samples), np.float32)
        self._scores = np.zeros((1, chunk_samples // info.hop_samples, self._num_keywords), np.float32)
        self._old, self._new = ([np.zeros(state.shape, np.float32) for state in states] for _ in range(2))
        self._forth, self._back = self._bind(self._old, self._new), self._bind(self._new, self._old)
        self._at_rest = False

    def run(self, waveform: np.ndarray) -> np.ndarray:
        """Run the graph once and keep its new state.

        Digital silence is not run again once it changes nothing: a run that left the state as it was gives
        the same scores for the same chunk.

        Args:
            waveform: (samples,) float32, a length that the file allows.
        Returns:
            scores (frames, keywords) float32.
        Raises:
            RuntimeError: onnxruntime cannot run it, or the graph gives scores of another shape; the message
                is onnxruntime's.
        """
        if len(waveform) != self._chunk_samples:
            self._at_rest = False
            return self._run_other(waveform)
        silent = waveform[0] == 0 and not waveform.any()
        if self._at_rest and silent:
            return self._last_scores()
        self._waveform[0] = waveform
        self._session.run_with_iobinding(self._forth)
        self._old, self._new, self._forth, self._back = self._new, self._old, self._back, self._forth
        self._at_rest = silent and self._unchanged()
        return self._last_scores()

    def run_batch(
        self, waveforms: np.ndarray, states: Sequence[np.ndarray]
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        """Run the graph once for several streams, whose states the caller keeps.

        Args:
            waveforms: (streams, samples) float32.
            states: one array for each of :attr:`states`, of as many streams.
        Returns:
            scores (streams, frames, keywords) float32, and the states after it.
        Raises:
            RuntimeError: see :meth:`run`.
        """
        inputs: dict[str, Any] = dict(zip(self._inputs, states, strict=True))
        inputs["waveform"] = waveforms
        scores, *after = self._session.run(["scores", *self._outputs], inputs)
        wanted = (len(waveforms), waveforms.shape[1] // self._hop_samples, self._num_keywords)
        if scores.shape != wanted:
            raise RuntimeError(
                f"audio of shape {waveforms.shape} gave scores of shape {scores.shape}, expected {wanted}"
            )
        return scores, after

    def reset(self) -> None:
        """Forget all audio."""
        for state in self._old:
            state[...] = 0
        self._at_rest = False

    def _last_scores(self) -> np.ndarray:
        last: np.ndarray = self._scores[0]
        return last.copy()

    def _unchanged(self) -> bool:
        """Return whether both generations of the state are the same to the bit."""
        return all(np.array_equal(before, after) for before, after in zip(self._new, self._old, strict=True))

    def _run_other(self, waveform: np.ndarray) -> np.ndarray:
        """Run a piece of another length than the chunk."""
        scores, states = self.run_batch(waveform[None], self._old)
        for kept, state in zip(self._old, states, strict=True):
            kept[...] = state
        first: np.ndarray = scores[0]
        return first

    def _bind(self, old: list[np.ndarray], new: list[np.ndarray]) -> onnxruntime.IOBinding:
        """Bind the memory of a chunk, reading one generation of the state and writing the other."""
        binding = self._session.io_binding()
        _bind_input(binding, "waveform", self._waveform)
        _bind_output(binding, "scores", self._scores)
        for name, state in zip(self._inputs, old, strict=True):
            _bind_input(binding, name, state)
        for name, state in zip(self._outputs, new, strict=True):
            _bind_output(binding, name, state)
        return binding


def _bind_input(binding: onnxruntime.IOBinding, name: str, array: np.ndarray) -> None:
    binding.bind_input(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)


def _bind_output(binding: onnxruntime.IOBinding, name: str, array: np.ndarray) -> None:
    binding.bind_output(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)
