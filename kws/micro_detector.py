"""A microWakeWord model for a microcontroller, heard on a computer: the ``.json`` beside its ``.tflite``.

Used by ``kws eval`` and ``kws listen``, which show what the chip will hear and miss. The package
pymicro-wakeword brings TensorFlow Lite and the features that the firmware computes; it
is imported when a model is opened. Smoothing, threshold and refractory time are those of
:mod:`kws.decisions`, as for every model.

Format: github.com/esphome/micro-wake-word-models, manifests of version 2.
"""

from __future__ import annotations

import math
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from kws.decisions import DecisionConfig
from kws.detector import Detector, choose_thresholds, refractory_choice
from kws.errors import CheckpointError, DependencyError
from kws.exported import ModelInfo
from kws.graph_stream import GraphStream
from kws.json_text import parse_json
from kws.pcm import SAMPLE_RATE, to_int16

STEP_SAMPLES = 160
"""One step of the features: 10 ms, the only one that the runtime knows."""

MAX_WINDOW = 255
"""Longest sliding window: the firmware holds its length in a byte."""

STEP_MS = 1000 * STEP_SAMPLES // SAMPLE_RATE

NUM_CHANNELS = 40
"""Channels of the features."""

MAX_STRIDE = 100
"""Most steps of features that one run of a model may take: a second."""

MAX_MODEL_BYTES = 1 << 20
"""Largest model that is opened; ready ones have some 50 kB."""

REFRACTORY_S = 1.0
"""Shortest time between two detections, in seconds, as for every other model."""


@dataclass(frozen=True, slots=True)
class MicroManifest:
    """What a manifest of version 2 says, checked."""

    path: Path
    """The ``.json``."""
    wake_word: str
    """The phrase, which is the name of the keyword."""
    model: Path
    """The ``.tflite`` beside the manifest."""
    probability_cutoff: float
    """Least mean of the probabilities in the window for a detection, within [0, 1]."""
    sliding_window_size: int
    """Probabilities that are averaged."""

    @property
    def threshold(self) -> float:
        """Least mean at which the firmware detects; see :func:`chip_threshold`."""
        return chip_threshold(self.probability_cutoff, self.sliding_window_size)


def is_micro(path: str | Path) -> bool:
    """Return whether a path names the manifest of a microWakeWord model."""
    return Path(path).suffix.lower() == ".json"


def open_detector(
    path: str | Path,
    threshold: float | Mapping[str, float] | None = None,
    refractory_s: float | Mapping[str, float] | None = None,
    patience: int = 1,
) -> Detector:
    """Open whatever is given: an exported ``.onnx``, the folder of a run, or a microWakeWord model.

    Args:
        path: of the file or folder.
        threshold: as in :class:`kws.Detector`.
        refractory_s: as there.
        patience: as there.
    Raises:
        CheckpointError, ConfigError, DependencyError: see :class:`kws.Detector` and :class:`MicroDetector`.
    """
    if is_micro(path):
        return MicroDetector(path, threshold, refractory_s, patience)
    return Detector(path, threshold, refractory_s=refractory_s, patience=patience)


def read_manifest(path: Path) -> MicroManifest:
    """Read the manifest of a microWakeWord model.

    Args:
        path: the ``.json``.
    Raises:
        CheckpointError: it is missing, follows no manifest of version 2, or its model is not beside it.
    """
    try:
        manifest: dict[str, Any] = parse_json(path.read_bytes())
        if manifest["type"] != "micro" or manifest["version"] != 2:
            raise ValueError("expected `type` micro and `version` 2")
        micro = manifest["micro"]
        name, cutoff = str(manifest["model"]), float(micro["probability_cutoff"])
        window, step = int(micro["sliding_window_size"]), micro["feature_step_size"]
        if Path(name).name != name or not name.endswith(".tflite"):
            raise ValueError(f"`model` is {name!r}, expected the name of a .tflite file beside the manifest")
        if not 0 <= cutoff <= 1:
            raise ValueError(f"`probability_cutoff` is {cutoff}, expected a number within [0, 1]")
        if not 1 <= window <= MAX_WINDOW:
            raise ValueError(f"`sliding_window_size` is {window}, expected 1 to {MAX_WINDOW}")
        if step != STEP_MS:
            raise ValueError(f"`feature_step_size` is {step!r}, the runtime takes steps of {STEP_MS} ms")
        wake_word = str(manifest["wake_word"]).strip()
        if not wake_word:
            raise ValueError("`wake_word` is empty")
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: no such file") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        reason = f"{error} is lacking" if isinstance(error, KeyError) else error
        raise CheckpointError(f"{path}: no manifest of a microWakeWord model ({reason})") from error
    return MicroManifest(path, wake_word, _checked_model(path.parent / name), cutoff, window)


