"""Rooms keep the timing and the level, and sound as long as asked."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from data_prep.augmentation import RoomBank, SimulatedRoom, stable_rng
from data_prep.augmentation.levels import active_rms
from data_prep.augmentation.room import shoebox_response
from kws import audio
from kws.audio import SAMPLE_RATE
from kws.errors import ConfigError

pyroomacoustics = pytest.importorskip("pyroomacoustics")
BANK = RoomBank(num_rooms=12)


def decay_time_s(response: np.ndarray) -> float:
    """Reverberation time by Schroeder's backward integration, fitted from -5 to -25 dB."""
    energy = np.cumsum(response[:0:-1].astype(np.float64) ** 2)[::-1]
    level_db = 10 * np.log10(energy / energy[0])
    span = (level_db < -5) & (level_db > -25)
    slope, _ = np.polyfit(np.flatnonzero(span) / SAMPLE_RATE, level_db[span], 1)
    return -60 / slope


def test_direct_path_is_one_at_delay_zero() -> None:
    for response in BANK.responses:
        assert response[0] == 1.0
        assert response.dtype == np.float32
        assert np.isfinite(response).all()


@pytest.mark.parametrize("rt60_s", [0.2, 0.5, 0.8])
def test_reverberation_time_is_what_was_asked(rt60_s: float) -> None:
    responses = RoomBank(num_rooms=8, rt60_s=(rt60_s, rt60_s), seed=1).responses
    assert np.median([decay_time_s(response) for response in responses]) == pytest.approx(rt60_s, rel=0.1)


@pytest.mark.parametrize("rt60_s", [0.25, 0.6])
def test_energy_over_time_is_that_of_full_order_image_sources(rt60_s: float) -> None:
    """The reference is pyroomacoustics' own response with every reflection, in the same room."""
    size_m = np.array([5.2, 4.1, 2.7])
    source_m, microphone_m = np.array([1.1, 1.3, 1.6]), np.array([3.4, 2.9, 0.9])
    response = shoebox_response(size_m, source_m, microphone_m, rt60_s, stable_rng(0))

    surface_m2 = 2 * (5.2 * 4.1 + 5.2 * 2.7 + 4.1 * 2.7)
    absorption = 1 - np.exp(-0.161 * size_m.prod() / (surface_m2 * rt60_s))  # Eyring
    walls = pyroomacoustics.Material(absorption)
    room = pyroomacoustics.ShoeBox(size_m, fs=SAMPLE_RATE, materials=walls, max_order=45)
    room.add_source(source_m)
    room.add_microphone(microphone_m)
    room.compute_rir()
    distance_m = float(np.linalg.norm(source_m - microphone_m))
    direct = round(distance_m / 343.0 * SAMPLE_RATE) + 40  # it delays by half of its fractional delay filter
    reference = room.rir[0][0][direct:] * distance_m  # its direct path has amplitude 1 / distance

    edges_s = np.array([0.001, 0.02, 0.04, 0.08, 0.16])  # across the hand-over to the tail, at about 50 ms
    for first_s, last_s in zip(edges_s[:-1], edges_s[1:], strict=True):
        span = slice(round(first_s * SAMPLE_RATE), round(last_s * SAMPLE_RATE))
        ratio_db = 10 * np.log10(np.sum(response[span] ** 2) / np.sum(reference[span] ** 2))
        assert abs(ratio_db) < 2.5, f"{first_s} to {last_s} s"


def test_alignment_is_kept(clip: np.ndarray) -> None:
    """Nothing sounds before the sine starts, and it starts to sound at the same sample."""
    start = SAMPLE_RATE
    for room in range(len(BANK)):
        reverberant = SimulatedRoom(BANK, keep_level=False).apply(clip, {"room": room})
        assert reverberant.size == clip.size
        assert np.abs(reverberant[:start]).max() < 1e-6
        first_sound = np.flatnonzero(np.abs(reverberant) > 1e-4)[0]
        assert abs(int(first_sound) - start) <= 1


def test_impulse_comes_out_as_the_response() -> None:
    impulse = np.zeros(4000, np.float32)
    impulse[100] = 1.0
    reverberant = SimulatedRoom(BANK, keep_level=False).apply(impulse, {"room": 3})
    np.testing.assert_allclose(reverberant[100:], BANK.responses[3][:3900], atol=1e-6)
    assert np.abs(reverberant[:100]).max() < 1e-6


def test_level_is_kept(clip: np.ndarray) -> None:
    for room in range(len(BANK)):
        reverberant = SimulatedRoom(BANK).apply(clip, {"room": room})
        assert active_rms(reverberant) == pytest.approx(active_rms(clip), rel=1e-4)


def test_splits_and_seeds_share_no_room() -> None:
    banks = [RoomBank(num_rooms=5), RoomBank(num_rooms=5, split="test"), RoomBank(num_rooms=5, seed=1)]
    responses = {response.tobytes() for bank in banks for response in bank.responses}
    assert len(responses) == 15


def test_a_room_does_not_depend_on_the_size_of_its_bank() -> None:
    assert np.array_equal(RoomBank(num_rooms=2).responses[1], BANK.responses[1])


def test_bank_is_made_once_and_fast() -> None:
    start_s = time.process_time()
    responses = RoomBank(num_rooms=50, seed=9).responses
    assert time.process_time() - start_s < 5.0
    assert RoomBank(num_rooms=50, seed=9).responses is responses


def test_recorded_response_is_cut_at_the_direct_path(tmp_path: Path, clip: np.ndarray) -> None:
    recording = np.zeros(2000, np.float32)
    recording[[300, 500, 900]] = (-0.5, 0.25, 0.125)
    audio.save(tmp_path / "hall.wav", recording)
    bank = RoomBank(paths=(tmp_path / "hall.wav",))
    assert len(bank) == 1
    response = bank.responses[0]
    assert response.size == 1700
    assert (response[0], response[200], response[600]) == pytest.approx((1.0, -0.5, -0.25), abs=1e-4)


def test_silent_recording_is_refused(tmp_path: Path) -> None:
    audio.save(tmp_path / "hall.wav", np.zeros(100, np.float32))
    with pytest.raises(ConfigError, match="hall.wav: is silent"):
        _ = RoomBank(paths=(tmp_path / "hall.wav",)).responses


def test_silent_and_short_clips() -> None:
    room = SimulatedRoom(BANK, probability=1.0)
    assert not room(np.zeros(8000, np.float32), stable_rng(0)).any()
    assert room(np.full(3, 0.1, np.float32), stable_rng(0)).shape == (3,)
