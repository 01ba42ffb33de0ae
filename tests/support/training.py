"""What training is tried on: tones for keywords, noise for the rest, and a model of few weights."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from kws import audio
from kws.audio import SAMPLE_RATE, to_int16
from kws.audio_store import AudioStore
from kws.encoders.ctc import PhoneRecognizer
from kws.encoders.sources.embedded import EmbeddedConfig, EmbeddedEncoder
from kws.encoders.sources.embedded_weights import save_recognizer
from kws.encoders.truncate import truncate
from kws.heads import build_head
from kws.manifest import Recording
from kws.model import WakeWordModel
from kws.pretraining.config import PretrainConfig
from kws.pretraining.sources import SpeechSourceConfig

HOP_SAMPLES = 640
TINY = EmbeddedConfig(num_mels=16, dimension=16, num_layers=4, kernel=3)


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one thread: on models this small further ones only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def tone(length_s: float, hz: float = 1000.0, level: float = 0.3) -> np.ndarray:
    """Return (samples,) float32 of a sine."""
    time_s = np.arange(round(length_s * SAMPLE_RATE)) / SAMPLE_RATE
    return (level * np.sin(2 * np.pi * hz * time_s)).astype(np.float32)


def noise(length_s: float, seed: int = 0, level: float = 0.05) -> np.ndarray:
    """Return (samples,) float32 of white noise."""
    return np.random.default_rng(seed).normal(0, level, round(length_s * SAMPLE_RATE)).astype(np.float32)


def spoken(hz: float = 1000.0, seed: int = 0) -> np.ndarray:
    """Return a "recording": half a second of tone between short pauses, in very quiet noise."""
    waveform = noise(0.9, seed, level=0.001)
    word = tone(0.5, hz * (1 + 0.002 * seed))
    waveform[3200 : 3200 + len(word)] += word
    return waveform


def write_wavs(folder: Path, waveforms: Iterable[np.ndarray]) -> list[Path]:
    """Write waveforms as ``000.wav`` and so on."""
    paths = []
    for index, waveform in enumerate(waveforms):
        paths.append(folder / f"{index:03d}.wav")
        audio.save(paths[-1], waveform)
    return paths


def write_utterances(folder: Path, waveforms: Iterable[np.ndarray]) -> list[Recording]:
    """Write waveforms and return them as :func:`kws.manifest.read_manifest` would."""
    return [Recording(path, duration_s=audio.duration_s(path)) for path in write_wavs(folder, waveforms)]


def write_manifest(path: Path, rows: Iterable[dict[str, Any]]) -> Path:
    """Write one JSON object a line."""
    path.write_text("".join(json.dumps({**row, "path": str(row["path"])}) + "\n" for row in rows), "utf-8")
    return path


def tiny_model(
    keywords: tuple[str, ...] = ("tone",), *, head: str = "conv", depth: int = 3, seed: int = 1
) -> WakeWordModel:
    """Return a keyword model with random weights; global random state is kept."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = truncate(EmbeddedEncoder(TINY), depth)
        return WakeWordModel(encoder, build_head(head, encoder.info.dimension, len(keywords)), keywords)


class LoudnessModel(nn.Module):
    """Scores a frame by its loudness: a frame of amplitude 0.5 scores 0.5."""

    keywords = ("loud",)
    hop_samples = HOP_SAMPLES

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def scores(self, waveform: Tensor) -> Tensor:
        assert waveform.device == self.weight.device
        frames = waveform[:, : waveform.shape[1] // HOP_SAMPLES * HOP_SAMPLES]
        return frames.reshape(waveform.shape[0], -1, HOP_SAMPLES).abs().amax(dim=2, keepdim=True)


def store(waveform: np.ndarray) -> AudioStore:
    """Return a store that holds (samples,) float32."""
    held = AudioStore([])
    held.samples = to_int16(waveform)
    return held


def tiny_weights(folder: Path, config: EmbeddedConfig = TINY) -> Path:
    """Write what ``kws pretrain`` would, of an encoder with random weights and telling band statistics."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        model = PhoneRecognizer(EmbeddedEncoder(config), 1)
    model.encoder.frontend.mean.copy_(torch.linspace(-10, -6, config.num_mels))
    model.encoder.frontend.scale.fill_(0.25)
    source = (SpeechSourceConfig(Path("unused.jsonl")),)
    save_recognizer(folder, model, PretrainConfig(source, source, encoder=config, middle=1), {})
    return folder


def tiny_recognizer(num_layers: int = 8, middle: int = 3, lookahead: int = 2) -> PhoneRecognizer:
    """Return a recogniser with random weights, in eval mode; global random state is kept."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = EmbeddedConfig(
            num_mels=8, dimension=12, num_layers=num_layers, kernel=3, lookahead=lookahead
        )
        return PhoneRecognizer(EmbeddedEncoder(config), middle).eval()


SHORT = (
    "train.epochs=1",
    "train.steps_per_epoch=2",
    "train.num_workers=0",
    "train.precision=32-true",
    "train.batch.num_positives=2",
    "train.batch.num_negatives=3",
    "train.batch.window_s=1.0",
)


@contextmanager
def two_steps_suffice() -> Iterator[None]:
    """Take runs of two steps, which miss all, for usable, so that what else they do can be tried."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kws.evaluation.thresholds.UNUSABLE", 1.0)
        yield


def train_words(
    recordings: Path,
    output: Path,
    *more: str,
    keywords: Sequence[str] = ("tone",),
    positives: Sequence[Path] | None = (),
    negatives: Path | None = None,
) -> list[str]:
    """Return the words of a `kws train` that takes a second.

    Args:
        recordings: folder with ``speech``, the folder ``encoder`` of tiny weights, and one for each keyword.
        output: folder of the run.
        more: further words; a later ``--set`` wins.
        keywords: what to train.
        positives: recordings of each; empty takes the folders of their names, None gives none at all.
        negatives: None takes ``speech``.
    """
    words = ["train", "--output", str(output), "--negatives", str(negatives or recordings / "speech")]
    words += ["--num-synthetic", "0"]
    for index, keyword in enumerate(keywords):
        words += ["--keyword", keyword]
        if positives is not None:
            words += ["--positives", str(positives[index] if positives else recordings / keyword)]
    words += ["--weights", str(recordings / "encoder"), "--depth", "2", "--workers", "1"]
    for setting in SHORT:
        words += ["--set", setting]
    return [*words, *more]
