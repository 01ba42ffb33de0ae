"""Any file to 16 kHz mono float32, and every file that cannot be, by name."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from kws import audio
from kws.audio import SAMPLE_RATE
from kws.errors import AudioError
from kws.pcm import INT16_SCALE
from tests.support.recordings import tone, write_audio


def main_hz(waveform: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(waveform * np.hanning(len(waveform))))
    return float(spectrum.argmax() * SAMPLE_RATE / len(waveform))


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 44_100, 96_000])
def test_any_rate_is_read_at_16_khz_with_the_same_pitch_and_level(tmp_path: Path, rate: int):
    path = write_audio(tmp_path / "a.wav", tone(1.0, 440, rate, level=0.4), rate)
    waveform = audio.load(path)
    assert waveform.dtype == np.float32 and waveform.shape == (SAMPLE_RATE,)
    assert main_hz(waveform) == pytest.approx(440, abs=2)
    assert np.abs(waveform[1000:-1000]).max() == pytest.approx(0.4, rel=0.02)
    assert audio.duration_s(path) == pytest.approx(1.0, abs=1e-3)


def test_what_16_khz_cannot_hold_is_removed_and_not_folded_down(tmp_path: Path):
    path = write_audio(tmp_path / "a.wav", tone(1.0, 11_000, 96_000), 96_000)
    assert np.abs(audio.load(path)[1000:-1000]).max() < 1e-3


def test_channels_are_averaged(tmp_path: Path):
    left, right = tone(0.5, 400), tone(0.5, 1000)
    path = write_audio(tmp_path / "a.wav", np.stack([left, right], axis=1), subtype="FLOAT")
    np.testing.assert_allclose(audio.load(path), (left + right) / 2, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "limit"), [("a.wav", 4e-5), ("a.flac", 4e-5), ("a.ogg", 0.05), ("a.opus", 0.05)]
)
def test_what_is_saved_is_read_back(tmp_path: Path, name: str, limit: float):
    waveform = tone(1.0, 440)
    audio.save(tmp_path / name, waveform)
    np.testing.assert_allclose(audio.load(tmp_path / name)[2000:14_000], waveform[2000:14_000], atol=limit)


def test_values_beyond_full_scale_are_clipped_not_wrapped(tmp_path: Path):
    audio.save(tmp_path / "a.wav", 3 * tone(0.5, level=1.0))
    assert float(np.abs(np.diff(audio.load(tmp_path / "a.wav"))).max()) < 0.6
    loud = write_audio(tmp_path / "b.wav", 2 * tone(0.5, level=1.0), subtype="FLOAT")
    assert np.abs(audio.load(loud)).max() == 1.0
    assert audio.to_int16(np.array([-2.0, -1.0, 0.0, 0.5, 1.0, 2.0])).tolist() == [
        -32768, -32768, 0, 16384, 32767, 32767,
    ]  # fmt: skip


def test_a_stretch_is_read_by_seconds_of_the_file(tmp_path: Path):
    path = write_audio(tmp_path / "a.wav", np.concatenate([tone(1, 400, 8000), tone(1, 1000, 8000)]), 8000)
    part = audio.load(path, offset_s=1.0, length_s=0.5)
    assert len(part) == 8000 and main_hz(part) == pytest.approx(1000, abs=4)
    assert len(audio.load(path, offset_s=1.5)) == 8000
    with pytest.raises(AudioError, match="holds no samples"):
        audio.load(path, offset_s=9.0)


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
def test_blocks_join_to_the_whole_without_a_seam(tmp_path: Path, rate: int):
    path = write_audio(tmp_path / "a.wav", tone(2.5, 440, rate), rate)
    blocks = list(audio.blocks(path, 1.0))
    assert rate != SAMPLE_RATE or [len(block) for block in blocks] == [16_000, 16_000, 8_000]
    assert np.array_equal(np.concatenate(blocks), audio.load(path))
    part = np.concatenate(list(audio.blocks(path, 0.3, offset_s=0.5, length_s=1.25)))
    assert np.array_equal(part, audio.load(path, offset_s=0.5, length_s=1.25)) and len(part) == 20_000


def corrupt(path: Path) -> None:
    path.write_bytes(b"RIFF" + bytes(range(200)))


def nan(path: Path) -> None:
    waveform = tone(0.5)
    waveform[4000] = np.nan
    write_audio(path, waveform, subtype="FLOAT")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, r"a\.wav: no such file"),
        (corrupt, r"a\.wav: cannot be decoded as audio"),
        (lambda path: path.write_bytes(b""), r"a\.wav: cannot be decoded as audio"),
        (lambda path: write_audio(path, np.zeros(0, np.float32)), r"a\.wav: holds no samples"),
        (nan, r"a\.wav: holds NaN or infinite samples"),
    ],
)
def test_files_that_cannot_be_read_are_named(tmp_path: Path, make, message: str):
    path = tmp_path / "a.wav"
    make(path)
    with pytest.raises(AudioError, match=message):
        audio.load(path)
    if "no samples" not in message:
        with pytest.raises(AudioError, match=message):
            list(audio.blocks(path))


def test_other_rates_need_numpy_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = write_audio(tmp_path / "a.wav", tone(1.0, 440, 44_100), 44_100)
    expected = audio.load(path)
    for name in ("librosa", "soxr", "scipy", "torch"):
        monkeypatch.setitem(sys.modules, name, None)
    np.testing.assert_allclose(audio.load(path)[200:-200], expected[200:-200], atol=1e-4)


@pytest.mark.parametrize(
    ("pcm", "message"),
    [
        (np.zeros((2, 4), np.float32), r"shape \(2, 4\), expected one dimension"),
        (np.zeros(4, np.int32), "type int32, expected int16 or float32"),
        (np.array([0.0, np.inf], np.float32), "NaN or infinite"),
        (np.array([0.0, np.nan]), "NaN or infinite"),
        (b"\0\0", r"audio is bytes, .*`np.frombuffer\(data, np.int16\)`"),
        (bytearray(2), r"audio is bytearray, .*`np.frombuffer\(data, np.int16\)`"),
        (memoryview(bytes(2)), r"audio is memoryview, .*`np.frombuffer\(data, np.int16\)`"),
        (
            np.array([-20_000.0, 3.0], np.float32),
            r"reaches 20000, expected \[-1, 1\].*`np.frombuffer\(data, np.int16\)`\), or divide .* 32768",
        ),
        (0.002 * INT16_SCALE * tone(level=1.0), r"reaches 65\.5\d*, expected \[-1, 1\]"),
    ],
)
def test_pcm_of_another_kind_is_refused(pcm: np.ndarray, message: str):
    with pytest.raises(AudioError, match=message):
        audio.to_float32(pcm)


def test_floats_that_overshoot_full_scale_are_audio():
    hot = 8 * tone(level=1.0)  # 18 dB too loud, as a mix of many tracks without a limiter
    assert np.array_equal(audio.to_float32(hot), hot)
    assert audio.to_float32(np.zeros(0, np.float32)).shape == (0,)


def test_int16_and_float_pcm_become_float32():
    assert audio.to_float32(np.array([-32768, 16384], np.int16)).tolist() == [-1.0, 0.5]
    assert audio.to_float32(np.array([0.25], np.float64)).dtype == np.float32
    assert np.array_equal(
        audio.to_int16(audio.to_float32(np.arange(-32768, 32768).astype(np.int16))), np.arange(-32768, 32768)
    )


def test_a_write_that_fails_leaves_the_earlier_file_and_no_rubbish(tmp_path: Path):
    path = tmp_path / "new" / "a.txt"
    with audio.atomic_write(path) as temporary:
        temporary.write_text("first")
    with pytest.raises(RuntimeError, match="stop"), audio.atomic_write(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError("stop")
    assert path.read_text() == "first"
    assert [entry.name for entry in path.parent.iterdir()] == ["a.txt"]


def test_saved_files_are_16_bit_at_the_given_rate(tmp_path: Path):
    audio.save(tmp_path / "a.wav", tone(0.1, rate=8000), 8000)
    info = soundfile.info(str(tmp_path / "a.wav"))
    assert (info.samplerate, info.channels, info.subtype) == (8000, 1, "PCM_16")
