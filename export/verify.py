"""Compare an exported graph with the model it came from: scores, state and detections, in several chunkings.

Called by :mod:`export.to_onnx` on every file before it gets its name.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch

from export import signals
from kws.audio import SAMPLE_RATE
from kws.decisions import decide, smooth
from kws.detector import Detector
from kws.model import WakeWordModel

SCORE_TOLERANCE = 1e-4
"""Largest allowed difference of a score (in [0, 1]) between torch and onnxruntime, both in float32."""

STATE_TOLERANCE = 5e-3
"""Largest allowed difference of a state tensor, as a share of its largest value (at least 1). States show
every layer, also where the scores of a trained model lie so near 0 that they hide a difference."""


@dataclass(frozen=True, slots=True)
class SignalParity:
    """How one signal came out."""

    signal: str
    """Its name."""
    duration_s: float
    """Its length."""
    chunking: str
    """How it was cut into runs of the graph."""
    max_score_difference: float
    """Over all frames and keywords; NaN where the shapes differ."""
    max_state_difference: float
    """Over all state tensors after the last run, as a share of each tensor's largest value (at least 1)."""
    detections: int
    """How many the torch model has, at the thresholds of the file and at thresholds amid its scores."""
    identical_detections: bool
    """The file gives the same ones through :class:`kws.Detector`, pushed in pieces of random length."""

    @property
    def ok(self) -> bool:
        """Whether everything lies within its limit."""
        close = self.max_score_difference <= SCORE_TOLERANCE and self.max_state_difference <= STATE_TOLERANCE
        return close and self.identical_detections


