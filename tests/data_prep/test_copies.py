"""The same audio given twice is found by its file, however the path is written, and by its samples."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from data_prep import copies
from data_prep.checks import check_all
from data_prep.copies import SAMPLES, KnownRecordings, with_hashes, without_hash
from kws import audio
from kws.manifest import Recording
from tests.support.recordings import tone, write_audio, write_tones


def test_a_file_is_known_by_every_path_that_leads_to_it(tmp_path: Path):
    (own,) = write_tones(tmp_path / "own", 1)
    known = KnownRecordings([own])
    link, hard, folder = tmp_path / "link.wav", tmp_path / "hard.wav", tmp_path / "folder"
    link.symlink_to(own.path)
    os.link(own.path, hard)
    folder.symlink_to(own.path.parent)
    for path in (link, hard, folder / own.path.name, tmp_path / "own" / ".." / "own" / own.path.name):
        assert known.has_file(Recording(path))
    gone = Recording(tmp_path / "gone.wav")
    assert not known.has_file(gone) and not known.has_samples(gone)
    assert KnownRecordings([gone]).has_file(gone)


def test_stretches_of_a_file_are_copies_where_they_share_time(tmp_path: Path):
    path = write_audio(tmp_path / "long.wav", tone(4.0))
    known = KnownRecordings([Recording(path, offset_s=1.0, duration_s=1.0)])
    assert known.has_file(Recording(path))
    assert known.has_file(Recording(path, offset_s=1.9))
    assert not known.has_file(Recording(path, duration_s=1.01))
    assert not known.has_file(Recording(path, offset_s=2.0))


def test_the_same_samples_are_found_in_another_format(tmp_path: Path):
    own = write_tones(tmp_path / "own", 3)
    copy = tmp_path / "copy.flac"
    audio.save(copy, audio.load(own[1].path))
    other = write_audio(tmp_path / "other.wav", tone(hz=900.0))
    for known in (KnownRecordings(own), KnownRecordings(with_hashes(check_all(own, progress=False)))):
        assert Recording(copy) in known
        assert Recording(other) not in known
        assert Recording(copy, duration_s=0.5) in known


def test_only_recordings_of_the_same_length_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    own = write_tones(tmp_path / "own", 2)
    long = write_audio(tmp_path / "long.wav", tone(2.0))
    read: list[Path] = []
    measure = copies.measure
    monkeypatch.setattr(copies, "measure", lambda entry: read.append(entry.path) or measure(entry))
    known = KnownRecordings(own)
    assert Recording(long) not in known and read == []
    assert Recording(long.with_name("own") / "000.wav") in known and read == []  # by its file
    hashed = with_hashes(check_all(own, progress=False))
    assert all(entry.extra[SAMPLES] for entry in hashed)
    assert without_hash(hashed[0]).extra == {}
    assert hashed[0] in KnownRecordings(hashed[:1]) and read == []


def test_what_cannot_be_read_is_no_copy(tmp_path: Path):
    own = write_tones(tmp_path / "own", 1)
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"no audio")
    assert Recording(broken) not in KnownRecordings(own)
    assert own[0] not in KnownRecordings([Recording(broken)])
