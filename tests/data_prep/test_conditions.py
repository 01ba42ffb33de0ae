"""Test conditions: what is done to a clip, and from what it is drawn."""

from __future__ import annotations

import numpy as np
import pytest

from data_prep.augmentation import NoiseBank, RoomBank
from data_prep.augmentation.levels import active_rms
from data_prep.conditions import ConditionConfig, condition_chain, draw, render
from kws import audio
from kws.errors import ConfigError
from tests.support.recordings import tone

ROOMS = RoomBank(num_rooms=1, split="test")


@pytest.fixture
def bank(tmp_path) -> NoiseBank:
    audio.save(tmp_path / "noise.wav", np.random.default_rng(1).normal(0, 0.1, 32_000).astype(np.float32))
    return NoiseBank((tmp_path / "noise.wav",))


def test_noise_is_added_at_the_ratio_asked_for(bank: NoiseBank):
    clip = tone(1.0, level=0.2)
    noisy = audio.to_float32(render(clip, condition_chain(ConditionConfig(snr_db=10.0), bank, ROOMS), "a", 1))
    added = noisy - clip
    assert 20 * np.log10(active_rms(clip) / np.sqrt(np.mean(added**2))) == pytest.approx(10.0, abs=0.1)


def test_nothing_is_done_by_default_but_rounding():
    clip = tone(0.3)
    rendered = render(clip, condition_chain(ConditionConfig(), None, ROOMS), "a")
    assert rendered.dtype == np.int16 and rendered.tolist() == audio.to_int16(clip).tolist()


def test_room_and_speed_change_what_they_should(bank: NoiseBank):
    clip = np.concatenate([tone(0.3), np.zeros(8_000, np.float32)])
    room = render(clip, condition_chain(ConditionConfig(room=True), None, ROOMS), "a")
    assert len(room) == len(clip) and np.abs(room[5_500:6_500]).max() > 50  # the echo of what has ended
    chain = condition_chain(ConditionConfig(speed=0.15), None, ROOMS)
    lengths = {len(render(clip, chain, "a", number)) for number in range(8)}
    assert len(lengths) > 4 and min(lengths) >= len(clip) / 1.16 and max(lengths) <= len(clip) / 0.84


def test_the_same_key_gives_the_same_noise_and_another_key_another(bank: NoiseBank):
    chain, clip = condition_chain(ConditionConfig(snr_db=0.0), bank, ROOMS), tone(0.5)
    first, again, other = (render(clip, chain, "study", 20, "noise", item) for item in ("a", "a", "b"))
    assert first.tolist() == again.tolist() != other.tolist()


def test_noise_and_room_are_heard_around_a_clip_and_speed_changes_it_alone(bank: NoiseBank):
    clip = tone(0.5)
    noisy = condition_chain(ConditionConfig(snr_db=0.0, room=True), bank, ROOMS)
    heard = render(clip, noisy, "a", lead_samples=16_000, tail_samples=8_000)
    assert len(heard) == 16_000 + len(clip) + 8_000
    assert np.abs(heard[:16_000]).mean() > 100 and np.abs(heard[-4_000:]).mean() > 100
    quick = render(
        clip,
        condition_chain(ConditionConfig(speed=0.15), None, ROOMS),
        "a",
        lead_samples=16_000,
        tail_samples=8_000,
    )
    bare = render(clip, condition_chain(ConditionConfig(speed=0.15), None, ROOMS), "a")
    assert len(bare) != len(clip) and quick.tolist() == [*[0] * 16_000, *bare.tolist(), *[0] * 8_000]


def test_more_recordings_hold_all_fewer_and_seeds_and_words_differ():
    few, some, everything = (draw(30, count, "computer", 0) for count in (5, 12, None))
    assert len(few) == 5 and set(few) < set(some) < set(everything) == set(range(30))
    assert few == sorted(few) and some == sorted(some)
    assert few != draw(30, 5, "computer", 1) and few != draw(30, 5, "jarvis", 0)
    assert draw(30, 0, "computer", 0) == []


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"snr_db": 200.0}, "condition.snr_db: got 200"),
        ({"speed": 0.9}, "condition.speed: got 0.9, allowed: 0 to"),
    ],
)
def test_values_out_of_range_are_refused(values: dict[str, float], message: str):
    with pytest.raises(ConfigError, match=message):
        ConditionConfig(**values)


def test_noise_that_is_not_there_is_named():
    with pytest.raises(ConfigError, match="noise at 10 dB is wanted and no noise is given"):
        condition_chain(ConditionConfig(snr_db=10.0), None, ROOMS)
