"""Recordings to frame scores, through the exported file as a device runs it, or a folder of ``kws train``.

Positive clips are scored one by one after silence, so that none is heard from a cold start, which a device
never is; negatives as one long stream, as a device would hear them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from scipy import signal
from tqdm import tqdm

from kws import audio
from kws.audio import SAMPLE_RATE, samples_to_seconds, seconds_to_samples
from kws.decisions import DecisionConfig
from kws.detector import Detector
from kws.errors import CheckpointError, ManifestError
from kws.manifest import Recording

if TYPE_CHECKING:
    from kws.model import WakeWordModel

LEAD_S = 3.0
"""Silence before a positive clip: longer than an embedded encoder hears back (seconds)."""
TAIL_S = 1.0
"""Silence after a positive clip, so that a detection that comes late is counted (seconds)."""

RUN_SAMPLES = 30 * SAMPLE_RATE
"""Most audio that a torch model is given at once; it bounds memory."""

FRAME_SAMPLES = SAMPLE_RATE // 50
"""20 ms, about one or two pitch periods of a low voice."""

LOWEST_SPEECH_HZ = 150.0
"""Hum and rumble below it would pass for speech; the overtones of a low voice lie above it."""

BELOW_PEAK_DB, ABOVE_FLOOR_DB = 30.0, 10.0
"""Speech is no further below its loudest frame, and further than this above the noise where there is some."""

Change = Callable[[np.ndarray, str], np.ndarray]
"""``change(waveform, item_id) -> waveform`` of the same length, such as added noise; the same item, the same
result."""


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
        model: an exported ``.onnx``, or a folder of ``kws train``: its ``model.onnx`` where there is one,
            else the torch model.
    Raises:
        CheckpointError: it is neither, or damaged.
    """
    model = Path(model)
    exported = exported_file(model)
    if exported is not None:
        return Detector(exported)
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
    """Return the ``.onnx`` that stands for a model, or None when it is a folder that holds none."""
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
    """Samples of the recording, without the tail."""
    first_frame: int = 0
    """Index of the first frame in the stream; 0 for a clip by itself."""
    start_sample: int = 0
    """Where the recording starts in the stream; 0 for a clip by itself."""
    speech_start_s: float = 0.0
    """Start of the phrase, from the manifest or by energy, in seconds; 0 in a stream."""
    speech_end_s: float = 0.0
    """End of the phrase, from the manifest or by energy, in seconds; 0 in a stream."""


def score_manifest(
    model: Scorer | str | Path,
    utterances: Sequence[Recording],
    *,
    stream: bool = False,
    tail_s: float = TAIL_S,
    change: Change | None = None,
    progress: bool = True,
    description: str = "scoring",
) -> list[ScoredClip]:
    """Score recordings.

    Args:
        model: from :func:`open_scorer`, or what it takes.
        utterances: what to score, in this order.
        stream: False scores each by itself, with silence before and after it; True scores all as one stream,
            so that what the model remembers carries over.
        tail_s: length of the silence after each, in seconds; 0 in a stream.
        change: applied to each waveform with its silence; clips only.
        progress: show a bar.
        description: what the bar is called.
    Returns:
        One entry per recording.
    Raises:
        AudioError: a recording cannot be read.
        ManifestError: there are none, or ``change`` is given for a stream.
    """
    scorer = open_scorer(model) if isinstance(model, (str, Path)) else model
    if not utterances:
        raise ManifestError(f"{description}: there are no recordings; check the manifest and its split")
    if stream and change is not None:
        raise ManifestError("a stream is scored as it is; give `change` for clips only")
    bar = tqdm(utterances, description, unit="file", disable=None if progress else True)
    if not stream:
        return [_score_clip(scorer, utterance, tail_s, change) for utterance in bar]
    scorer.reset()
    clips, frames, samples = [], 0, 0
    for utterance in bar:
        pieces, length = [np.zeros((0, len(scorer.keywords)), np.float32)], 0
        for piece in read_pieces(utterance):
            pieces.append(scorer.scores(piece))
            length += len(piece)
        scores = np.concatenate(pieces)
        clips.append(ScoredClip(utterance, scores, length, frames, samples))
        frames, samples = frames + len(scores), samples + length
    return clips


def hours(clips: Sequence[ScoredClip]) -> float:
    """Return the hours of audio that were scored, without tails."""
    return samples_to_seconds(sum(clip.num_samples for clip in clips)) / 3600


def _score_clip(scorer: Scorer, utterance: Recording, tail_s: float, change: Change | None) -> ScoredClip:
    """Score one clip after silence of whole chunks; the tail also fills the last chunk."""
    waveform = read_waveform(utterance)
    lead = seconds_to_samples(LEAD_S) // scorer.chunk_samples * scorer.chunk_samples
    total = lead + len(waveform) + seconds_to_samples(tail_s)
    padded = np.zeros(total + -total % scorer.chunk_samples, np.float32)
    padded[lead : lead + len(waveform)] = waveform
    if change is not None:
        padded = change(padded, utterance.item_id)
    scorer.reset()
    start_s, end_s = speech_span_s(waveform)
    return ScoredClip(
        utterance,
        scorer.scores(padded)[lead // scorer.hop_samples :],
        len(waveform),
        speech_start_s=float(utterance.extra.get("keyword_start_s", start_s)),
        speech_end_s=float(utterance.extra.get("keyword_end_s", end_s)),
    )


def read_waveform(utterance: Recording) -> np.ndarray:
    """Return (samples,) float32 of one recording; raises as :func:`read_pieces`."""
    return np.concatenate(list(read_pieces(utterance)))


def read_pieces(utterance: Recording) -> Iterator[np.ndarray]:
    """Yield a recording in pieces of a minute, so that a long one takes little memory.

    A stretch at the start of a longer file ends where the manifest says.

    Raises:
        AudioError: the file is missing, corrupt or empty.
    """
    yield from utterance.pieces()


def speech_span_s(waveform: np.ndarray) -> tuple[float, float]:
    """Return where active speech starts and ends, in seconds, by the energy of 20 ms frames.

    A frame is active within 30 dB of the loudest one and 10 dB above the quietest tenth; where all is about
    as loud, within 10 dB of the loudest.

    Args:
        waveform: (samples,) float32.
    """
    steep = signal.butter(4, LOWEST_SPEECH_HZ, "highpass", fs=SAMPLE_RATE, output="sos")
    speech = signal.sosfilt(steep, waveform) if len(waveform) else waveform
    frames = speech[: len(waveform) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
    if not len(frames):
        return 0.0, samples_to_seconds(len(waveform))
    level_db = 10 * np.log10(np.square(frames).mean(axis=1) + 1e-12)
    peak_db, floor_db = level_db.max(), np.percentile(level_db, 10)
    above_floor_db = min(floor_db + ABOVE_FLOOR_DB, peak_db - ABOVE_FLOOR_DB)
    active = np.flatnonzero(level_db >= max(peak_db - BELOW_PEAK_DB, above_floor_db))
    first, last = int(active[0]), int(active[-1])
    return samples_to_seconds(first * FRAME_SAMPLES), samples_to_seconds((last + 1) * FRAME_SAMPLES)
