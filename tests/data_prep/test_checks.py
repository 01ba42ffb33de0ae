"""Checks: every kind of bad file is found, named and left out; good files pass with their numbers right."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from data_prep import measurements
from data_prep.checks import FileCheck, check_all, check_file, left_out_notes
from data_prep.config import CheckConfig
from kws import audio
from kws.errors import ManifestError
from kws.manifest import Recording
from tests.support.encoded import encode
from tests.support.recordings import tone, write_audio, write_tones


def kinds(check: FileCheck) -> list[tuple[str, str]]:
    """Return kind and level of the findings."""
    return [(finding.kind, finding.level) for finding in check.findings]


def rejected(check: FileCheck, kind: str) -> str:
    """Assert that a recording is left out for one kind of reason and return the message."""
    assert check.rejection is not None
    assert check.rejection.kind == kind
    assert str(check.recording.path) in check.rejection.message
    return check.rejection.message


def test_good_file_is_measured(tmp_path: Path) -> None:
    check = check_file(write_audio(tmp_path / "a.wav", tone(0.5, hz=500, level=0.5)))
    assert check.findings == () and check.rejection is None
    assert check.stats is not None
    assert check.stats.duration_s == 0.5
    assert check.stats.peak_db == pytest.approx(-6.02, abs=0.01)
    assert check.stats.rms_db == pytest.approx(-9.03, abs=0.01)
    assert (check.recording.duration_s, check.recording.sample_rate) == (0.5, 16_000)


def test_corrupt_file(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFF but nothing more")
    assert "cannot be decoded" in rejected(check_file(tmp_path / "a.wav"), "corrupt")


@pytest.mark.parametrize(
    "folder", ["NaN", "no samples", "starts at", "silent", "clipped", "empty", "missing"]
)
def test_kinds_are_not_read_off_the_name(tmp_path: Path, folder: str) -> None:
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "a.wav").write_bytes(b"RIFF but nothing more")
    rejected(check_file(tmp_path / folder / "a.wav"), "corrupt")


def test_formats_without_a_decoder_are_left_out_by_a_kind_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "a.m4a").write_bytes(bytes(range(200)))
    assert "needs ffmpeg; install ffmpeg (Debian" in rejected(check_file(tmp_path / "a.m4a"), "decoder")


def test_floats_in_the_range_of_int16_are_not_called_clipped(tmp_path: Path) -> None:
    path = write_audio(tmp_path / "a.wav", 32_768 * tone(), subtype="FLOAT")
    assert "write it as 16-bit PCM" in rejected(check_file(path), "range")


def test_notes_name_kinds_and_the_missing_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    recordings = write_tones(tmp_path, 5)
    recordings.append(Recording(write_audio(tmp_path / "silent.wav", np.zeros(8_000))))
    for name in ("a.m4a", "b.amr"):
        (tmp_path / name).write_bytes(bytes(range(200)))
        recordings.append(Recording(tmp_path / name))
    first, second = left_out_notes(check_all(recordings))
    assert first == "3 of 8 files cannot be used (2 decoder, 1 silent); see report.md"
    assert second.startswith(f"{tmp_path}/a.m4a: reading .m4a needs ffmpeg; install ffmpeg")


def test_a_header_that_is_wrong_about_the_length_is_told(tmp_path: Path) -> None:
    path = write_audio(tmp_path / "a.wav", tone(1.0))
    data = bytearray(path.read_bytes())
    data[4:8] = data[40:44] = bytes(4)  # sizes that a killed recorder never wrote
    path.write_bytes(data)
    check = check_file(path)
    assert kinds(check) == [("header", "warning")] and check.recording.duration_s == 1.0
    assert "a.wav: the header does not say how long it is; read to the end" in check.findings[0].message


def test_a_stretch_of_a_phone_recording(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.m4a", np.concatenate([np.zeros(16_000), tone(1.0), np.zeros(16_000)]))
    check = check_file(Recording(path, offset_s=1.0, duration_s=1.0))
    assert check.rejection is None and check.recording.duration_s == 1.0
    rejected(check_file(Recording(path, duration_s=0.9)), "silent")
    assert "behind the end of the file" in rejected(check_file(Recording(path, offset_s=9.0)), "offset")


def test_file_that_breaks_off_in_the_middle(tmp_path: Path) -> None:
    path = write_audio(tmp_path / "a.flac", np.random.default_rng(0).uniform(-0.5, 0.5, 32_000))
    path.write_bytes(path.read_bytes()[:20_000])
    check = check_file(Recording(path, duration_s=2.0))
    assert check.rejection is not None or ("length", "warning") in kinds(check)


def test_short_data_behind_a_longer_promise(tmp_path: Path) -> None:
    check = check_file(Recording(write_audio(tmp_path / "a.wav", tone(0.5)), duration_s=2.0))
    assert kinds(check) == [("length", "warning")]
    assert "0.500 s could be read, the manifest says 2.000 s" in check.findings[0].message
    assert check.recording.duration_s == 0.5


def test_empty_file(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    assert "empty file (0 bytes)" in rejected(check_file(tmp_path / "a.wav"), "empty")


def test_header_without_samples(tmp_path: Path) -> None:
    path = write_audio(tmp_path / "a.wav", np.zeros(0, dtype=np.float32))
    assert "holds no samples" in rejected(check_file(path), "empty")


def test_missing_file(tmp_path: Path) -> None:
    assert "no such file; mend the path" in rejected(check_file(tmp_path / "a.wav"), "missing")


@pytest.mark.parametrize("waveform", [np.zeros(8_000), np.full(8_000, 0.25), tone(level=0.0005)])
def test_silent_file_and_a_mere_offset(tmp_path: Path, waveform: np.ndarray) -> None:
    assert "silent (peak" in rejected(check_file(write_audio(tmp_path / "a.wav", waveform)), "silent")


@pytest.mark.parametrize("offset", [-0.3, 0.3])
def test_level_is_measured_around_the_mean(tmp_path: Path, offset: float) -> None:
    stats = check_file(write_audio(tmp_path / "a.wav", tone(0.5, hz=500, level=0.1) + offset)).stats
    assert stats is not None
    assert (stats.peak_db, stats.rms_db) == (pytest.approx(-20.0, abs=0.01), pytest.approx(-23.01, abs=0.01))


def test_quiet_room_is_not_silent(tmp_path: Path) -> None:
    noise = 0.002 * np.random.default_rng(0).standard_normal(16_000)
    assert check_file(write_audio(tmp_path / "a.wav", noise)).rejection is None


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_samples_that_are_no_numbers(tmp_path: Path, value: float) -> None:
    waveform = tone()
    waveform[100] = value
    path = write_audio(tmp_path / "a.wav", waveform, subtype="FLOAT")
    assert "NaN or infinite samples" in rejected(check_file(path), "nonfinite")


def test_one_sample(tmp_path: Path) -> None:
    path = write_audio(tmp_path / "a.wav", np.array([0.5], dtype=np.float32))
    assert "0.0001 s long, at least 0.2 s is needed" in rejected(check_file(path), "short")


def test_too_long(tmp_path: Path) -> None:
    path = write_audio(tmp_path / "a.wav", tone(1.0))
    assert "1.0 s long, at most 0.5 s" in rejected(check_file(path, CheckConfig(max_s=0.5)), "long")


def test_clipping_is_a_warning_before_it_is_a_reason(tmp_path: Path) -> None:
    some, much = tone(1.0), tone(1.0)
    some[:80] = 1.0  # 0.5 % of 16,000 samples
    much[:3200] = -1.0
    check = check_file(write_audio(tmp_path / "some.wav", some))
    assert kinds(check) == [("clipped", "warning")]
    assert "0.50% of the samples at full scale" in check.findings[0].message
    assert "20.0% of the samples" in rejected(check_file(write_audio(tmp_path / "much.wav", much)), "clipped")


@pytest.mark.parametrize("rate", [8_000, 44_100, 96_000])
def test_other_rates_are_noted_and_converted(tmp_path: Path, rate: int) -> None:
    check = check_file(write_audio(tmp_path / "a.wav", tone(0.5, rate=rate), rate))
    assert kinds(check) == [("rate", "note")]
    assert f"{rate} Hz, converted to 16000 Hz" in check.findings[0].message
    assert check.stats is not None and check.stats.duration_s == pytest.approx(0.5, abs=1e-3)
    assert check.recording.sample_rate == rate


def test_stereo_is_noted_and_averaged(tmp_path: Path) -> None:
    check = check_file(write_audio(tmp_path / "a.wav", np.stack([tone(), tone()], axis=1)))
    assert kinds(check) == [("channels", "note")]
    assert check.stats is not None
    mono = check_file(write_audio(tmp_path / "b.wav", tone()))
    assert replace(check.stats, channels=1) == mono.stats


def test_only_the_stretch_of_a_longer_file_counts(tmp_path: Path) -> None:
    waveform = np.concatenate([np.zeros(16_000), tone(1.0), np.zeros(16_000)]).astype(np.float32)
    path = write_audio(tmp_path / "a.wav", waveform)
    inside = check_file(Recording(path, offset_s=1.0, duration_s=1.0))
    assert inside.rejection is None and inside.stats is not None
    alone = check_file(write_audio(tmp_path / "b.wav", tone(1.0)))
    assert inside.stats == alone.stats
    rejected(check_file(Recording(path, duration_s=1.0)), "silent")
    start = check_file(Recording(write_audio(tmp_path / "c.wav", tone(1.0)), duration_s=0.3)).stats
    assert start == check_file(write_audio(tmp_path / "d.wav", tone(0.3))).stats
    rejected(check_file(Recording(path, offset_s=2.0)), "silent")
    message = rejected(check_file(Recording(path, offset_s=9.0)), "offset")
    assert "starts at 9 s, behind the end of the file; mend `offset_s`" in message


def test_ten_minutes_are_read_in_bounded_memory(tmp_path: Path) -> None:
    minute = (0.1 * np.random.default_rng(0).standard_normal(60 * 16_000)).astype(np.float32)
    with soundfile.SoundFile(str(tmp_path / "a.wav"), "w", 16_000, 1) as file:
        for _ in range(10):
            file.write(minute)
    long = [Recording(tmp_path / "a.wav"), Recording(tmp_path / "a.wav", offset_s=1.0)]
    for recording in long:
        tracemalloc.start()
        check = check_file(recording)
        peak_bytes = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert check.rejection is None
        assert check.recording.duration_s == 600.0 - recording.offset_s
        # the whole file takes 38 MB as float32, a block of 10 s 0.64 MB, of which a handful is alive
        assert peak_bytes < 6e6


@pytest.mark.slow
def test_ten_hours_are_read_in_bounded_memory_and_refused_where_a_phrase_is_wanted(tmp_path: Path) -> None:
    noise = (3000 * np.random.default_rng(0).standard_normal(60 * 16_000)).astype("<i2").tobytes()
    path, num_bytes = write_audio(tmp_path / "a.wav", np.zeros(1, dtype=np.float32)), 10 * 3600 * 32_000
    with path.open("r+b") as file:
        start = file.seek(0, 2) - 2
        for hour in range(10):  # a minute of noise each hour; the rest is a hole that takes no space
            file.seek(start + hour * 3600 * 32_000)
            file.write(noise)
        file.truncate(start + num_bytes)
        for offset, value in ((4, start + num_bytes - 8), (start - 4, num_bytes)):
            file.seek(offset)
            file.write(value.to_bytes(4, "little"))
    tracemalloc.start()
    check = check_file(path)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert check.rejection is None and check.recording.duration_s == 36_000.0
    assert check.stats is not None and check.stats.rms_db == pytest.approx(-38.6, abs=0.1)
    assert peak_bytes < 6e6
    message = rejected(check_file(path, CheckConfig(max_s=30.0), known=check.stats), "long")
    assert "36000.0 s long, at most 30 s is allowed; cut it" in message


def test_result_does_not_depend_on_where_blocks_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_audio(tmp_path / "a.wav", np.random.default_rng(0).uniform(-1.1, 1.1, 50_000).clip(-1, 1))
    whole = check_file(path).stats
    monkeypatch.setattr(measurements, "BLOCK_S", 0.3)
    pieces = check_file(path).stats
    assert whole is not None and pieces is not None
    assert pieces.digest == whole.digest and pieces.clipped_share == whole.clipped_share > 0.05
    assert pieces.rms_db == pytest.approx(whole.rms_db, abs=1e-4)


def test_bad_ones_are_left_out_and_good_ones_keep_their_order(tmp_path: Path) -> None:
    good = write_tones(tmp_path / "good", 5, label="hey")
    empty = tmp_path / "empty.wav"
    empty.touch()
    mixed = [good[0], Recording(empty), *good[1:]]
    for workers in (1, 3):
        result = check_all(mixed, num_workers=workers)
        assert [item.path for item in result.kept] == [item.path for item in good]
        assert {item.label for item in result.kept} == {"hey"}
        assert [check.rejection.kind for check in result.left_out if check.rejection] == ["empty"]
        assert [check.recording.path for check in result.checks] == [item.path for item in mixed]


def test_copies_are_left_out_whatever_their_format(tmp_path: Path) -> None:
    pcm = audio.to_int16(tone())
    first = Recording(write_audio(tmp_path / "a.wav", pcm), label="hey")
    copy = Recording(write_audio(tmp_path / "b.flac", pcm), label="you")
    other = Recording(write_audio(tmp_path / "c.wav", tone(hz=300)), label="hey")
    result = check_all([first, copy, other])
    assert [item.path.name for item in result.kept] == ["a.wav", "c.wav"]
    message = rejected(result.left_out[0], "duplicate")
    assert f"same samples as {first.path}, labelled hey there and you here; remove one" in message


def test_two_stretches_of_one_file_are_no_copies(tmp_path: Path) -> None:
    path = write_audio(tmp_path / "a.wav", np.random.default_rng(0).uniform(-0.5, 0.5, 32_000))
    stretches = [Recording(path, offset_s=start, duration_s=1.0) for start in (0.0, 1.0)]
    assert len(check_all(stretches).kept) == 2


def test_too_many_bad_ones_fail_with_examples(tmp_path: Path) -> None:
    recordings = write_tones(tmp_path, 2)
    for name in ("x", "y", "z"):
        recordings.append(Recording(write_audio(tmp_path / f"{name}.wav", np.zeros(8_000))))
    with pytest.raises(
        ManifestError,
        match=r"(?s)3 of 5 recordings cannot be used, at most 50%.*3 silent, as .*x\.wav: silent",
    ):
        check_all(recordings)
    assert len(check_all(recordings, CheckConfig(max_left_out=0.6)).kept) == 2
    with pytest.raises(ManifestError, match=r"all 1 recordings cannot be used"):
        check_all(recordings[2:3], CheckConfig(max_left_out=1.0))
    with pytest.raises(ManifestError, match="no recordings to check"):
        check_all([])
