"""Recordings of the keyword among negatives and noise are left out, wherever and however they lie there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from data_prep.synthesis.espeak import speak, voices
from kws import audio
from kws.cli import main
from kws.errors import ManifestError
from kws.workflows.enroll import audio as enroll_audio
from kws.workflows.evaluate import evaluate
from kws.workflows.recordings import PreparedData, prepare_training
from kws.workflows.roles import OwnRecordings
from tests.support.training import noise, spoken, train_words, write_manifest, write_wavs


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder of speech with a folder of recordings of the keyword in it, and noise beside it."""
    write_wavs(tmp_path / "speech", [noise(3.0, seed) for seed in range(6)])
    write_wavs(tmp_path / "speech" / "tone", [spoken(seed=seed) for seed in range(4)])
    write_wavs(tmp_path / "noise", [noise(2.0, 50 + seed, 0.1) for seed in range(3)])
    return tmp_path


def prepare(home: Path, negatives: Sequence[Path], noise: Sequence[Path] = ()) -> PreparedData:
    positives = [home / "speech" / "tone"]
    return prepare_training(
        ["tone"], positives, negatives, noise, home / "data", cache=home / "cache", num_workers=1
    )


def names(path: Path | None) -> list[str]:
    """Return folder and name of each recording of a manifest, in order."""
    assert path is not None
    paths = [Path(json.loads(line)["path"]) for line in path.read_text("utf-8").splitlines()]
    return sorted(f"{path.parent.name}/{path.name}" for path in paths)


SPEECH = [f"speech/{index:03d}.wav" for index in range(6)]
LEFT_OUT = "negatives: 4 recordings are given as `positives` as well and were left out"


def test_a_folder_of_the_keyword_below_that_of_speech_is_left_out_of_it(home: Path):
    prepared = prepare(home, [home / "speech"])
    assert names(prepared.negatives) == SPEECH and LEFT_OUT in prepared.notes
    assert names(prepared.positives) == [f"tone/{index:03d}.wav" for index in range(4)]


@pytest.mark.parametrize("kind", ["link", "other spelling", "other format"])
def test_copies_are_found_under_other_names(home: Path, kind: str):
    own, speech = home / "speech" / "tone", home / "speech"
    shutil.move(own, home / "own")
    own, paths = home / "own", []
    for path in sorted(own.iterdir()):
        copy = speech / f"copy-{path.stem}.flac" if kind == "other format" else speech / f"copy-{path.name}"
        if kind == "link":
            copy.symlink_to(path)
        elif kind == "other format":
            audio.save(copy, audio.load(path))
        else:
            copy = speech / ".." / "own" / path.name
        paths.append(copy)
    rows = [{"path": path} for path in (*sorted(speech.glob("0*.wav")), *paths)]
    listed = write_manifest(home / "speech.jsonl", rows)
    prepared = prepare_training(
        ["tone"], [own], [listed], [], home / "data", cache=home / "cache", num_workers=1
    )
    assert names(prepared.negatives) == SPEECH and LEFT_OUT in prepared.notes


def test_noise_holds_no_keyword_either_and_counts_once(home: Path):
    for index in range(2):
        shutil.copy(home / "speech" / "tone" / f"{index:03d}.wav", home / "noise" / f"copy{index}.wav")
    prepared = prepare(home, [home / "speech", home / "noise"], [home / "noise"])
    assert "noise: 2 recordings are given as `positives` as well and were left out" in prepared.notes
    assert "negatives: 6 recordings are given as `positives` as well and were left out" in prepared.notes
    assert "noise: 3 recordings are given as `negatives` as well and count once" in prepared.notes
    assert names(prepared.negatives) == [f"noise/{index:03d}.wav" for index in range(3)] + SPEECH
    rows = map(json.loads, prepared.negatives.read_text("utf-8").splitlines())
    trained = [Path(row["path"]) for row in rows if row["split"] == "train"]
    assert names(prepared.noise) == sorted(f"noise/{p.name}" for p in trained if p.parent.name == "noise")