@dataclass(frozen=True, slots=True)
class Parity:
    """The comparison of one exported file with its checkpoint."""

    signals: tuple[SignalParity, ...]
    """One entry per signal and chunking."""

    @property
    def ok(self) -> bool:
        """Whether the file may be used."""
        return all(entry.ok for entry in self.signals)

    @property
    def max_score_difference(self) -> float:
        """Over all signals; NaN if any is."""
        return float(np.max([entry.max_score_difference for entry in self.signals]))

    @property
    def num_detections(self) -> int:
        """Detections compared, over all signals (once per signal, not per chunking)."""
        return sum({entry.signal: entry.detections for entry in self.signals}.values())

    def worst(self) -> SignalParity:
        """Return an entry that fails, or else the one with the largest difference."""
        return max(self.signals, key=lambda entry: (not entry.ok, entry.max_score_difference))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for the report beside the file."""
        return {
            "ok": self.ok,
            "score_tolerance": SCORE_TOLERANCE,
            "state_tolerance": STATE_TOLERANCE,
            "max_score_difference": self.max_score_difference,
            "detections_compared": self.num_detections,
            "signals": [dataclasses.asdict(entry) for entry in self.signals],
        }


def make_signals(chunk_samples: int, few: bool = False) -> dict[str, np.ndarray]:
    """Return name -> (samples,) float32 of several lengths, all whole multiples of ``chunk_samples``.

    Args:
        chunk_samples: step of the file.
        few: leave most out, for an encoder that is run over a whole window again for every chunk.
    """
    made = {"speech": signals.speech_like(2.4), "noise": signals.noise(0.5, 0.1)}
    if not few:
        made |= {
            "loud noise": signals.noise(1.0, 0.8, seed=1),
            "tone": signals.tone(1.3, 1000.0),
            "silence, then speech": signals.silence_then_speech(4.2, seed=2),
        }
    return {name: wave[: max(len(wave) // chunk_samples, 1) * chunk_samples] for name, wave in made.items()}


BESIDE = "beside another stream"
"""Name of the run in which two streams lie in one batch."""


def compare(model: WakeWordModel, path: Path) -> Parity:
    """Compare an exported file with the model it came from.

    Args:
        model: as ``load_model`` gives it; on the processor, in eval mode.
        path: the ``.onnx`` file.
    Raises:
        CheckpointError: the file does not follow the format.
    """
    probe = Detector(path)
    chunk, dynamic = probe.chunk_samples, probe.metadata["chunk_dynamic"] == "true"
    waveforms = make_signals(chunk, few=not model.encoder.info.streaming)
    references = {name: _run_torch(model, wave, chunk) for name, wave in waveforms.items()}
    detectors = _detectors(path, probe, [scores for scores, _ in references.values()])
    session = open_session(path)
    entries = []
    for number, (name, waveform) in enumerate(waveforms.items()):
        scores, state = references[name]
        wanted, identical = 0, True
        for detector in detectors:
            expected, _ = decide(scores, probe.keywords, detector.decision_config, probe.hop_s)
            found = [
                detection
                for block in _random_blocks(waveform, chunk, number)
                for detection in detector.process(block)
            ]
            detector.reset()
            wanted += len(expected)
            identical &= [(d.keyword, d.frame, d.time_s) for d in found] == [
                (d.keyword, d.frame, d.time_s) for d in expected
            ]
        chunkings = _chunkings(waveform, chunk, probe.hop_samples, dynamic, number)
        if probe.takes_several_streams:
            chunkings[BESIDE] = chunkings[f"{chunk} samples"]
        for chunking, pieces in chunkings.items():
            onnx_scores, onnx_state = run_onnx(session, pieces, beside=chunking == BESIDE)
            entries.append(
                SignalParity(
                    signal=name,
                    duration_s=len(waveform) / SAMPLE_RATE,
                    chunking=chunking,
                    max_score_difference=_difference(onnx_scores, scores),
                    max_state_difference=_state_difference(onnx_state, state),
                    detections=wanted,
                    identical_detections=identical,
                )
            )
    return Parity(tuple(entries))


def open_session(path: Path) -> onnxruntime.InferenceSession:
    """Open a graph on one thread of the processor."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def run_onnx(
    session: onnxruntime.InferenceSession, pieces: list[np.ndarray], *, beside: bool = False
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Run the pieces of a waveform one after the other from a zero state.

    Args:
        session: of the graph.
        pieces: of the waveform.
        beside: let another stream, of the same sound upside down and softer, lie in the same batch.
    Returns:
        scores (frames, keywords) and the state tensors after the last piece.
    """
    streams = 2 if beside else 1
    shapes = {node.name: node.shape for node in session.get_inputs() if node.name != "waveform"}
    axes = [
        [isinstance(size, str) for size in shape].index(True) if beside else 0 for shape in shapes.values()
    ]
    inputs = {
        name: np.zeros([streams if isinstance(size, str) else size for size in shape], np.float32)
        for name, shape in shapes.items()
    }
    names = ["scores", *(f"next_{name}" for name in inputs)]
    scores = []
    for piece in pieces:
        waveforms = np.stack([piece, -piece / 2][:streams])
        piece_scores, *state = session.run(names, {"waveform": waveforms, **inputs})
        inputs = dict(zip(inputs, state, strict=True))
        scores.append(piece_scores[0])
    if not beside:
        return np.concatenate(scores), list(inputs.values())
    own = [np.take(state, [0], axis) for state, axis in zip(inputs.values(), axes, strict=True)]
    return np.concatenate(scores), own


@torch.no_grad()
def _run_torch(model: WakeWordModel, waveform: np.ndarray, chunk: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """Run the model over the whole waveform, or chunk by chunk where its frames depend on the chunk."""
    state, logits = model.initial_state(1), []
    step = len(waveform) if model.encoder.info.chunk_samples == 0 else chunk
    for piece in torch.split(torch.from_numpy(waveform)[None], step, dim=1):
        piece_logits, state = model.run(piece, state)
        logits.append(piece_logits[0])
    return torch.sigmoid(torch.cat(logits)).numpy(), [tensor.numpy() for tensor in state]


def _chunkings(
    waveform: np.ndarray, chunk: int, hop: int, dynamic: bool, seed: int
) -> dict[str, list[np.ndarray]]:
    """Return name -> the pieces that the graph is run on."""
    made = {f"{chunk} samples": np.split(waveform, range(chunk, len(waveform), chunk))}
    if dynamic:
        hops = np.cumsum(np.random.default_rng(seed).integers(1, 8, len(waveform) // hop)) * hop
        made["whole"] = [waveform]
        made["1 to 7 hops"] = np.split(waveform, hops[hops < len(waveform)])
    return made


def _random_blocks(waveform: np.ndarray, chunk: int, seed: int) -> list[np.ndarray]:
    """Cut a waveform into pieces of any length, as a sound card or a network gives them."""
    lengths = np.random.default_rng(seed).integers(1, 3 * chunk, len(waveform) // chunk + 1)
    return np.split(waveform, np.cumsum(lengths))


def _detectors(path: Path, probe: Detector, scores: list[np.ndarray]) -> list[Detector]:
    """Return one detector at the thresholds of the file and one at thresholds that the scores cross."""
    config = probe.decision_config
    history = np.zeros((config.smoothing_frames - 1, len(probe.keywords)))
    smoothed = np.concatenate([smooth(entry, history) for entry in scores])  # (frames, keywords)
    return [
        Detector(
            path,
            threshold={
                keyword: _clear_of(smoothed[:, column], float(wished[column]))
                for column, keyword in enumerate(probe.keywords)
            },
        )
        for wished in (config.thresholds, np.median(smoothed, axis=0))
    ]


def _clear_of(values: np.ndarray, threshold: float) -> float:
    """Return the nearest threshold with no value within the tolerance: rounding must decide no detection."""
    margin = 2 * SCORE_TOLERANCE
    candidates = np.concatenate([[threshold], values - margin, values + margin])
    candidates = candidates[(candidates >= 0) & (candidates <= 1)]
    candidates = candidates[np.argsort(np.abs(candidates - threshold), kind="stable")]
    ordered = np.sort(values)
    for candidate in candidates:
        near = np.searchsorted(ordered, [candidate - 0.99 * margin, candidate + 0.99 * margin])
        if near[0] == near[1]:
            return float(candidate)
    return threshold


def _difference(ours: np.ndarray, reference: np.ndarray) -> float:
    return float(np.abs(ours - reference).max()) if ours.shape == reference.shape else float("nan")


def _state_difference(ours: list[np.ndarray], reference: list[np.ndarray]) -> float:
    if len(ours) != len(reference):
        return float("nan")
    shares = [
        _difference(mine, wanted) / max(1.0, float(np.abs(wanted).max()))
        for mine, wanted in zip(ours, reference, strict=True)
        if wanted.size
    ]
    return float(np.max(shares)) if shares else 0.0
