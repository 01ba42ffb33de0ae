"""Teachers of pretraining: the encoder learns to give the frame embeddings of a better informed model.

A teacher hears each recording as it is, once; the encoder hears it augmented, and so learns to give the
embedding of the clean recording. Source: hints, Romero et al., arXiv:1412.6550; for speech, DistilHuBERT,
Chang et al., arXiv:2110.01900.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from zipfile import BadZipFile

import numpy as np
import torch
from tqdm import tqdm

from kws.audio import atomic_write, to_int16
from kws.encoders.registry import available_encoders, load_encoder
from kws.encoders.truncate import truncate
from kws.errors import CheckpointError, ConfigError, KwsError
from kws.pretraining.corpus import SpeechCorpus, TeacherTargets, with_tail

SPEECH_EMBEDDING = "speech_embedding"
SHARD = 256
"""Recordings whose embeddings are kept in one file: a killed run loses at most so many."""


@dataclass(frozen=True, slots=True)
class TeacherConfig:
    """What the encoder learns beside phones."""

    source: str
    """``speech_embedding`` (Google's, as openWakeWord publishes it: ``melspectrogram.onnx`` and
    ``embedding_model.onnx``), or an encoder such as ``wav2vec2_base``."""
    path: Path | None = None
    """Folder of the two files, or local weights of the encoder."""
    depth: int = 0
    """Layers of the encoder that teaches; 0 is all of them."""
    layer: int = 5
    """Layer of the pretrained encoder that learns: low enough to be kept by the detectors."""
    weight: float = 1.0
    """Weight of the mean squared error against standardised embeddings; CTC has 1."""

    def __post_init__(self) -> None:
        if self.source == SPEECH_EMBEDDING and self.path is None:
            raise ConfigError(f"teacher.path: {SPEECH_EMBEDDING} needs the folder of its two files")
        if self.source not in (SPEECH_EMBEDDING, *available_encoders()):
            raise ConfigError(
                f"teacher.source: got {self.source!r}, allowed: {SPEECH_EMBEDDING} or an encoder of "
                "`available_encoders()`"
            )
        if self.depth < 0 or self.layer < 1 or self.weight <= 0:
            raise ConfigError(
                "teacher: allowed: depth 0 or more, layer 1 or more, weight above 0; got "
                f"{self.depth}, {self.layer}, {self.weight:g}"
            )


class Teacher(Protocol):
    """Gives an embedding for every hop of a recording."""

    hop_samples: int

    def embed(self, waveform: np.ndarray) -> np.ndarray:
        """Return (frames, dimension) float32 embeddings of a (samples,) waveform.

        Frame t is about what was heard up to sample ``(t + 1) * hop_samples``.
        """
        ...


class SpeechEmbedding:
    """Google's speech embedding: 96 values from the last 0.78 s, every 80 ms.

    Its convolutions have no padding in time, so that a whole recording is one call, an order of magnitude
    faster than window by window and with the same values. Source: Lin et al., arXiv:2002.01322.

    Args:
        folder: holds ``melspectrogram.onnx`` and ``embedding_model.onnx``.
    Raises:
        CheckpointError: a file is missing or another model.
    """

    hop_samples = 1280
    _MEL_SAMPLES, _MEL_OVERLAP = 160, 352
    """Samples per mel frame, and samples beyond its hop that a frame reads."""
    _WINDOW, _STRIDE = 76, 8
    """Mel frames that an embedding reads, and mel frames between two."""

    def __init__(self, folder: Path) -> None:
        import onnx
        import onnxruntime
        from onnx import numpy_helper

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        try:
            mel = (folder / "melspectrogram.onnx").read_bytes()
            model = onnx.load(folder / "embedding_model.onnx")
            shapes = {tensor.name: tensor for tensor in model.graph.initializer}
            first = next(node for node in model.graph.node if node.op_type == "Reshape")
            last = model.graph.node[-1]
            # the graph folds time into fixed windows before the first layer and after the last
            folded = shapes[first.input[1]]
            bands = int(numpy_helper.to_array(folded)[-1])
            folded.CopyFrom(numpy_helper.from_array(np.array([1, 1, -1, bands]), folded.name))
            model.graph.node.remove(last)
            model.graph.output[0].name = last.input[0]
            for value, axes in ((model.graph.input[0], (1,)), (model.graph.output[0], (0, 1, 2, 3))):
                for axis in axes:
                    value.type.tensor_type.shape.dim[axis].dim_param = f"{value.name}_{axis}"
            self._mel, self._embedding = (
                onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
                for data in (mel, model.SerializeToString())
            )
        except Exception as error:  # each library has its own
            raise CheckpointError(
                f"{folder}: no speech embedding ({error}); give the folder of openWakeWord's "
                "melspectrogram.onnx and embedding_model.onnx"
            ) from error

    def embed(self, waveform: np.ndarray) -> np.ndarray:
        """Return (samples // 1280, 96) embeddings."""
        lead = (self._WINDOW - self._STRIDE) * self._MEL_SAMPLES
        samples = np.pad(to_int16(waveform), (lead, self._MEL_OVERLAP)).astype(np.float32)[None]
        mel = self._mel.run(None, {self._mel.get_inputs()[0].name: samples})[0].reshape(1, -1, 32, 1)
        (embedded,) = self._embedding.run(None, {self._embedding.get_inputs()[0].name: mel / 10 + 2})
        return np.ascontiguousarray(embedded[0, :, :, 0].T)


class EncoderTeacher:
    """The features of an encoder, such as a torchaudio bundle, cut at a depth.

    Args:
        name, weights: as :func:`kws.encoders.load_encoder` takes them.
        depth: layers that are kept; 0 keeps all.
    """

    def __init__(self, name: str, weights: Path | None, depth: int) -> None:
        encoder = load_encoder(name, weights)
        self._encoder = truncate(encoder, depth or encoder.info.num_layers).eval()
        self.hop_samples = self._encoder.info.hop_samples

    @torch.no_grad()
    def embed(self, waveform: np.ndarray) -> np.ndarray:
        """Return (frames, dimension) features of the top layer."""
        rows = torch.from_numpy(waveform[None])
        features: np.ndarray = self._encoder(rows, torch.tensor([rows.shape[1]])).features[0].float().numpy()
        return features


def load_teacher(config: TeacherConfig, root: Path = Path()) -> Teacher:
    """Return the teacher of a recipe.

    Raises:
        CheckpointError: its files are missing or damaged.
        ConfigError: its depth is out of range.
    """
    path = None if config.path is None else root / config.path
    try:
        if config.source == SPEECH_EMBEDDING and path is not None:
            return SpeechEmbedding(path)
        return EncoderTeacher(config.source, path, config.depth)
    except KwsError as error:
        raise type(error)(f"teacher: {error}") from error


def keep_teacher_targets(
    corpus: SpeechCorpus,
    config: TeacherConfig,
    folder: Path,
    root: Path = Path(),
    progress: bool = True,
    teacher: Teacher | None = None,
) -> None:
    """Let the teacher hear every recording of a corpus once, and keep what it says of it.

    Embeddings lie in ``folder`` as they are made, so that a killed run goes on; in memory they take two bytes
    a value (8.6 MB an hour for the speech embedding).

    Args:
        corpus: its ``teacher_targets`` are set, standardised by the mean and deviation of each value.
        config: the teacher.
        folder: where the embeddings are kept.
        root: what a relative ``config.path`` starts from.
        progress: show a bar.
        teacher: where it is loaded already.
    Raises:
        CheckpointError: the teacher's files are missing or damaged.
    """
    teacher = teacher or load_teacher(config, root)
    weights = None if config.path is None else _content(root / config.path)
    found: list[np.ndarray] = []
    with tqdm(
        total=len(corpus.audio),
        desc="hearing the teacher",
        unit="utterance",
        disable=None if progress else True,
    ) as bar:
        for embeddings in _shards(corpus, [config.source, config.depth, weights], teacher, folder):
            found += embeddings
            bar.update(len(embeddings))
    joined = np.concatenate([row[:: max(1, len(found) // 2000)] for row in found]).astype(np.float32)
    mean, deviation = joined.mean(0), joined.std(0).clip(1e-3)
    corpus.teacher_targets = TeacherTargets(
        [((row.astype(np.float32) - mean) / deviation).astype(np.float16) for row in found],
        teacher.hop_samples,
    )


def _content(path: Path) -> int:
    """Return a checksum of a file, or of the files in a folder that hold weights."""
    files = [path] if path.is_file() else sorted(path.glob("*.onnx")) + sorted(path.glob("*.safetensors"))
    content = 0
    for file in files:
        content = zlib.crc32(file.read_bytes(), content)
    return content


def _shards(
    corpus: SpeechCorpus, identity: list[Any], teacher: Teacher, folder: Path
) -> Iterator[list[np.ndarray]]:
    """Yield the embeddings of ``SHARD`` recordings after the other, from their file where it is good."""
    for start in range(0, len(corpus.audio), SHARD):
        rows = range(start, min(start + SHARD, len(corpus.audio)))
        path = folder / f"{start // SHARD:05d}.npz"
        about = json.dumps(
            [
                *identity,
                *((corpus.utterances[row].item_id, len(corpus.audio[row])) for row in rows),
            ]
        )
        kept = _read_shard(path, about)
        if kept is None:
            kept = [teacher.embed(with_tail(corpus.audio[row])).astype(np.float16) for row in rows]
            wrong = [row for row, values in zip(rows, kept, strict=True) if not np.isfinite(values).all()]
            if wrong:
                raise CheckpointError(
                    f"teacher: gives values that are not finite for {corpus.utterances[wrong[0]].path}; its "
                    "weights are damaged, give others"
                )
            with atomic_write(path) as temporary, temporary.open("wb") as file:
                np.savez(
                    file,
                    about=np.array(about),
                    values=np.concatenate(kept),
                    lengths=[len(row) for row in kept],
                )
        yield kept


def _read_shard(path: Path, about: str) -> list[np.ndarray] | None:
    """Return the embeddings of a file, or None when it is missing, damaged or about other recordings."""
    try:
        with np.load(path) as kept:
            if str(kept["about"]) == about:
                return np.split(kept["values"], np.cumsum(kept["lengths"])[:-1])
    except (OSError, ValueError, KeyError, BadZipFile):
        pass
    return None