def test_a_source_of_nothing_but_the_keyword_is_refused(home: Path):
    own = home / "speech" / "tone"
    with pytest.raises(ManifestError, match=rf"`negatives` {own}: all 4 recordings are given as `positives`"):
        prepare(home, [home / "speech", own])
    with pytest.raises(ManifestError, match="`noise` .*: all 4 recordings .* give noise, and as `positives`"):
        prepare(home, [home / "speech"], [own])
    write_wavs(home / "again", [audio.load(path) for path in sorted(own.iterdir())])
    with pytest.raises(ManifestError, match="`negatives`: all 4 recordings are given as `positives` as well"):
        prepare(home, [home / "again"])


def test_noise_is_not_told_to_name_speakers(home: Path):
    notes = prepare(home, [home / "speech"], [home / "noise"]).notes
    assert [note.split(":")[0] for note in notes if "name no speaker" in note] == ["negatives"]


def test_enrolling_leaves_recordings_out_of_speech_and_noise(home: Path):
    recorded = home / "speech" / "computer"
    write_wavs(recorded, [speak("computer", voice) for voice in voices(3, seed=1)])
    own = OwnRecordings("recordings")
    listed = home / "run" / "data" / "recordings-0.jsonl"
    enroll_audio.read_clips("computer", ["K AH M P Y UW T ER"], recorded, listed, None, own)
    audio.save(home / "noise" / "copy.flac", audio.load(recorded / "000.wav"))
    augment, unreadable = enroll_audio.augmentation([home / "noise"], own)
    asked = [home / "speech"], ["computer"], home / "run", augment, 6000.0, 0, None, own
    enroll_audio.read_negatives(*asked)
    kept = names(home / "run" / "data" / "negatives.jsonl")
    assert kept == SPEECH + [f"tone/{index:03d}.wav" for index in range(4)] and unreadable == []
    assert own.notes() == [
        "noise: 1 recordings are given as `recordings` as well and were left out",
        "negatives: 3 recordings are given as `recordings` as well and were left out",
    ]


def test_an_evaluation_says_what_was_trained_on_and_leaves_positives_out_of_negatives(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    run = tmp_path / "run"
    assert main(train_words(recordings, run)) == 0
    for kind in ("tone", "speech"):
        (tmp_path / kind).mkdir()
        for index in range(2):  # copies in another format
            audio.save(tmp_path / kind / f"{index}.flac", audio.load(recordings / kind / f"00{index}.wav"))
    write_wavs(tmp_path / "tone", [spoken(seed=90)])
    write_wavs(tmp_path / "speech", [noise(3.0, 90)])
    shutil.copytree(tmp_path / "tone", tmp_path / "speech" / "tone")
    capsys.readouterr()
    words = ["eval", str(run), "--positives", str(tmp_path / "tone"), "--negatives", str(tmp_path / "speech")]
    assert main(words) == 0
    printed = capsys.readouterr().out
    told = (
        "2 of the 3 clips were trained on, or the threshold chosen by them: fewer are missed",
        "2 of the 3 negatives were trained on, or the threshold chosen by them",
        "3 negatives are given as positives as well and were left out",
    )
    page = (run / "evaluation" / "report.html").read_text("utf-8")
    for note in told:
        assert f"note: {note}" in printed and note in page
    found = json.loads((run / "evaluation" / "evaluation.json").read_text("utf-8"))
    assert (found["num_negatives_trained_on"], found["num_copies_left_out"]) == (2, 3)
    assert found["keywords"][0]["num_trained_on"] == 2

    shutil.rmtree(run / "data")
    result = evaluate(run, [tmp_path / "tone"], [tmp_path / "speech"])
    assert result.num_negatives_trained_on is None and result.keywords[0].num_trained_on is None
