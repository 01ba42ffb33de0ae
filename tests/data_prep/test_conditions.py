"""Test conditions: what is done to a clip, from what it is drawn, and how negatives are joined."""

from __future__ import annotations

import numpy as np
import pytest

from data_prep.augmentation import Chain, NoiseBank, RoomBank
from data_prep.augmentation.levels import active_rms
from data_prep.conditions import ConditionConfig, condition_chain, draw, negative_stream, render
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


def test_a_stream_is_speech_with_gaps_then_noise_then_copies_in_turn():
    speech = [(name, np.full(100, level, np.float32)) for name, level in (("a", 0.1), ("b", 0.2), ("c", 0.3))]

    class Marked(Chain):
        """Replaces a clip by its mark."""

        def __init__(self, mark: float) -> None:
            super().__init__(())
            object.__setattr__(self, "mark", mark)

        def __call__(self, waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
            return np.full(10, self.mark, np.float32)

    noise = [np.full(50, 0.4, np.float32)]
    stream, originals = negative_stream(speech, noise, {"x": Marked(0.5), "y": Marked(0.6)}, "key")
    gap = [0.0] * 8_000
    expected = [*[0.1] * 100, *gap, *[0.2] * 100, *gap, *[0.3] * 100, *gap, *[0.4] * 50]
    assert originals == len(expected)
    expected += [*[0.5] * 10, *gap, *[0.6] * 10, *gap, *[0.5] * 10, *gap]
    assert audio.to_float32(stream) == pytest.approx(np.array(expected), abs=1e-4)
    assert negative_stream(speech, noise, {}, "key")[0].tolist() == stream[:originals].tolist()


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
