"""The folder of recordings: its layout and manifests, names of people, and what is never touched."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from data_prep import manifests
from kws import audio
from kws.errors import ConfigError
from kws.workflows.recording_folder import LONGEST_NAME, RecordingFolder, speaker_name
from tests.support.training import noise, spoken


def rows(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_what_is_saved_lies_in_the_layout_and_in_manifests_that_training_reads(tmp_path: Path):
    folder = RecordingFolder(tmp_path, "hey computer")
    take = spoken(seed=1)
    paths = [folder.save_take(take, "ann"), folder.save_take(take, "ann"), folder.save_take(take, "Bo B.")]
    folder.save_negative(noise(2.0), "ann", "Good morning.")
    folder.save_noise(noise(3.0))
    assert [path.relative_to(tmp_path).as_posix() for path in paths] == [
        "positives/ann/001.wav",
        "positives/ann/002.wav",
        "positives/Bo_B/001.wav",
    ]
    info = audio.info(paths[0])
    assert info.sample_rate == audio.SAMPLE_RATE
    np.testing.assert_allclose(audio.load(paths[0]), take, atol=1 / 32768)
    assert rows(folder.negatives) == [
        {"path": "negatives/ann/001.wav", "speaker": "ann", "text": "Good morning."}
    ]
    found = manifests.read(folder.positives)
    assert [entry.speaker for entry in found] == ["Bo_B", "ann", "ann"]
    assert {entry.text for entry in found} == {"hey computer"}
    assert len(manifests.read(tmp_path / "positives")) == 3
    assert folder.takes_by_speaker() == {"Bo_B": 1, "ann": 2}
    assert (folder.negatives_s(), folder.noise_s()) == (pytest.approx(2), pytest.approx(3))


def test_a_number_is_not_given_twice_and_files_put_in_by_hand_are_found(tmp_path: Path):
    folder = RecordingFolder(tmp_path, "computer")
    first, second = (folder.save_take(spoken(seed=seed), "ann") for seed in (1, 2))
    folder.remove(first)
    folder.remove(first)
    assert folder.takes("ann") == [second] and folder.save_take(spoken(), "ann").name == "003.wav"
    audio.save(tmp_path / "positives" / "guest" / "own.wav", spoken())
    second.unlink()
    folder.refresh()
    assert [row["path"] for row in rows(folder.positives)] == [
        "positives/ann/003.wav",
        "positives/guest/own.wav",
    ]
    assert not [path for path in tmp_path.rglob(".*")]


def test_what_is_no_recording_of_the_folder_is_not_removed(tmp_path: Path):
    folder = RecordingFolder(tmp_path / "rec", "computer")
    folder.save_take(spoken(), "ann")
    other = tmp_path / "own.wav"
    audio.save(other, spoken())
    for path in (other, tmp_path / "rec" / "positives" / ".." / ".." / "own.wav", folder.positives):
        with pytest.raises(ConfigError, match="nothing was removed"):
            folder.remove(path)
    assert other.exists() and folder.positives.exists()


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("Ann", "Ann"),
        ("../../etc", "etc"),
        ("a/b\\c", "a_b_c"),
        ("Zoë Müller", "Zoë_Müller"),
        ("小明", "小明"),
        ("x\0\n", "x"),
        ("a" * 300, "a" * LONGEST_NAME),
    ],
)
def test_a_name_becomes_one_folder(name: str, folder: str, tmp_path: Path):
    assert speaker_name(name) == folder
    path = RecordingFolder(tmp_path, "computer").save_take(spoken(), name)
    assert path.parent == tmp_path / "positives" / folder


def test_what_cannot_be_recorded_there_is_refused(tmp_path: Path):
    for name in ("", "../..", "…"):
        with pytest.raises(ConfigError, match="`speaker`"):
            speaker_name(name)
    RecordingFolder(tmp_path, "computer").save_take(spoken(), "ann")
    RecordingFolder(tmp_path, "Computer")
    with pytest.raises(ConfigError, match="holds takes of 'computer'"):
        RecordingFolder(tmp_path, "jarvis")
    with pytest.raises(ConfigError, match="is a file"):
        RecordingFolder(tmp_path / "positives.jsonl", "computer")
    with pytest.raises(ConfigError, match="is empty"):
        RecordingFolder(tmp_path, "  ")
    (tmp_path / "negatives.jsonl").write_text("[]\n")
    with pytest.raises(ConfigError, match="line 1: is no row"):
        RecordingFolder(tmp_path, "computer").negative_texts()
