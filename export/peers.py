"""openWakeWord beside our detector: its three files without its package, and the package where installed.

Only :mod:`export.benchmark` uses this; nothing of openWakeWord is part of the product.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime

from kws.errors import ConfigError

Push = Callable[[np.ndarray], object]
"""Takes 80 ms of int16 PCM, (1280,), of a stream."""

MEL_FILE, EMBEDDING_FILE = "melspectrogram.onnx", "embedding_model.onnx"
CHUNK_SAMPLES = 1280
OVERLAP_SAMPLES = 480  # what the mel frames of a chunk need from before it: three hops of 160
WINDOW_FRAMES = 76  # mel frames of one embedding; the window moves by the 8 frames of a chunk
NUM_EMBEDDINGS = 16


class OpenWakeWordFiles:
    """The chain of openWakeWord's files over a stream; only what a new chunk adds is computed.

    16 kHz int16-range floats → mel (values / 10 + 2) → the last 76 frames → embedding → the last 16 → score.

    Args:
        folder: holds ``melspectrogram.onnx``, ``embedding_model.onnx`` and one keyword model.
        threads: of onnxruntime.
    Source: ``openwakeword/utils.py`` (class ``AudioFeatures``) of https://github.com/dscripka/openWakeWord.
    """

    def __init__(self, folder: Path, threads: int = 1) -> None:
        self.paths = find_files(folder)
        self._mel, self._embedding, self._keyword = (_open(path, threads) for path in self.paths)
        self._samples = np.zeros(OVERLAP_SAMPLES, np.float32)
        self._frames = np.ones((WINDOW_FRAMES, 32), np.float32)
        self._embeddings = np.zeros((NUM_EMBEDDINGS, 96), np.float32)

    def push(self, pcm: np.ndarray) -> float:
        """Return the score after the next (1280,) int16 samples."""
        heard = np.concatenate([self._samples, pcm.astype(np.float32)])
        self._samples = heard[-OVERLAP_SAMPLES:]
        frames = _run(self._mel, heard[None])[0, 0] / 10 + 2  # (8, 32)
        self._frames = np.concatenate([self._frames, frames])[-WINDOW_FRAMES:]
        embedding = _run(self._embedding, self._frames[None, :, :, None])[0, 0]  # (1, 96)
        self._embeddings = np.concatenate([self._embeddings, embedding])[-NUM_EMBEDDINGS:]
        return float(_run(self._keyword, self._embeddings[None])[0, 0])


def find_files(folder: Path) -> tuple[Path, Path, Path]:
    """Return the mel, embedding and keyword files of a folder.

    Raises:
        ConfigError: one of them is not there.
    """
    mel, embedding = folder / MEL_FILE, folder / EMBEDDING_FILE
    keywords = [path for path in sorted(folder.glob("*.onnx")) if path.name not in (MEL_FILE, EMBEDDING_FILE)]
    if not (mel.is_file() and embedding.is_file() and keywords):
        raise ConfigError(
            f"{folder}: expected openWakeWord's {MEL_FILE}, {EMBEDDING_FILE} and a keyword model such as "
            "hey_mycroft_v0.1.onnx; give the folder that holds them"
        )
    return mel, embedding, keywords[0]


def package_installed() -> bool:
    """Return whether the package ``openwakeword`` can be imported."""
    return importlib.util.find_spec("openwakeword") is not None


def package_push(folder: Path) -> Push:
    """Return the push of the package ``openwakeword`` on the same files."""
    from openwakeword.model import Model  # type: ignore[import-not-found]

    mel, embedding, keyword = (str(path) for path in find_files(folder))
    model = Model(
        wakeword_models=[keyword],
        inference_framework="onnx",
        melspec_model_path=mel,
        embedding_model_path=embedding,
    )
    predict: Callable[[np.ndarray], object] = model.predict
    return predict


def _open(path: Path, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _run(session: onnxruntime.InferenceSession, values: np.ndarray) -> np.ndarray:
    scores: np.ndarray = session.run(None, {session.get_inputs()[0].name: values})[0]
    return scores
