"""Detectors of others beside ours: openWakeWord's files and package, pymicro-wakeword and pocketsphinx.

Only :mod:`export.contenders` uses this; nothing of them is part of the product. Each is imported when it is
opened.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kws.errors import ConfigError

if TYPE_CHECKING:
    import onnxruntime

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


def installed(package: str) -> bool:
    """Return whether a package can be imported."""
    return importlib.util.find_spec(package) is not None


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


def microwakeword_push() -> Push:
    """Return the push of pymicro-wakeword with its ready model of "okay nabu", features included."""
    from pymicro_wakeword import (  # type: ignore[import-not-found, unused-ignore]
        MicroWakeWord,
        MicroWakeWordFeatures,
        Model,
    )

    features, model = MicroWakeWordFeatures(), MicroWakeWord.from_builtin(Model.OKAY_NABU)

    def push(pcm: np.ndarray) -> object:
        return [model.process_streaming(step) for step in features.process_streaming(pcm.tobytes())]

    return push


def microwakeword_files() -> list[Path]:
    """Return the model file of :func:`microwakeword_push`."""
    return list((_folder("pymicro_wakeword") / "models").glob("okay_nabu*.tflite"))


def pocketsphinx_push() -> Push:
    """Return the push of pocketsphinx that spots the phrase "hey computer" with the model in its package."""
    from pocketsphinx import Decoder  # type: ignore[import-not-found, unused-ignore]

    decoder = Decoder(keyphrase="hey computer", kws_threshold=1e-20, logfn=os.devnull)
    decoder.start_utt()

    def push(pcm: np.ndarray) -> object:
        decoder.process_raw(pcm.tobytes(), no_search=False, full_utt=False)
        return decoder.hyp()

    return push


def pocketsphinx_files() -> list[Path]:
    """Return the acoustic model and the dictionary of :func:`pocketsphinx_push`."""
    folder = _folder("pocketsphinx") / "model" / "en-us"
    return [*(path for path in (folder / "en-us").iterdir() if path.is_file()), folder / "cmudict-en-us.dict"]


def _folder(package: str) -> Path:
    found = importlib.util.find_spec(package)
    assert found is not None and found.origin is not None
    return Path(found.origin).parent


def _open(path: Path, threads: int) -> onnxruntime.InferenceSession:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _run(session: onnxruntime.InferenceSession, values: np.ndarray) -> np.ndarray:
    scores: np.ndarray = session.run(None, {session.get_inputs()[0].name: values})[0]
    return scores
