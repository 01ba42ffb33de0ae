"""Runs a model over long audio during training: dev scores, and windows it wrongly fires on."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from kws.audio import SAMPLE_RATE, seconds_to_samples, to_float32
from kws.audio_store import AudioStore
from kws.model import WakeWordModel

ROW_S = 30.0
"""Long audio is scored in rows of this length, each from a cold start."""
SEARCHED_S = 240.0
"""Length of each piece that hard windows are searched in."""
CLIP_TAIL_S = 0.6
"""Silence after a clip, so that a late score is seen."""
HARD_SCORE = 0.02
"""A window whose best score lies below this teaches nothing and is not mined."""
MAX_HARD = 400


def _scores(model: WakeWordModel, waveforms: np.ndarray) -> np.ndarray:
    """Score (row, samples) where the model is: during training that may be a GPU."""
    device = next(model.parameters()).device
    return model.scores(torch.from_numpy(waveforms).to(device)).cpu().numpy()


def score_clips(model: WakeWordModel, clips: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return (frames, keyword) scores of each clip, with its tail."""
    tail = seconds_to_samples(CLIP_TAIL_S)
    return [_scores(model, np.pad(clip, (0, tail))[None])[0] for clip in clips]


def score_rows(model: WakeWordModel, samples: np.ndarray) -> np.ndarray:
    """Return (frames, keyword) scores of int16 audio, cut into rows that each start anew.

    The last row is padded with silence; frames beyond the audio are cut off. Rows are scored one by one:
    several at once leave the processor's cache and take longer.
    """
    hop = model.hop_samples
    row = seconds_to_samples(ROW_S) // hop * hop
    found = []
    for start in range(0, len(samples), row):
        piece = samples[start : start + row]
        padded = np.zeros((1, row), np.float32)
        padded[0, : len(piece)] = to_float32(np.asarray(piece))
        found.append(_scores(model, padded)[0, : len(piece) // hop])
    return np.concatenate(found) if found else np.zeros((0, len(model.keywords)), np.float32)


def score_stream(model: WakeWordModel, store: AudioStore, max_hours: float | None = None) -> np.ndarray:
    """Return (frames, keyword) scores of a store's joined audio, of its first ``max_hours`` where given."""
    limit = None if max_hours is None else round(max_hours * 3600 * SAMPLE_RATE)
    return score_rows(model, store.samples[:limit])


def hard_windows(
    model: WakeWordModel, store: AudioStore, window_samples: int, max_hours: float, seed: tuple[int, ...]
) -> np.ndarray:
    """Find where a model wrongly fires.

    Args:
        model: as trained so far.
        store: audio without any keyword.
        window_samples: windows closer than this count as one.
        max_hours: how much audio is searched, in pieces from all over the store.
        seed: of the choice of pieces.
    Returns:
        (n,) end samples in the joined audio, the worst first, at most 400.
    """
    rng = np.random.default_rng((*seed, 3))
    piece = seconds_to_samples(SEARCHED_S)
    starts = np.arange(0, max(1, len(store.samples) - piece // 2), piece)
    count = min(len(starts), max(1, math.ceil(max_hours * 3600 * SAMPLE_RATE / piece)))
    ends: list[int] = []
    values: list[float] = []
    frames = max(1, window_samples // model.hop_samples)
    for start in sorted(rng.choice(starts, count, replace=False)):
        best = score_rows(model, store.samples[start : start + piece]).max(axis=1, initial=0.0)
        for first in range(0, len(best), frames):
            window = best[first : first + frames]
            if window.max() >= HARD_SCORE:
                ends.append(int(start) + (first + int(window.argmax()) + 2) * model.hop_samples)
                values.append(float(window.max()))
    order = np.argsort(values)[::-1][:MAX_HARD]
    return np.asarray(ends, np.int64)[order]
