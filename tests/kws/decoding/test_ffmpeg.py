"""Formats of phones and browsers: decoded in a pipe, piece by piece, and named where they cannot be."""

from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from kws import audio
from kws.audio import SAMPLE_RATE
from kws.decoding import ffmpeg
from kws.errors import AudioError
from tests.support.encoded import OPTIONS, encode, stand_in
from tests.support.recordings import tone, write_audio

PHONE = sorted(OPTIONS)


@pytest.mark.parametrize("suffix", PHONE)
def test_what_phones_and_browsers_record_is_read(tmp_path: Path, suffix: str):
    path = encode(tmp_path / f"a{suffix}", tone(1.0, 440))
    waveform = audio.load(path)
    assert waveform.dtype == np.float32 and len(waveform) == pytest.approx(SAMPLE_RATE, abs=2500)
    middle = waveform[4000:12_000]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    assert spectrum.argmax() * SAMPLE_RATE / len(middle) == pytest.approx(440, abs=4)
    assert np.abs(middle).max() == pytest.approx(0.3, rel=0.2)
    assert audio.duration_s(path) == pytest.approx(len(waveform) / SAMPLE_RATE, abs=1e-3)


def test_amr_of_a_telephone(tmp_path: Path):
    if ffmpeg.program() is None:
        pytest.skip("ffmpeg, a system package, is not installed")
    frame = b"\x3c" + np.random.default_rng(0).bytes(31)  # 20 ms at 12.2 kbit/s of whatever these bits say
    (tmp_path / "a.amr").write_bytes(b"#!AMR\n" + 50 * frame)
    waveform = audio.load(tmp_path / "a.amr")
    assert audio.info(tmp_path / "a.amr").sample_rate == 8_000
    assert len(waveform) == SAMPLE_RATE and waveform.any()


def test_pieces_and_stretches_are_those_of_the_whole(tmp_path: Path):
    path = encode(tmp_path / "a.m4a", np.concatenate([tone(1, 300, 44_100), tone(1, 700, 44_100)]), 44_100)
    whole = audio.load(path)
    assert np.array_equal(np.concatenate(list(audio.blocks(path, 0.3))), whole)
    rate = audio.info(path).sample_rate
    assert rate == 44_100 and audio.info(path).duration_s is None
    part = audio.load(path, offset_s=0.5, length_s=0.25)
    assert len(part) == 4000
    np.testing.assert_allclose(part[200:-200], whole[8200:11_800], atol=1e-3)  # the filter rings at the cuts
    with pytest.raises(AudioError, match="holds no samples") as refused:
        audio.load(path, offset_s=9.0)
    assert refused.value.kind == "empty"


def test_channels_are_averaged(tmp_path: Path):
    left, right = tone(0.5, 300), tone(0.5, 900)
    both = audio.load(encode(tmp_path / "both.m4a", np.stack([left, right], axis=1)))
    mono = audio.load(encode(tmp_path / "mono.m4a", (left + right) / 2))
    assert np.corrcoef(both[2000:6000], mono[2000:6000])[0, 1] > 0.999


@pytest.mark.parametrize("name", ["-i.m4a", "a b;$(touch x).m4a", "concat:a.m4a", "%03d.m4a", "http:a.m4a"])
def test_a_name_is_never_an_option_nor_an_address(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    encode(tmp_path / "plain.m4a", tone(0.5)).rename(name)
    assert len(audio.load(name)) > 7000
    assert os.listdir() == [name]


def test_a_list_of_other_files_is_not_followed(tmp_path: Path):
    encode(tmp_path / "a.m4a", tone(0.5))
    (tmp_path / "list.m4a").write_text("ffconcat version 1.0\nfile a.m4a\n")
    (tmp_path / "list.mka").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\na.m4a\n")
    for name in ("list.m4a", "list.mka"):
        with pytest.raises(AudioError, match=rf"{name}: cannot be decoded"):
            audio.load(tmp_path / name)


def test_a_damaged_file_is_one_error_with_its_name(tmp_path: Path):
    path = encode(tmp_path / "NaN" / "a.m4a", tone(1.0))
    path.write_bytes(path.read_bytes()[:2000])  # the index is at the end
    with pytest.raises(AudioError, match=r"a\.m4a: cannot be decoded \(.+\); convert it to WAV") as refused:
        audio.load(path)
    assert refused.value.kind == "corrupt" and "\n" not in str(refused.value)


def test_a_film_without_sound_says_so(tmp_path: Path):
    encode(tmp_path / "a.m4a", tone(0.1))
    silent = tmp_path / "film.mp4"
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "color=size=16x16:duration=0.2", str(silent)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("ffmpeg without an encoder for video")
    with pytest.raises(AudioError, match=r"film\.mp4: cannot be decoded \(it holds no audio\)"):
        audio.load(silent)


@pytest.mark.parametrize("name", ["a.m4a", "a.WEBM", "a.amr"])
def test_without_ffmpeg_the_message_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
):
    monkeypatch.setattr(ffmpeg, "program", lambda: None)
    (tmp_path / name).write_bytes(bytes(range(200)))
    with pytest.raises(
        AudioError, match=r"needs ffmpeg; install ffmpeg \(Debian .*apt install.*brew install.*winget install"
    ) as refused:
        audio.load(tmp_path / name)
    assert refused.value.kind == "decoder"