def chip_threshold(cutoff: float, window: int) -> float:
    """Return the least mean of probabilities at which the firmware detects.

    It compares whole numbers: the sum of ``window`` probabilities in 256ths has to be above ``window`` times
    the cutoff in 255ths, cut off after the point.

    Args:
        cutoff: ``probability_cutoff`` of a manifest.
        window: ``sliding_window_size``.
    Source: github.com/esphome/esphome, ``components/micro_wake_word``, ``determine_detected``.
    """
    return (int(255 * cutoff) * window + 1) / (256 * window)


def chip_cutoff(threshold: float, window: int) -> float:
    """Return the cutoff for a manifest, such that :func:`chip_threshold` is a threshold or the next above it.

    Args:
        threshold: least mean of probabilities, within [0, 1].
        window: ``sliding_window_size``.
    """
    steps = math.ceil((256 * window * threshold - 1) / window)
    return round((min(max(steps, 0), 254) + 0.5) / 255, 4)  # in the middle, so that no rounding moves it


class MicroDetector(Detector):
    """Listens with a microWakeWord model, through the runtime of pymicro-wakeword.

    It is used as :class:`kws.Detector` is. One run of the model takes ``hop_samples`` (30 ms for the ready
    models), and the mean over the sliding window of the manifest is the smoothing.

    Args:
        path: the ``.json``.
        threshold: another cutoff within [0, 1], or a mapping wake word -> cutoff.
        refractory_s: another shortest time between two detections, in seconds, or a mapping wake word ->
            seconds.
        patience: frames in a row that must reach the threshold.
    Raises:
        CheckpointError: manifest or model is missing or damaged.
        ConfigError: an argument is out of range or names another keyword.
        DependencyError: pymicro-wakeword is not installed.
    """

    def __init__(
        self,
        path: str | Path,
        threshold: float | Mapping[str, float] | None = None,
        refractory_s: float | Mapping[str, float] | None = None,
        patience: int = 1,
    ) -> None:
        self._path = Path(path)
        self._manifest = read_manifest(self._path)
        self._metadata: dict[str, str] = {}
        self._states = ()
        hop = MicroStream(self._manifest).hop_samples
        self._info = ModelInfo(
            keywords=(self._manifest.wake_word,),
            thresholds=(self._manifest.threshold,),
            chunk_samples=hop,
            chunk_dynamic=True,
            hop_samples=hop,
            lookahead_samples=0,
            smoothing_frames=self._manifest.sliding_window_size,
            refractory_s=REFRACTORY_S,
            license="unknown",
        )
        self._hop_s, self._chunk_samples = hop / self.sample_rate, hop
        self._decision_config = DecisionConfig(
            thresholds=choose_thresholds(self._info, threshold),
            smoothing_frames=self._info.smoothing_frames,
            compete_s=self._info.compete_s,
            patience=patience,
            **refractory_choice(self._info, refractory_s),
        )
        self._open_stream()

    def _new_graph(self) -> GraphStream:
        """Return the model with an interpreter of its own, in which its state lies."""
        return cast("GraphStream", MicroStream(self._manifest))  # is run and reset in the same way


