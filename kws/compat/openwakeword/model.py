"""``openwakeword.model.Model`` over detectors of kws: the same calls, results and buffers."""

from __future__ import annotations

import os
import time
import wave
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from kws.detector import Detector
from kws.errors import ConfigError

FRAME_SAMPLES = 1280
"""openWakeWord counts in frames of 80 ms."""

BUFFER_FRAMES = 30
FIRST_FRAMES = 5
"""Predictions of a new model that are 0 whatever is heard, as there."""

SURE = 1e-6
"""Scores nearer to 0 or 1 count as so near before they are scaled."""

IGNORED = ("melspec_model_path", "embedding_model_path", "sr", "ncpu", "device")
"""Arguments for openWakeWord's own front end, which an exported file does not need."""


class Model:
    """Predicts on frames of 80 ms with any number of exported files.

    A program that compares with 0.5 keeps doing so: a score is scaled so that 0.5 is the threshold in the
    file, and keeps its order. ``raw_scores=True`` leaves it as ``kws.Detector`` gives it.

    Args:
        wakeword_models: paths of exported files, or of folders of runs. A file of one keyword is called by
            its name without the ending, one of several by its keywords.
        class_mapping_dicts: for each file ``{name: …}`` or ``{"0": label, …}``: other labels.
        enable_speex_noise_suppression: refused; a detector is trained with noise.
        vad_threshold: refused above 0.
        custom_verifier_models: refused; they are pickles.
        custom_verifier_threshold: taken and not used.
        inference_framework: taken and not used; an exported file is ONNX.
        raw_scores: do not scale.
        wakeword_model_paths: the earlier name of ``wakeword_models``.
        kwargs: those of openWakeWord's front end are taken and not used.
    Raises:
        ConfigError: something that has no counterpart is asked for, or no file is given.
        CheckpointError: a file is missing or no exported model.
    """

    def __init__(
        self,
        wakeword_models: Sequence[str | Path] = (),
        class_mapping_dicts: Sequence[Mapping[str, Any]] = (),
        enable_speex_noise_suppression: bool = False,
        vad_threshold: float = 0,
        custom_verifier_models: Mapping[str, str] | None = None,
        custom_verifier_threshold: float = 0.1,
        inference_framework: str = "onnx",
        *,
        raw_scores: bool = False,
        wakeword_model_paths: Sequence[str | Path] = (),
        **kwargs: Any,
    ) -> None:
        _refuse(enable_speex_noise_suppression, vad_threshold, custom_verifier_models, kwargs)
        paths = [Path(path) for path in (wakeword_models or wakeword_model_paths)]
        if not paths:
            raise ConfigError("wakeword_models: there are no ready models; give exported files of kws")
        self.models: dict[str, Detector] = {}
        self.class_mapping: dict[str, dict[str, str]] = {}
        self.vad_threshold, self.custom_verifier_threshold = vad_threshold, custom_verifier_threshold
        self._raw_scores = raw_scores
        for index, path in enumerate(paths):
            name = _name(path)
            if name in self.models:
                raise ConfigError(f"wakeword_models: two files are called {name!r}; rename one")
            detector = Detector(path)
            labels = {str(column): keyword for column, keyword in enumerate(detector.keywords)}
            if index < len(class_mapping_dicts) and class_mapping_dicts[index]:
                labels |= {key: str(label) for key, label in class_mapping_dicts[index].items()}
            self.models[name], self.class_mapping[name] = detector, labels
        self._new_buffers()

    def get_parent_model_from_label(self, label: str) -> str:
        """Return the file that a label belongs to, "" where there is none."""
        for name, labels in self.class_mapping.items():
            if label == name or label in labels.values():
                return name
        return ""

    def reset(self) -> None:
        """Forget all audio and all predictions."""
        for detector in self.models.values():
            detector.reset()
        self._new_buffers()

    def predict(
        self,
        x: np.ndarray,
        patience: Mapping[str, int] | None = None,
        threshold: Mapping[str, float] | None = None,
        debounce_time: float = 0.0,
        timing: bool = False,
    ) -> Any:
        """Predict on the next audio.

        Args:
            x: (samples,) int16 at 16 kHz. Less than 80 ms is held, and the last prediction returned.
            patience: file -> predictions before this one that must reach ``threshold``.
            threshold: file -> score, for ``patience`` and ``debounce_time``.
            debounce_time: seconds after a prediction that reaches ``threshold`` in which others are 0.
            timing: also return the seconds that each file took.
        Returns:
            label -> highest score of the frames that were completed; with ``timing`` a pair.
        Raises:
            ValueError: ``x`` is no array of 16-bit integers, or the arguments exclude each other.
        """
        patience, threshold = dict(patience or {}), dict(threshold or {})
        if not isinstance(x, np.ndarray) or not np.issubdtype(x.dtype, np.integer):
            kind = x.dtype if isinstance(x, np.ndarray) else type(x)
            raise ValueError(
                f"The input audio data (x) must be a numpy array of 16-bit integers, got {kind}."
            )
        if patience or debounce_time > 0:
            if not threshold:
                raise ValueError("`patience` and `debounce_time` need values in `threshold`.")
            if patience and debounce_time > 0:
                raise ValueError("`patience` and `debounce_time` cannot be used together.")
        frames, seconds = self._take(len(x)), {}
        predictions: dict[str, Any] = {}
        for name, detector in self.models.items():
            began = time.perf_counter()
            scores = detector.scores(np.clip(x, -32768, 32767).astype(np.int16))
            for label, score in self._with_labels(name, detector, scores).items():
                held = self.prediction_buffer[label]
                latest = score if frames else (held[-1] if held else np.float32(0))
                predictions[label] = 0.0 if len(held) < FIRST_FRAMES else latest
            seconds[name] = time.perf_counter() - began
        if patience or debounce_time > 0:
            unchanged = dict(predictions)
            self._suppress(predictions, patience, threshold, debounce_time, max(frames, 1))
        else:
            unchanged = predictions
        for label, score in predictions.items():
            self.prediction_buffer[label].append(score)
            self._unchanged[label].append(unchanged[label])
        return (predictions, {"models": seconds}) if timing else predictions

    def predict_clip(
        self, clip: str | np.ndarray, padding: int = 1, chunk_size: int = FRAME_SAMPLES, **kwargs: Any
    ) -> list[dict[str, Any]]:
        """Predict on a whole clip as if it were streamed.

        Args:
            clip: a WAV file of 16-bit mono samples at 16 kHz, or (samples,) int16.
            padding: seconds of silence before and after it.
            chunk_size: samples of one prediction.
            kwargs: further arguments of :meth:`predict`.
        Returns:
            What :meth:`predict` returns, chunk by chunk.
        """
        if isinstance(clip, (str, os.PathLike)):
            with wave.open(os.fspath(clip), "rb") as file:
                clip = np.frombuffer(file.readframes(file.getnframes()), np.int16)
        silence = np.zeros(16_000 * padding, np.int16)
        audio = np.concatenate([silence, clip, silence])
        starts = range(0, len(audio) - chunk_size, chunk_size)
        return [self.predict(audio[start : start + chunk_size], **kwargs) for start in starts]

    def _new_buffers(self) -> None:
        self.prediction_buffer: defaultdict[str, deque[Any]] = defaultdict(
            partial(deque, maxlen=BUFFER_FRAMES)
        )
        self._unchanged = self.prediction_buffer.copy()
        self._held_samples = 0

    def _take(self, samples: int) -> int:
        """Return how many frames of 80 ms the next samples complete."""
        frames, self._held_samples = divmod(self._held_samples + samples, FRAME_SAMPLES)
        return frames

    def _with_labels(self, name: str, detector: Detector, scores: np.ndarray) -> dict[str, Any]:
        """Return label -> highest score of the frames of one file, scaled."""
        highest = scores.max(axis=0) if len(scores) else np.zeros(len(detector.keywords), np.float32)
        if not self._raw_scores:
            highest = _scaled(highest, np.array(list(detector.thresholds.values())))
        if len(highest) == 1:
            return {name: highest[0]}
        labels = self.class_mapping[name]
        return {labels[str(column)]: score for column, score in enumerate(highest)}

    def _suppress(
        self,
        predictions: dict[str, Any],
        patience: Mapping[str, int],
        threshold: Mapping[str, float],
        debounce_time: float,
        frames: int,
    ) -> None:
        """Set predictions to 0 that came too early or too soon after another, in place.

        Patience counts predictions as they were. The package counts what it has set to 0 itself, so that
        there a keyword with patience is never heard.
        """
        for label, score in predictions.items():
            parent = self.get_parent_model_from_label(label)
            before = np.array((self._unchanged if patience else self.prediction_buffer)[label])
            if score == 0 or parent not in (patience or threshold):
                continue
            if patience:
                recent = before[-patience[parent] :]
                if (recent >= threshold[parent]).sum() < patience[parent]:
                    predictions[label] = 0.0
            else:
                count = int(np.ceil(debounce_time / (frames * FRAME_SAMPLES / 16_000)))
                if score >= threshold[parent] and (before[-count:] >= threshold[parent]).any():
                    predictions[label] = 0.0


