"""Reading dev for the threshold: recordings as they are, and copies in noise and rooms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kws.audio import SAMPLE_RATE, to_float32
from kws.audio_store import AudioStore
from kws.decisions import DecisionSettings
from kws.evaluation.thresholds import choose_operating_point
from kws.training import copies, dev, scan
from kws.training.config import TrainConfig
from kws.training.data import TrainingData
from tests.support.training import LoudnessModel, noise, store, tone
from tests.tolerances import PADDED

CONFIG = TrainConfig(num_workers=0, seed=5)
NOTHING = AudioStore([])


def data_of(waveform: np.ndarray) -> TrainingData:
    return TrainingData(NOTHING, [], NOTHING, [tone(0.5)], [0], True, store(waveform))


def louder(waveform: np.ndarray, item_id: str, seed: int, epoch: int) -> np.ndarray:
    """Each copy and each row twice as loud as the one before."""
    return np.clip(to_float32(waveform) * 2.0 ** (1 + epoch + int(item_id)), -1, 1)


def test_without_augmentation_there_are_no_copies():
    assert dev.dev_copies(0.7, CONFIG) == 3
    assert dev.dev_copies(0.7, replace(CONFIG, augmentation=0.0)) == 0


def test_the_copies_follow_the_recordings_as_they_are(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(copies, "ROW_S", 1.0)
    data, model = data_of(noise(2.0, level=0.05)), LoudnessModel()
    found = dev.read_dev_copies(model, data, louder, replace(CONFIG, dev_copies=2))
    once = dev.read_dev(model, data)
    frames = len(once.negatives)
    assert len(found.negatives) == 3 * frames and found.hours == pytest.approx(3 * once.hours)
    np.testing.assert_array_equal(found.negatives[:frames], once.negatives)
    assert [len(clip) for clip in found.positives] == [len(clip) for clip in once.positives]
    rows = [data.dev_negatives.samples[:SAMPLE_RATE], data.dev_negatives.samples[SAMPLE_RATE:]]
    expected = [
        scan.score_rows(model, louder(row, str(number), 0, copy))
        for copy in range(2)
        for number, row in enumerate(rows)
    ]
    np.testing.assert_allclose(found.negatives[frames:], np.concatenate(expected), atol=PADDED + 1e-3, rtol=0)


def test_what_fires_only_in_noise_raises_the_threshold():
    """Recordings that the model is sure of, and copies that it takes for the keyword."""
    data, model = data_of(noise(40.0, level=0.02)), LoudnessModel()

    def threshold(copies: int) -> float:
        scores = dev.read_dev_copies(model, data, louder, replace(CONFIG, dev_copies=copies))
        point, _, _ = choose_operating_point(
            scores,
            ["tone"],
            hop_samples=model.hop_samples,
            settings=DecisionSettings(),
            proven_per_hour=0.5,  # which knows no floor
        )
        return point.thresholds["tone"]

    assert threshold(3) > 2 * threshold(0)