class MicroStream:
    """One stream of audio through features and model, as the firmware runs them.

    A model takes ``stride`` steps of features at once. The first window of 30 ms is full two steps after the
    audio began, so the first run comes in the second hop: the score of the first is 0.

    Args:
        manifest: of the model.
    Raises:
        CheckpointError: the model takes other features.
        DependencyError: pymicro-wakeword is not installed.
    """

    def __init__(self, manifest: MicroManifest) -> None:
        self._features, self._model = open_runtime(manifest)
        lib, tensor = self._model.lib, self._model.input_tensor
        shape = tuple(lib.TfLiteTensorDim(tensor, axis) for axis in range(lib.TfLiteTensorNumDims(tensor)))
        if len(shape) != 3 or shape[0] != 1 or not 1 <= shape[1] <= MAX_STRIDE or shape[2] != NUM_CHANNELS:
            raise CheckpointError(
                f"{manifest.model}: the model takes an input of {shape}, expected (1, steps, {NUM_CHANNELS})"
            )
        self.stride: int = shape[1]
        self._heard = 0

    @property
    def hop_samples(self) -> int:
        """Samples from one run of the model to the next."""
        return self.stride * STEP_SAMPLES

    def run(self, waveform: np.ndarray) -> np.ndarray:
        """Take the next audio of the stream.

        Args:
            waveform: (samples,) float32 in [-1, 1], a multiple of ``hop_samples``.
        Returns:
            probabilities (frames, 1) float32, one for each hop.
        """
        pcm = to_int16(waveform).astype("<i2")
        scores = np.zeros((len(pcm) // self.hop_samples, 1), np.float32)
        for step, start in enumerate(range(0, len(pcm), STEP_SAMPLES)):
            for features in self._features.process_streaming(pcm[start : start + STEP_SAMPLES].tobytes()):
                self._heard += 1
                probability = self._model.process_streaming_prob(features)
                if self._heard % self.stride == 0:
                    scores[step // self.stride] = probability
        return scores

    def reset(self) -> None:
        """Forget all audio."""
        self._features.reset()
        self._model.reset()
        self._heard = 0


def open_runtime(manifest: MicroManifest) -> tuple[Any, Any]:
    """Return the features and the model of pymicro-wakeword; the model averages nothing.

    Raises:
        DependencyError: pymicro-wakeword is not installed.
    """
    try:
        import pymicro_wakeword
    except ImportError as error:
        raise DependencyError(
            'a model of microWakeWord needs pymicro-wakeword: `pip install "kws[esp]"`'
        ) from error
    library = next(Path(pymicro_wakeword.__file__).parent.glob("lib/*tensorflowlite_c.*"), None)
    if library is None:
        raise DependencyError(f"pymicro-wakeword brings no TensorFlow Lite for {platform.platform()}")
    _check_loads(manifest.model, library)
    model = pymicro_wakeword.MicroWakeWord(
        id=manifest.model.stem,
        wake_word=manifest.wake_word,
        tflite_model=manifest.model,
        probability_cutoff=manifest.probability_cutoff,
        sliding_window_size=1,
        trained_languages=[],
        libtensorflowlite_c_path=library,
    )
    return pymicro_wakeword.MicroWakeWordFeatures(), model


def _check_loads(model: Path, library: Path) -> None:
    """Raise where TensorFlow Lite cannot take a model; pymicro-wakeword would end the program instead.

    Raises:
        CheckpointError: the file is damaged, or uses what the library lacks.
    """
    from pymicro_wakeword.wakeword import TfLiteWakeWord

    lib = TfLiteWakeWord(library).lib
    loaded = lib.TfLiteModelCreateFromFile(str(model.resolve()).encode())
    interpreter = lib.TfLiteInterpreterCreate(loaded, None) if loaded else None
    sound = bool(interpreter) and lib.TfLiteInterpreterAllocateTensors(interpreter) == 0
    if interpreter:
        lib.TfLiteInterpreterDelete(interpreter)
    if loaded:
        lib.TfLiteModelDelete(loaded)
    if not sound:
        raise CheckpointError(f"{model}: TensorFlow Lite cannot run this model; it is damaged or unsupported")


def _checked_model(path: Path) -> Path:
    """Return the path of a model that is there, of a size that fits a chip."""
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; the model of a manifest lies beside it")
    size = path.stat().st_size
    if size > MAX_MODEL_BYTES:
        raise CheckpointError(f"{path}: {size} bytes, expected at most {MAX_MODEL_BYTES}")
    return path