def test_a_renamed_wav_is_read_with_and_without_ffmpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_audio(tmp_path / "a.wav", tone(0.5)).rename(tmp_path / "a.m4a")
    assert len(audio.load(tmp_path / "a.m4a")) == 8000
    monkeypatch.setattr(ffmpeg, "program", lambda: None)
    assert len(audio.load(tmp_path / "a.m4a")) == 8000


def test_a_renamed_m4a_is_read(tmp_path: Path):
    path = encode(tmp_path / "a.m4a", tone(0.5)).rename(tmp_path / "a.wav")
    assert len(audio.load(path)) > 7000


def test_a_decoder_that_hangs_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    stand_in(tmp_path, f"echo $$ > {tmp_path}/pid; exec sleep 30", monkeypatch)
    monkeypatch.setattr(ffmpeg, "STALL_S", 0.3)
    (tmp_path / "a.m4a").write_bytes(b"x")
    with pytest.raises(AudioError, match=r"a\.m4a: cannot be decoded \(ffmpeg gave nothing for 0 s\)"):
        audio.load(tmp_path / "a.m4a")
    assert_gone(int((tmp_path / "pid").read_text()))


def test_a_reader_that_stops_early_leaves_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    header = r"printf '.snd\000\000\000\030\377\377\377\377\000\000\000\006\000\000\076\200\000\000\000\001'"
    stand_in(tmp_path, f"echo $$ > {tmp_path}/pid; {header}; exec cat /dev/zero", monkeypatch)
    (tmp_path / "a.m4a").write_bytes(b"x")
    pieces = audio.blocks(tmp_path / "a.m4a", 1.0)
    assert len(next(pieces)) == SAMPLE_RATE
    pieces.close()
    assert_gone(int((tmp_path / "pid").read_text()))


def test_a_decoder_that_fails_on_the_way_is_no_short_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    header = r"printf '.snd\000\000\000\030\377\377\377\377\000\000\000\006\000\000\076\200\000\000\000\001'"
    script = f"{header}; head -c 64000 /dev/zero; echo 'file:/x/a.m4a: Disk is sick' >&2; exit 1"
    stand_in(tmp_path, script, monkeypatch)
    (tmp_path / "a.m4a").write_bytes(b"x")
    with pytest.raises(AudioError, match=r"a\.m4a: cannot be decoded \(Disk is sick\)"):
        audio.load(tmp_path / "a.m4a")


def assert_gone(process: int) -> None:
    """Assert that a child was ended and collected."""
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_minutes_are_read_in_bounded_memory(tmp_path: Path):
    path = encode(tmp_path / "a.m4a", tone(20.0, 400))
    tracemalloc.start()
    total = sum(len(piece) for piece in audio.blocks(path, 1.0))
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == pytest.approx(20 * SAMPLE_RATE, abs=3000)
    assert peak_bytes < 8e5  # the whole takes 1.3 MB as float32, and twice that while pieces are joined


def test_a_mac_without_ffmpeg_reads_with_its_own_decoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    samples = (tone(0.5, rate=44_100) * 32_767).astype("<i2")

    class ExtAudioFile:
        """What audioread gives on a Mac."""

        samplerate, channels = 44_100, 1

        def __init__(self, name: str) -> None:
            assert name == str(tmp_path / "a.m4a")

        def __iter__(self):
            return iter([samples[:1001].tobytes(), samples[1001:].tobytes()])

        def close(self) -> None:
            pass

    module = ModuleType("audioread.macca")
    module.ExtAudioFile, module.MacError = ExtAudioFile, RuntimeError  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "audioread.macca", module)
    monkeypatch.setattr(ffmpeg, "program", lambda: None)
    monkeypatch.setattr(sys, "platform", "darwin")
    (tmp_path / "a.m4a").write_bytes(b"x")
    waveform = np.concatenate(list(audio.blocks(tmp_path / "a.m4a", 0.1)))
    plain = audio.load(write_audio(tmp_path / "a.wav", samples, 44_100))
    assert np.array_equal(waveform, plain)
