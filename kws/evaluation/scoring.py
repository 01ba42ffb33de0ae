"""Recordings to frame scores, through the exported file as a device runs it, or a folder of ``kws train``.

Clips are scored one by one, each from a cold start; negatives as one long stream, as a device hears them.
What they are and what is heard around them says :class:`kws.evaluation.heard.HeardAudio`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from tqdm import tqdm

from kws import audio
from kws.audio import SAMPLE_RATE, samples_to_seconds, seconds_to_samples
from kws.decisions import DecisionConfig
from kws.errors import CheckpointError
from kws.evaluation.heard import HeardClip, HeardPiece
from kws.manifest import Recording
from kws.micro_detector import open_detector

if TYPE_CHECKING:
    from kws.model import WakeWordModel

RUN_SAMPLES = 30 * SAMPLE_RATE
"""Most audio that a torch model is given at once; it bounds memory."""

BLOCK_S = 10.0
"""Audio of a stream given at once: 30 s took a quarter longer, as it leaves the processor's cache."""


class Scorer(Protocol):
    """What gives scores: :class:`kws.Detector` or :class:`TorchScorer`."""

    @property
    def keywords(self) -> tuple[str, ...]:
        """Names of the score columns."""

    @property
    def hop_samples(self) -> int:
        """Samples from one frame to the next."""

    @property
    def hop_s(self) -> float:
        """Seconds from one frame to the next."""

    @property
    def chunk_samples(self) -> int:
        """Samples that must be there before anything is scored."""

    @property
    def decision_config(self) -> DecisionConfig:
        """Stored thresholds, smoothing and refractory time."""

    def reset(self) -> None:
        """Start a new stream."""

    def scores(self, pcm: np.ndarray) -> np.ndarray:
        """Take the next audio of the stream; return the (frames, keywords) that it completes."""


class TorchScorer:
    """Runs a torch model as a stream, as :class:`kws.Detector` runs an exported file.

    Args:
        model: a keyword model; it is put into eval mode.
        decision_config: thresholds, smoothing and refractory time.
    """

    def __init__(self, model: WakeWordModel, decision_config: DecisionConfig) -> None:
        self._model = model.eval()
        self.decision_config = decision_config
        self.keywords = model.keywords
        self.hop_samples = model.hop_samples
        self.chunk_samples = model.encoder.info.chunk_samples or model.hop_samples
        self.hop_s = samples_to_seconds(self.hop_samples)
        self.reset()

    def reset(self) -> None:
        """Start a new stream."""
        self._state = self._model.initial_state(1)
        self._pending = np.zeros(0, np.float32)

    def scores(self, pcm: np.ndarray) -> np.ndarray:
        """Take the next audio of the stream; return the (frames, keywords) float32 that it completes."""
        import torch

        waveform = np.concatenate([self._pending, audio.to_float32(pcm)])
        usable = len(waveform) - len(waveform) % self.chunk_samples
        self._pending = waveform[usable:]
        pieces = [np.zeros((0, len(self.keywords)), np.float32)]
        # a sliding encoder must not hear beyond each chunk; a streaming one takes much at once
        step = (
            RUN_SAMPLES - RUN_SAMPLES % self.chunk_samples
            if self._model.encoder.info.streaming
            else self.chunk_samples
        )
        device = next(self._model.parameters()).device
        state = [tensor.to(device) for tensor in self._state]
        with torch.inference_mode():
            for start in range(0, usable, step):
                piece = torch.from_numpy(waveform[start : min(start + step, usable)])[None].to(device)
                logits, state = self._model.run(piece, state)
                pieces.append(torch.sigmoid(logits)[0].float().cpu().numpy())
        self._state = state
        return np.concatenate(pieces)


def open_scorer(model: str | Path) -> Scorer:
    """Open what is to be evaluated.

    Args:
        model: an exported ``.onnx``, the ``.json`` of a microWakeWord model, or a folder of ``kws train``:
            its ``model.onnx`` where there is one, else the torch model.
    Raises:
        CheckpointError: it is neither, or damaged.
    """
    model = Path(model)
    exported = exported_file(model)
    if exported is not None:
        return open_detector(exported)
    if not model.is_dir():
        raise CheckpointError(
            f"{model}: no such file or folder; give an exported .onnx or the folder of `kws train`"
        )
    from kws.checkpoint import load_model, load_operating_point

    loaded, point = load_model(model), load_operating_point(model)
    lacking = [keyword for keyword in loaded.keywords if keyword not in point.thresholds]
    if lacking:
        raise CheckpointError(f"{model}: no threshold is stored for {', '.join(lacking)}; train again")
    thresholds = [point.thresholds[keyword] for keyword in loaded.keywords]
    return TorchScorer(loaded, point.decision.at(thresholds))


