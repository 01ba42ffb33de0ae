"""Lhotse cuts and recordings become ours; what would be read wrongly is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from data_prep import manifests
from kws.errors import ManifestError
from kws.manifest import Recording
from tests.support.recordings import tone, write_audio

lhotse = pytest.importorskip("lhotse")


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    """Two seconds of a tone."""
    return write_audio(tmp_path / "one.wav", tone(2.0))


def supervision(text: str, speaker: str, start: float = 0.0, **custom: str) -> lhotse.SupervisionSegment:
    """Return a supervision of a quarter of a second."""
    return lhotse.SupervisionSegment(
        f"{text}-{start}",
        "rec",
        start,
        0.25,
        text=text,
        speaker=speaker,
        language="en",
        custom=custom or None,
    )


@pytest.mark.parametrize("name", ["cuts.jsonl", "cuts.jsonl.gz"])
def test_cut_becomes_a_stretch_of_its_file(wav: Path, tmp_path: Path, name: str) -> None:
    cut = lhotse.Recording.from_file(wav, recording_id="rec").to_cut()
    cut.supervisions = [supervision("hey", "anna", 0.5, label="wake"), supervision("you", "anna", 0.75)]
    piece = cut.truncate(offset=0.5, duration=0.5)
    lhotse.CutSet.from_cuts([piece]).to_file(tmp_path / name)
    expected = Recording(
        wav,
        text="hey you",
        speaker="anna",
        language="en",
        label="wake",
        offset_s=0.5,
        duration_s=0.5,
        sample_rate=16_000,
    )
    assert manifests.read(tmp_path / name) == [expected]


def test_recordings_are_read(wav: Path, tmp_path: Path) -> None:
    lhotse.RecordingSet.from_recordings([lhotse.Recording.from_file(wav)]).to_file(tmp_path / "r.jsonl")
    assert manifests.read(tmp_path / "r.jsonl") == [Recording(wav, duration_s=2.0, sample_rate=16_000)]


def test_relative_audio_paths_start_at_the_manifest(wav: Path, tmp_path: Path) -> None:
    row = lhotse.Recording.from_file(wav).to_dict()
    row["sources"][0]["source"] = "one.wav"
    (tmp_path / "r.jsonl").write_text(json.dumps(row))
    assert manifests.read(tmp_path / "r.jsonl")[0].path == wav


def refused(cut: lhotse.cut.Cut, tmp_path: Path, message: str) -> None:
    """Assert that a manifest of one cut is refused with a message."""
    lhotse.CutSet.from_cuts([cut]).to_file(tmp_path / "cuts.jsonl")
    with pytest.raises(ManifestError, match=message):
        manifests.read(tmp_path / "cuts.jsonl")


def test_cuts_that_are_no_plain_stretch_are_refused(wav: Path, tmp_path: Path) -> None:
    cut = lhotse.Recording.from_file(wav, recording_id="rec").to_cut()
    refused(cut.append(cut), tmp_path, r"line 1: a MixedCut is no single audio file; save the audio first")
    refused(cut.perturb_speed(1.1), tmp_path, r"changed while it is read \(speed, volume\); save")
    stereo = write_audio(tmp_path / "stereo.wav", np.stack([tone(), tone(hz=100)], axis=1))
    one_channel = lhotse.MonoCut("c", 0.0, 0.5, 1, recording=lhotse.Recording.from_file(stereo))
    refused(one_channel, tmp_path, r"takes 1 of 2 channels, all are averaged here")
    cut.supervisions = [supervision("hey", "anna"), supervision("you", "ben", 0.5)]
    refused(cut, tmp_path, r"2 speakers in one cut; cut it by speaker")


def test_lines_that_name_no_audio_are_refused(tmp_path: Path) -> None:
    lhotse.SupervisionSet.from_segments([supervision("hey", "anna")]).to_file(tmp_path / "s.jsonl")
    with pytest.raises(ManifestError, match=r"supervisions name no audio; give cuts"):
        manifests.read(tmp_path / "s.jsonl")
    (tmp_path / "bad.jsonl").write_text('{"type": "MonoCut", "id": "x"}')
    with pytest.raises(ManifestError, match=r"bad\.jsonl, line 1: not a Lhotse cut or recording"):
        manifests.read(tmp_path / "bad.jsonl")
