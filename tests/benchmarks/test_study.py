"""The sources of the benchmark's study beside what ships: those that have heard too little."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import study_data
from data_prep.augmentation import NoiseBank
from kws import audio
from kws.config import load_config, read_yaml
from kws.encoders.sources.embedded_weights import ASSETS
from kws.pretraining.config import PretrainConfig
from tests.support.training import noise, tone, write_manifest, write_wavs

REPOSITORY = Path(__file__).parents[2]


def test_the_small_source_differs_from_that_of_the_study_in_what_it_has_heard_alone():
    small = load_config(PretrainConfig, read_yaml(REPOSITORY / "benchmarks" / "small_source.yaml"))
    studied = load_config(PretrainConfig, read_yaml(ASSETS / "config.yaml"))
    assert small.encoder == studied.encoder
    assert small.init is None and [source.manifest.name for source in small.train] == ["small_source.jsonl"]


def test_the_self_taught_source_is_the_small_one_with_unlabeled_speech():
    small, taught = (
        load_config(PretrainConfig, read_yaml(REPOSITORY / "benchmarks" / f"{name}.yaml"))
        for name in ("small_source", "self_taught")
    )
    labeled, unlabeled = taught.train
    assert unlabeled.unlabeled and not labeled.unlabeled and taught.consistency > 0
    labeled = replace(labeled, weight=small.train[0].weight)
    assert replace(taught, train=(labeled,), consistency=0.0) == small


def test_speech_of_the_training_alone_is_heard_in_rooms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(study_data, "IN_ROOMS", 2)
    speech = write_wavs(tmp_path / "speech", [tone(1.0, 400 + 100 * number) for number in range(6)])
    background = write_wavs(tmp_path / "noise", [noise(2, seed, 0.1) for seed in range(2)])

    def rows(paths: list[Path], *splits: str) -> list[dict[str, object]]:
        return [
            {"path": path, "duration_s": 1.0, "split": split, "text": "A"}
            for path, split in zip(paths, splits, strict=True)
        ]

    banks: list[tuple[Path, ...]] = []
    monkeypatch.setattr(study_data, "NoiseBank", lambda paths: banks.append(paths) or NoiseBank(paths))
    spoken = rows(speech, "test", "train", "train", "dev", "train", "train")
    found = study_data.in_rooms(spoken, rows(background, "train", "test"), tmp_path / "rooms")
    assert [set(row) for row in found] == [{"path", "duration_s", "split"}] * 2
    assert {row["split"] for row in found} == {"train"} and banks == [(background[0],)]
    for row, path in zip(found, (speech[1], speech[4]), strict=True):
        heard, clean = audio.load(str(row["path"])), audio.load(path)
        spectrum = np.abs(np.fft.rfft(heard[: len(clean)]))
        assert spectrum.argmax() == np.abs(np.fft.rfft(clean)).argmax()  # the same tone
        assert np.median(spectrum) > 0.003 * spectrum.max()  # in noise


def test_the_small_source_hears_the_first_sentences_of_each_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for corpus in (
        "speechocean762",
        "picovoice_keywords",
        "noise",
        "speech_to_intent",
        "ljspeech",
        "precise_community",
        "mini_librispeech",
    ):
        rows = [
            {
                "path": f"{corpus}/{split}-{n}.ogg",
                "duration_s": 1.0,
                "speaker": f"{split} {n // 20}",
                "split": split,
                "language": "en",
                "label": "android",
                "text": "AN ANDROID",
                "phones": "AH N AE N D R OY D",
            }
            for split in ("dev", "train", "test")
            for n in range(60)
        ]
        (tmp_path / corpus).mkdir()
        write_manifest(tmp_path / corpus / "manifest.jsonl", rows)
    monkeypatch.setattr(
        "sys.argv", ["study_data", "--data", str(tmp_path), "--output", str(tmp_path / "out")]
    )
    monkeypatch.setattr(study_data, "in_rooms", lambda *_: [])
    study_data.main()
    lines = (tmp_path / "out" / "small_source.jsonl").read_text("utf-8").splitlines()
    heard = [Path(json.loads(line)["path"]).stem for line in lines]
    assert heard == [f"train-{n}" for n in range(40)] + [f"dev-{n}" for n in range(20)]
    lines = (tmp_path / "out" / "unlabelled.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    assert [Path(row["path"]).stem for row in rows] == [f"train-{n}" for n in range(40, 60)]
    assert {key for row in rows for key in row} == {"path", "duration_s", "speaker", "split"}
