"""Recorded rooms and babble reach training and the test, and say so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from data_prep.augmentation import chain
from kws.cli import main
from tests.data_prep.test_rooms import response
from tests.support.recordings import write_audio
from tests.support.training import train_words


def test_recorded_rooms_and_babble_are_trained_with_and_tested_in(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    for seed in range(2):
        write_audio(tmp_path / "halls" / f"{seed}.wav", response(seed=seed))
    made = []
    simulated = chain.SimulatedRoom
    monkeypatch.setattr(
        chain, "SimulatedRoom", lambda **given: made.append(given["rooms"]) or simulated(**given)
    )
    run = tmp_path / "run"
    words = train_words(recordings, run, "--rooms", str(tmp_path / "halls"), "--set", "train.babble=0.5")
    assert main(words) == 0
    assert "rooms: 2 recorded impulse responses take the place" in capsys.readouterr().out
    assert [path.name for path in made[0].paths] == ["0.wav", "1.wav"]
    test = [
        "eval",
        str(run),
        "--positives",
        str(recordings / "tone"),
        "--negatives",
        str(recordings / "speech"),
    ]
    rooms = ["--rooms", str(tmp_path / "halls"), "--overwrite"]
    assert main([*test, *rooms]) == 0
    told = json.loads((run / "evaluation" / "evaluation.json").read_text("utf-8"))
    assert set(told["protocol"]["conditions"]) == {"clean", "room"}
    assert (
        main([*test, "--set", "conditions={clean: {}, babble: {snr_db: 5, babble: true}}", "--overwrite"])
        == 0
    )
    told = json.loads((run / "evaluation" / "evaluation.json").read_text("utf-8"))
    assert set(told["protocol"]["conditions"]) == {"clean", "babble"}


def test_what_is_no_response_ends_the_run(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    words = train_words(recordings, tmp_path / "run", "--rooms", str(recordings / "tone"))
    assert main(words) == 2
    assert "--rooms: " in (err := capsys.readouterr().err) and "is no room impulse response" in err
