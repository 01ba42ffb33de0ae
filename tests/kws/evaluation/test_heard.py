"""What a detector hears in a test: where a keyword lies in its clip, and how negatives follow each other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kws import audio
from kws.errors import ConfigError
from kws.evaluation.heard import HeardAudio
from kws.evaluation.protocol import TestProtocol
from kws.manifest import Recording
from tests.support.onnx_models import silence, tone

RATE = 16_000
PLAIN = TestProtocol(conditions={"clean": {}})


def save(path: Path, waveform: np.ndarray, **extra: object) -> Recording:
    audio.save(path, waveform)
    return Recording(path, duration_s=len(waveform) / RATE, extra=extra)


def heard(utterance: Recording) -> np.ndarray:
    """Return what is heard of a recording, without lead and tail."""
    return (
        HeardAudio(TestProtocol(conditions={"clean": {}}, lead_s=0.0, tail_s=0.0))
        .clip(utterance, "clean")
        .samples
    )


def test_a_clip_lies_in_silence_unless_its_condition_says_otherwise(tmp_path: Path):
    def hiss(waveform: np.ndarray, item_id: str, lead: int, tail: int) -> np.ndarray:
        seen.append((item_id, lead, tail))
        return np.ones(lead + len(waveform) // 2 + tail, np.int16)

    seen: list[tuple[str, int, int]] = []
    protocol = TestProtocol(conditions={"clean": {}, "hiss": {"snr_db": 1}}, lead_s=2.0, tail_s=0.5)
    made, clip = HeardAudio(protocol, {"hiss": hiss}), save(tmp_path / "a.wav", tone(1000, 1))
    plain, changed = made.clip(clip, "clean"), made.clip(clip, "hiss")
    assert len(plain.samples) == 3.5 * RATE and plain.samples.dtype == np.int16
    assert not plain.samples[: 2 * RATE].any() and not plain.samples[-RATE // 2 :].any()
    np.testing.assert_array_equal(plain.samples[2 * RATE : 3 * RATE], audio.to_int16(audio.load(clip.path)))
    assert seen == [(clip.item_id, 2 * RATE, RATE // 2)] and changed.samples.all()
    assert (plain.end_s, changed.end_s) == (pytest.approx(1.0), pytest.approx(0.5))  # twice as fast
    with pytest.raises(ConfigError, match="protocol.conditions.hiss: nothing makes it here"):
        HeardAudio(protocol)


def test_a_stream_is_speech_with_gaps_then_noise_then_copies_in_turn(tmp_path: Path):
    speech = [save(tmp_path / f"{n}.wav", np.full(100, n / 10, np.float32)) for n in (1, 2, 3)]
    noise = [save(tmp_path / "noise.wav", np.full(50, 0.4, np.float32))]
    protocol = TestProtocol(
        conditions={"clean": {}}, copies={"x": {"speed": 0.1}, "y": {"speed": 0.2}}, gap_s=0.01
    )

    def marked(mark: int):
        return lambda waveform, item_id, lead, tail: np.full(10 + lead + tail, mark, np.int16)

    made = HeardAudio(protocol, {}, {"x": marked(5), "y": marked(6)}, noise)
    found = [
        (
            entry.utterance.path.stem,
            int(np.concatenate(list(entry.pieces)).max()),
            entry.gap_samples,
            entry.is_copy,
        )
        for entry in made.stream(speech)
    ]
    level = {n: int(audio.to_int16(np.array([n / 10], np.float32))[0]) for n in (1, 2, 3, 4)}
    originals = [(str(n), pytest.approx(level[n], abs=2), 160, False) for n in (1, 2, 3)]
    copies = [("1", 5, 160, True), ("2", 6, 160, True), ("3", 5, 160, True)]
    assert found == [*originals, ("noise", pytest.approx(level[4], abs=2), 0, False), *copies]
    plain = HeardAudio(PLAIN, noise=noise)
    assert [entry.is_copy for entry in plain.stream(speech)] == [False] * 4


def test_a_stretch_of_a_longer_file_is_heard_alone(tmp_path: Path):
    whole = save(tmp_path / "a.wav", np.concatenate([tone(500, 1), tone(1000, 1), tone(2000, 1)]))
    first = Recording(whole.path, duration_s=1.0)
    middle = Recording(whole.path, duration_s=1.0, offset_s=1.0)
    np.testing.assert_array_equal(heard(first), heard(whole)[:RATE])
    np.testing.assert_array_equal(heard(middle), heard(whole)[RATE : 2 * RATE])
    assert len(heard(Recording(whole.path, duration_s=2.9999))) == 3 * RATE


def test_the_manifest_knows_better_where_the_keyword_is(tmp_path: Path):
    waveform = np.concatenate([silence(1), tone(1000, 1), silence(1)])
    plain = save(tmp_path / "a.wav", waveform)
    told = save(tmp_path / "b.wav", waveform, keyword_start_s=1.2, keyword_end_s=1.5)
    first, second = (HeardAudio(PLAIN).clip(entry, "clean") for entry in (plain, told))
    assert (first.start_s, first.end_s) == (pytest.approx(1, abs=0.03), pytest.approx(2, abs=0.03))
    assert (second.start_s, second.end_s) == (1.2, 1.5)
