"""Recorded rooms: which files are responses, which are left out, and what is said of the others."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from data_prep.augmentation.babble import VOICE_S, voices_of
from data_prep.conditions import ConditionConfig, condition_chain
from data_prep.rooms import read_rooms
from kws.audio import SAMPLE_RATE
from kws.errors import ConfigError
from kws.manifest import Recording
from tests.support.recordings import tone, write_audio


def response(decay_s: float = 0.2, seed: int = 0) -> np.ndarray:
    """Return half a second of a direct sound after 5 ms, and of a tail that decays."""
    rng, time_s = np.random.default_rng(seed), np.arange(SAMPLE_RATE // 2) / SAMPLE_RATE
    sound = 0.02 * rng.standard_normal(len(time_s)) * np.exp(-time_s / decay_s)
    sound[80] = 0.9
    return sound.astype(np.float32)


def test_a_folder_of_responses_is_read(tmp_path: Path):
    for seed in range(3):
        write_audio(tmp_path / f"{seed}.wav", response(seed=seed))
    notes: list[str] = []
    rooms = read_rooms([tmp_path], notes=notes)
    assert rooms is not None and len(rooms.responses) == 3
    assert all(found[0] == 1.0 for found in rooms.responses)
    assert notes == ["rooms: 3 recorded impulse responses take the place of simulated rooms"]
    assert read_rooms([]) is None


def test_of_several_microphones_the_first_is_read(tmp_path: Path):
    both = np.stack([response(), -response(seed=1)], axis=1)
    write_audio(tmp_path / "two.wav", both)
    rooms = read_rooms([tmp_path])
    assert rooms is not None
    np.testing.assert_allclose(rooms.responses[0], response()[80:] / 0.9, atol=1e-3)


def test_noise_and_rooms_of_the_test_are_left_out_by_label_and_split(tmp_path: Path):
    for seed in range(3):
        write_audio(tmp_path / f"{seed}.wav", response(seed=seed))
    rows = [
        {"path": "0.wav", "label": "rir", "split": "train"},
        {"path": "1.wav", "label": "rir", "split": "test"},
        {"path": "2.wav", "label": "noise", "split": "train"},
    ]
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    rooms = read_rooms([tmp_path / "m.jsonl"], ("dev", "test"))
    assert rooms is not None and [path.name for path in rooms.paths] == ["0.wav"]
    with pytest.raises(ConfigError, match="all 2 responses are of split dev or test or train; give others"):
        read_rooms([tmp_path / "m.jsonl"], ("train", "dev", "test"))


@pytest.mark.parametrize(
    ("sound", "message"),
    [
        (np.zeros(8000, np.float32), "is silent, expected a room impulse response"),
        (tone(1.0), "is no room impulse response: its loudest sample holds 0.0"),
    ],
)
def test_what_is_no_response_is_named(tmp_path: Path, sound: np.ndarray, message: str):
    write_audio(tmp_path / "good.wav", response())
    write_audio(tmp_path / "speech.wav", sound)
    with pytest.raises(ConfigError, match=rf"`rooms`: .*speech\.wav: {message}"):
        read_rooms([tmp_path])


def test_babble_is_mixed_from_voices_and_needs_some(tmp_path: Path):
    paths = [write_audio(tmp_path / f"{n}.wav", tone(12.0 if n == 0 else 0.5, 200 + n)) for n in range(4)]
    speech = [Recording(path).with_length() for path in paths]
    voices = voices_of(speech, lambda entry: (entry.load() * 32767).astype(np.int16))
    assert [len(clip) for clip in voices.clips] == [int(VOICE_S * SAMPLE_RATE), 8000, 8000, 8000]
    config = ConditionConfig(snr_db=5.0, babble=True)
    chain = condition_chain(config, None, None, voices)  # type: ignore[arg-type]
    noisy = chain.augment(tone(1.0, 1000), "a", 0, 0)
    energy = np.abs(np.fft.rfft(noisy))
    assert energy[195:210].max() > 20 * np.median(energy)  # the voices lie there
    with pytest.raises(ConfigError, match="babble is wanted and no speech is given"):
        condition_chain(config, None, None)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"condition\.babble: needs `snr_db`"):
        ConditionConfig(babble=True)
    with pytest.raises(ConfigError, match="there is no speech to mix it from"):
        voices_of([], lambda entry: np.zeros(1, np.int16))