def exported_file(model: Path) -> Path | None:
    """Return the exported file that stands for a model, or None when it is a folder that holds none."""
    exported = model / "model.onnx" if model.is_dir() else model
    return exported if exported.is_file() else None


@dataclass(frozen=True, slots=True)
class ScoredClip:
    """Frame scores of one recording."""

    utterance: Recording
    """Where it comes from."""
    scores: np.ndarray
    """(frames, keywords) float32; in a stream, the frames that were completed during this recording."""
    num_samples: int
    """Samples of the recording, without what was heard around it."""
    lead_s: float = 0.0
    """Heard before the recording, in seconds; the scores begin there."""
    start_sample: int = 0
    """Where the recording starts in the stream; 0 for a clip by itself."""
    speech_start_s: float = 0.0
    """Start of the keyword in the recording, in seconds; 0 in a stream."""
    speech_end_s: float = 0.0
    """End of the keyword in the recording, in seconds; 0 in a stream."""
    is_copy: bool = False
    """It was heard before in the stream, and is changed here."""


def score_clips(
    scorer: Scorer, clips: Iterable[HeardClip], total: int, *, progress: bool = True, description: str = ""
) -> list[ScoredClip]:
    """Score clips, each from a cold start, with what is heard around it.

    Args:
        scorer: from :func:`open_scorer`.
        clips: what it hears.
        total: how many they are.
        progress: show a bar.
        description: what the bar is called.
    Raises:
        AudioError: a recording cannot be read.
    """
    bar = tqdm(clips, description, total, unit="file", disable=None if progress else True)
    return [
        ScoredClip(
            clip.utterance,
            clip_scores(scorer, clip.samples),
            clip.num_samples,
            lead_s=clip.lead_s,
            speech_start_s=clip.start_s,
            speech_end_s=clip.end_s,
        )
        for clip in bar
    ]


def score_stream(
    scorer: Scorer, recordings: Iterable[HeardPiece], total: int, *, progress: bool = True
) -> list[ScoredClip]:
    """Score negatives as one stream, as a device hears them.

    Args:
        scorer: from :func:`open_scorer`.
        recordings: of the stream, in order.
        total: how many are no copies.
        progress: show a bar.
    Returns:
        One entry per recording; the silence after it belongs to its frames and not to its samples.
    Raises:
        AudioError: a recording cannot be read.
    """
    scorer.reset()
    clips, position = [], 0
    bar = tqdm(recordings, "negatives", total, unit="file", disable=None if progress else True)
    for recording in bar:
        found, length = [np.zeros((0, len(scorer.keywords)), np.float32)], 0
        for piece in recording.pieces:
            found += stream_scores(scorer, piece)
            length += len(piece)
        found += stream_scores(scorer, np.zeros(recording.gap_samples, np.int16))
        clips.append(
            ScoredClip(
                recording.utterance,
                np.concatenate(found),
                length,
                start_sample=position,
                is_copy=recording.is_copy,
            )
        )
        position += length + recording.gap_samples
    return clips


def clip_scores(scorer: Scorer, samples: np.ndarray) -> np.ndarray:
    """Return the (frames, keywords) scores of a clip from a cold start; silence fills the last chunk.

    Args:
        scorer: what hears it.
        samples: (samples,) int16.
    """
    scorer.reset()
    return scorer.scores(np.pad(samples, (0, -len(samples) % scorer.chunk_samples)))


def stream_scores(scorer: Scorer, samples: np.ndarray) -> list[np.ndarray]:
    """Return the (frames, keywords) scores that the next samples of a stream complete, block by block.

    Args:
        scorer: what hears them.
        samples: (samples,) int16.
    """
    block = seconds_to_samples(BLOCK_S)
    return [scorer.scores(samples[start : start + block]) for start in range(0, len(samples), block)]


def hours(clips: Sequence[ScoredClip]) -> float:
    """Return the hours of the recordings of a stream, without the silence between them."""
    return samples_to_seconds(sum(clip.num_samples for clip in clips)) / 3600
