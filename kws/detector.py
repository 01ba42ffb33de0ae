"""The exported ``.onnx`` on a device: audio in, detections out.

Imports numpy and onnxruntime and no torch. Used by :mod:`kws.listening`, the server, the evaluation of
exported files and anyone's own program::

    detector = kws.Detector("hey_computer.onnx")
    for block in microphone:
        for detection in detector.process(block):
            print(detection.keyword, detection.time_s)
    last = detector.finish()  # where the stream ends, as that of a recording does
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypedDict

import numpy as np

from kws.decisions import DecisionConfig, DecisionState, Detection, decide
from kws.errors import CheckpointError, ConfigError
from kws.exported import ModelInfo, check_graph, model_file, open_session, read_info
from kws.graph_stream import GraphStream
from kws.one_thread import OneThread
from kws.pcm import SAMPLE_RATE, seconds_to_samples, to_float32

NOTHING = np.zeros(0, np.float32)
"""No samples."""

END_SILENCE_S = 0.5
"""Silence after the end of a stream: some models are surest a few frames after the phrase."""

MAX_RUN_SAMPLES = 4 * SAMPLE_RATE
"""Longest piece of audio given at once to a graph of dynamic length. It bounds memory: pieces of 2 s and of
30 s are as fast, and the latter took 45 MB more."""


class Detector(OneThread):
    """Listens to one stream of audio for the keywords of one exported file.

    Scores come one per ``hop_samples`` (40 ms for the embedded encoder). The score of the frame that ends at
    time t has heard the audio up to t, is about the sound up to ``lookahead_ms`` before t, and is returned as
    soon as its chunk (``chunk_samples``, 80 ms) is full. Two detectors share nothing but the graph where
    :meth:`new_stream` made one of the other, and one detector serves one thread.

    Args:
        path: the ``.onnx`` file, or the folder of a run that holds ``model.onnx``; all settings are inside
            the file.
        threshold: another threshold within [0, 1] for all keywords, or a mapping keyword -> threshold for
            some.
        num_threads: threads that onnxruntime may use; one is enough for several streams on a small board.
        chunk_ms: another step in milliseconds, a multiple of the hop, where the file allows it. Longer saves
            processor time and delays detections by as much. None takes the step in the file.
        refractory_s: another shortest time between two detections of one keyword, in seconds, or a mapping
            keyword -> seconds for some.
        compete_s: another shortest time between detections of two keywords, in seconds; 0 lets look-alikes
            fire together.
        smoothing_frames: another length of the moving average over scores, in frames; longer asks
            for a longer rise before a keyword counts.
        patience: frames in a row whose smoothed scores must reach the threshold; each beyond the first delays
            a detection by a hop and hears fewer things that are none.
    Raises:
        CheckpointError: the file is missing, no ONNX model, or does not follow the format.
        ConfigError: an argument is out of range or names an unknown keyword.
    """

    def __init__(
        self,
        path: str | Path,
        threshold: float | Mapping[str, float] | None = None,
        num_threads: int = 1,
        chunk_ms: float | None = None,
        refractory_s: float | Mapping[str, float] | None = None,
        compete_s: float | None = None,
        smoothing_frames: int | None = None,
        patience: int = 1,
    ) -> None:
        self._path = model_file(path)
        if num_threads < 1:
            raise ConfigError(f"num_threads: got {num_threads}, expected 1 or more")
        self._session = open_session(self._path, num_threads)
        self._metadata = dict(self._session.get_modelmeta().custom_metadata_map)
        self._info = read_info(self._metadata, self._path)
        self._states = check_graph(self._session, self._info, self._path)
        self._hop_s = self._info.hop_samples / SAMPLE_RATE
        self._chunk_samples = _choose_chunk(self._info, chunk_ms, self._path)
        self._decision_config = DecisionConfig(
            thresholds=choose_thresholds(self._info, threshold),
            smoothing_frames=self._info.smoothing_frames if smoothing_frames is None else smoothing_frames,
            compete_s=self._info.compete_s if compete_s is None else compete_s,
            patience=patience,
            **refractory_choice(self._info, refractory_s),
        )
        self._open_stream()

    @property
    def keywords(self) -> tuple[str, ...]:
        """Names of the keywords, in the order of the score columns."""
        return self._info.keywords

    @property
    def thresholds(self) -> dict[str, float]:
        """The threshold in use for each keyword."""
        return dict(zip(self.keywords, self._decision_config.thresholds, strict=True))

    @property
    def decision_config(self) -> DecisionConfig:
        """Thresholds, smoothing and refractory time in use, as :func:`kws.decisions.decide` takes them."""
        return self._decision_config

    @property
    def sample_rate(self) -> int:
        """Rate of the audio that is expected, in Hz."""
        return SAMPLE_RATE

    @property
    def hop_samples(self) -> int:
        """Samples from one frame of scores to the next."""
        return self._info.hop_samples

    @property
    def hop_s(self) -> float:
        """Time from one frame of scores to the next, in seconds."""
        return self._hop_s

    @property
    def chunk_samples(self) -> int:
        """Samples that must be there before the graph is run; pushes of this size waste nothing."""
        return self._chunk_samples

    @property
    def end_samples(self) -> int:
        """Silence that must follow a stream so that all of it is scored, in samples."""
        return seconds_to_samples(END_SILENCE_S) + self._info.lookahead_samples + self._chunk_samples

    @property
    def graph(self) -> GraphStream:
        """The graph and the state of this stream, for programs that run it in their own way."""
        return self._graph

    @property
    def lookahead_ms(self) -> float:
        """How far a score lags behind the sound that it is about, in milliseconds."""
        return 1000 * self._info.lookahead_samples / SAMPLE_RATE

    @property
    def takes_several_streams(self) -> bool:
        """Whether one run of the graph can take several streams; files of earlier versions take one."""
        return all(state.batch_axis is not None for state in self._states)

    @property
    def license(self) -> str:
        """Licence of the weights."""
        return self._info.license

    @property
    def metadata(self) -> dict[str, str]:
        """Everything that the file says about itself, as written."""
        return dict(self._metadata)

    def new_stream(self) -> Detector:
        """Return a detector of the same file and settings for another stream.

        The graph is opened once: many streams cost the memory of one model and of their states. Each may run
        in a thread of its own at the same time.
        """
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other._open_stream()
        return other

    def reset(self) -> None:
        """Forget all audio: the next push starts a new stream, exactly as in a new detector."""
        with self._alone():
            self._graph.reset()
            self._num_samples = 0
            self._pending = NOTHING  # shorter than a chunk
            self._decision_state: DecisionState | None = None

    def process(self, pcm: np.ndarray) -> list[Detection]:
        """Take the next audio of the stream and return what was heard in it.

        Args:
            pcm: (samples,) int16, or float32 in [-1, 1], at ``sample_rate``; any length, also empty. What
                does not fill a chunk is held for the next call.
        Returns:
            Detections, their times counted from the start of the stream. The same ones whatever the lengths
            pushed.
        Raises:
            AudioError: another type such as bytes, more than one dimension, values that are not finite, or
                floats that are no audio in [-1, 1], such as 16-bit integers that were turned into floats.
                The stream goes on as if the call had not been made.
        """
        return self.push(pcm)[1]

    def scores(self, pcm: np.ndarray) -> np.ndarray:
        """Take the next audio of the stream and return its frame scores, before smoothing and thresholds.

        Args:
            pcm: as in :meth:`process`; hours at once are run in pieces of 4 s where the file allows it.
        Returns:
            (frames, keywords) float32 in [0, 1]. Over the whole stream, frame t ends at sample
            ``(t + 1) * hop_samples``; it is returned by the call that completes its chunk.
        Raises:
            AudioError: as in :meth:`process`.
        """
        return self.push(pcm)[0]

    def push(self, pcm: np.ndarray) -> tuple[np.ndarray, list[Detection]]:
        """Take the next audio of the stream and return both its scores and its detections.

        Args:
            pcm: as in :meth:`process`.
        Returns:
            What :meth:`scores` and what :meth:`process` return.
        Raises:
            AudioError: as in :meth:`process`.
            ConfigError: another thread is at it.
        """
        with self._alone():
            return self._push(pcm)

    def finish(self) -> list[Detection]:
        """End the stream, so that a phrase at its very end is heard, and start a new one.

        What does not fill a chunk, and the sound within the look-ahead, are scored as if ``END_SILENCE_S`` of
        silence followed.

        Returns:
            Detections of that end, their times counted from the start of the stream that is over. No time is
            later than the end of the audio by more than ``lookahead_ms``.
        """
        with self._alone():
            if not self._num_samples:
                return []
            num_samples = self._num_samples
            detections = self.process(np.zeros(self.end_samples, np.float32))
            self.reset()
            return within_stream(detections, num_samples, self)

    def _push(self, pcm: np.ndarray) -> tuple[np.ndarray, list[Detection]]:
        """Do what :meth:`push` does, for the one thread that may."""
        waveform = to_float32(pcm)
        self._num_samples += len(waveform)
        if self._pending.size:
            waveform = np.concatenate([self._pending, waveform])
        left = len(waveform) % self._chunk_samples
        usable = len(waveform) - left
        self._pending = waveform[usable:].copy() if left else NOTHING
        scores = self._run(waveform, usable)
        detections, self._decision_state = decide(
            scores, self._info.keywords, self._decision_config, self._hop_s, self._decision_state
        )
        return scores, detections

    def _open_stream(self) -> None:
        """Begin a stream of its own."""
        OneThread.__init__(self)
        self._graph = self._new_graph()
        self.reset()

    def _new_graph(self) -> GraphStream:
        """Return the graph with a state of its own; a detector of another format gives its own."""
        return GraphStream(self._session, self._states, self._info, self._chunk_samples)

    def _run(self, waveform: np.ndarray, usable: int) -> np.ndarray:
        """Run whole chunks; returns (frames, keywords)."""
        try:
            if usable == self._chunk_samples:
                return self._graph.run(waveform[:usable])
            step = self._chunk_samples
            if self._info.chunk_dynamic:
                step *= max(1, MAX_RUN_SAMPLES // step)
            starts = range(0, usable, step)
            pieces = [self._graph.run(waveform[start : min(start + step, usable)]) for start in starts]
        except Exception as error:  # onnxruntime's exceptions have no common base of their own
            raise CheckpointError(
                f"{self._path}: the graph cannot be run ({error}); export the model again"
            ) from error
        return np.concatenate([np.zeros((0, len(self.keywords)), np.float32), *pieces])


def within_stream(detections: list[Detection], num_samples: int, detector: Detector) -> list[Detection]:
    """Return detections of the silence after a stream with times that are no later than its end.

    Args:
        detections: as ``process`` returned them.
        num_samples: of the stream, without that silence.
        detector: that heard it; its look-ahead is allowed for.
    """
    last_s = num_samples / SAMPLE_RATE + detector.lookahead_ms / 1000
    return [replace(detection, time_s=min(detection.time_s, last_s)) for detection in detections]


def _choose_chunk(info: ModelInfo, chunk_ms: float | None, path: Path) -> int:
    """Return the samples of one step for the wished milliseconds."""
    if chunk_ms is None:
        return info.chunk_samples
    hop_ms, default_ms = (1000 * samples / SAMPLE_RATE for samples in (info.hop_samples, info.chunk_samples))
    if not info.chunk_dynamic:
        if not math.isclose(chunk_ms, default_ms):
            raise ConfigError(
                f"chunk_ms: got {chunk_ms}, {path} was exported for {default_ms:g} ms only; leave it out"
            )
        return info.chunk_samples
    hops = round(chunk_ms / hop_ms)
    if hops < 1 or not math.isclose(hops * hop_ms, chunk_ms):
        raise ConfigError(
            f"chunk_ms: got {chunk_ms}, expected a multiple of {hop_ms:g} ms, such as {default_ms:g}"
        )
    return hops * info.hop_samples


def choose_thresholds(info: ModelInfo, threshold: float | Mapping[str, float] | None) -> tuple[float, ...]:
    """Lay the wished thresholds over those of the file."""
    if threshold is None:
        return info.thresholds
    wished = dict(threshold) if isinstance(threshold, Mapping) else dict.fromkeys(info.keywords, threshold)
    _check_keywords(info, "threshold", wished)
    for keyword, value in wished.items():
        if not 0 <= value <= 1:
            raise ConfigError(f"threshold of {keyword!r}: got {value}, expected a number within [0, 1]")
    return tuple(
        float(wished.get(keyword, default))
        for keyword, default in zip(info.keywords, info.thresholds, strict=True)
    )


class RefractoryChoice(TypedDict, total=False):
    """The part of :class:`kws.decisions.DecisionConfig` that says how long a keyword is not heard again."""

    refractory_s: float
    refractory_by_keyword: tuple[float, ...]


def refractory_choice(info: ModelInfo, refractory_s: float | Mapping[str, float] | None) -> RefractoryChoice:
    """Lay the wished refractory times over that of the file."""
    if not isinstance(refractory_s, Mapping):
        return {"refractory_s": info.refractory_s if refractory_s is None else refractory_s}
    _check_keywords(info, "refractory_s", refractory_s)
    each = tuple(float(refractory_s.get(keyword, info.refractory_s)) for keyword in info.keywords)
    return {"refractory_s": info.refractory_s, "refractory_by_keyword": each}


def _check_keywords(info: ModelInfo, name: str, wished: Iterable[str]) -> None:
    """Raise where a value is given for a keyword that the file does not know."""
    for keyword in wished:
        if keyword not in info.keywords:
            raise ConfigError(
                f"{name}: unknown keyword {keyword!r}; this model knows {', '.join(info.keywords)}"
            )
