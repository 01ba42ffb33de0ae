"""One list of endings, names of any bytes, floats that are no audio, and no notices on the terminal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from kws import audio
from kws.decoding.formats import FFMPEG_SUFFIXES, LIBSNDFILE_SUFFIXES
from kws.errors import AudioError
from tests.support.recordings import tone, write_audio


def test_the_lists_share_nothing_and_hold_lower_case_endings():
    assert not LIBSNDFILE_SUFFIXES & FFMPEG_SUFFIXES
    assert all(suffix.startswith(".") and suffix == suffix.lower() for suffix in audio.AUDIO_SUFFIXES)
    for suffix in (".m4a", ".webm", ".mp4", ".aac", ".wma", ".3gp", ".amr", ".mka", ".mkv", ".mov", ".opus"):
        assert suffix in audio.AUDIO_SUFFIXES


def test_damaged_mp3_leaves_no_notice_on_the_terminal(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    good = tmp_path / "good.mp3"
    soundfile.write(str(good), tone(2.0), 16_000)
    data = bytearray(good.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 2000] = np.random.default_rng(0).bytes(2000)
    for name, content in {"bad.mp3": data, "cut.mp3": data[:3000], "junk.mp3": b"ID3" + bytes(9000)}.items():
        (tmp_path / name).write_bytes(content)
        try:
            audio.load(tmp_path / name)
        except AudioError as error:
            assert name in str(error)
    assert len(audio.load(good)) == pytest.approx(32_000, abs=3000)
    assert capfd.readouterr() == ("", "")


def test_bytes_of_latin_1_in_a_name(tmp_path: Path):
    path = Path(f"{tmp_path}/caf\udce9.wav")
    audio.save(path, tone())
    assert [entry.name for entry in tmp_path.iterdir()] == ["caf\udce9.wav"]
    assert len(audio.load(path)) == 8000 and audio.duration_s(path) == 0.5


def test_samples_without_a_header_are_no_riddle(tmp_path: Path):
    (tmp_path / "a.raw").write_bytes(bytes(3200))
    with pytest.raises(AudioError, match=r"a\.raw: cannot be decoded as audio"):
        audio.load(tmp_path / "a.raw")


def test_floats_in_the_range_of_int16_are_refused_and_a_hot_mix_is_not(tmp_path: Path):
    loud = write_audio(tmp_path / "loud.wav", 32_768 * tone(), subtype="FLOAT")
    with pytest.raises(
        AudioError, match=r"loud\.wav: floats that reach 98\d\d.*\(32768 for 16 bits\)"
    ) as refused:
        audio.load(loud)
    assert refused.value.kind == "range"
    soft = write_audio(tmp_path / "soft.wav", 0.01 * 32_768 * tone(), subtype="FLOAT")
    with pytest.raises(AudioError, match=r"soft\.wav: floats that reach 98\.\d"):
        list(audio.blocks(soft))
    hot = write_audio(tmp_path / "hot.wav", 8 * tone(level=1.0), subtype="FLOAT")
    assert np.abs(audio.load(hot)).max() == 1.0