def _name(path: Path) -> str:
    """Return what a file is called by: its name, or that of the folder of a run."""
    return path.name if path.is_dir() else path.stem


def _scaled(scores: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Move scores on the scale of logits so that each threshold becomes 0.5."""
    inside, middle = (np.clip(values.astype(np.float64), SURE, 1 - SURE) for values in (scores, thresholds))
    odds = inside / (1 - inside) * (1 - middle) / middle
    scaled: np.ndarray = (odds / (1 + odds)).astype(np.float32)
    return scaled


def _refuse(
    speex: bool, vad_threshold: float, verifiers: Mapping[str, str] | None, kwargs: Mapping[str, Any]
) -> None:
    """Say what has no counterpart here."""
    if speex:
        raise ConfigError(
            "enable_speex_noise_suppression: there is none here; a detector is trained with noise: "
            "give `noise` in training instead"
        )
    if vad_threshold > 0:
        raise ConfigError("vad_threshold: there is no voice detector here; leave it out, or 0")
    if verifiers:
        raise ConfigError(
            "custom_verifier_models: they are pickles, which are not read; train with your voice"
        )
    unknown = [name for name in kwargs if name not in IGNORED]
    if unknown:
        raise TypeError(f"Model() got an unexpected keyword argument {unknown[0]!r}")
