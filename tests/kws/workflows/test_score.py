"""`kws score`: what fires in many recordings, in one process or many, and what a kill costs."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import kws
import kws.workflows.score.group  # noqa: F401
from data_prep import manifests
from kws import Detector, audio
from kws.cli import main
from kws.errors import CheckpointError, ConfigError, DependencyError
from kws.workflows import score as workflow
from kws.workflows.score.group import result_path, score_group
from tests.support.onnx_models import silence, tone, write_tone_model
from tests.support.recordings import write_audio


def heard(*tones_at_s: float, seconds: float = 8.0) -> np.ndarray:
    waveform = silence(seconds)
    for start in tones_at_s:
        first = round(start * 16_000)
        waveform[first : first + 4800] = tone(1000, 0.3)
    return waveform


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Recordings of several rates and formats, and something that is none."""
    place = tmp_path / "radio"
    write_audio(place / "a.wav", heard(2.0, 6.0))
    write_audio(place / "deep" / "b.flac", np.repeat(heard(3.0), 3), 48_000)
    write_audio(place / "c.wav", heard())
    (place / "notes.txt").write_text("no audio")
    (place / "broken.wav").write_bytes(b"RIFF")
    return place


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_tone_model(tmp_path / "m.onnx")


def rows(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_detections_are_those_of_a_detector_and_hits_lie_around_them(
    model: Path, folder: Path, tmp_path: Path
):
    found = kws.score(model, [folder], tmp_path / "out")
    told = rows(found.detections)
    assert [Path(str(row["path"])).name for row in told] == ["a.wav", "a.wav", "b.flac"]
    detector = Detector(model)
    expected = detector.process(audio.load(folder / "a.wav")) + detector.finish()
    assert [(row["keyword"], row["time_s"]) for row in told[:2]] == [
        (each.keyword, round(each.time_s, 3)) for each in expected
    ]
    assert (found.num_files, found.counts) == (4, {"tone": 3})
    assert found.hours == pytest.approx(24 / 3600)
    assert list(found.skipped) == [str(folder / "broken.wav")] and not found.failures
    hits = rows(found.hits)
    assert [(row["offset_s"], row["duration_s"]) for row in hits][0] == (
        pytest.approx(told[0]["time_s"] - 2, abs=0.01),
        pytest.approx(2.5, abs=0.01),
    )
    table = (tmp_path / "out" / "detections.csv").read_text(encoding="utf-8").splitlines()
    assert table[0] == "path,keyword,time_s,score" and len(table) == 4
    summary = json.loads((tmp_path / "out" / "summary.json").read_text(encoding="utf-8"))
    assert summary["detections_per_hour"] == {"tone": pytest.approx(450)}


def test_hits_that_touch_are_one_and_training_reads_them_as_negatives(model: Path, tmp_path: Path):
    path = write_audio(tmp_path / "a.wav", heard(3.0, 4.5, seconds=12.0))
    found = kws.score(model, [path], tmp_path / "out", refractory_s=0.5)
    assert found.counts == {"tone": 2}
    (stretch,) = manifests.read(found.hits)
    assert stretch.path == path and stretch.duration_s == pytest.approx(4.0, abs=0.1)
    assert len(stretch.load()) == pytest.approx(4.0 * 16_000, abs=2000)


def test_patience_and_a_time_of_each_keyword_count_here_too(model: Path, tmp_path: Path):
    path = write_audio(tmp_path / "a.wav", heard(3.0, 3.8, seconds=8.0))
    kept: dict[str, object] = {"overwrite": True}
    assert kws.score(model, [path], tmp_path / "out").counts == {"tone": 1}
    assert kws.score(model, [path], tmp_path / "out", refractory_s={"tone": 0.5}, **kept).counts == {
        "tone": 2
    }
    assert kws.score(model, [path], tmp_path / "out", patience=100, **kept).counts == {"tone": 0}
    with pytest.raises(ConfigError, match="patience: got 0"):
        kws.score(model, [path], tmp_path / "out", patience=0, **kept)


def test_pieces_of_a_long_file_change_nothing(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = write_audio(tmp_path / "long.wav", heard(0.9, 2.93, 7.6, seconds=9.01))
    whole = rows(kws.score(model, [path], tmp_path / "one").detections)
    monkeypatch.setattr(workflow.group, "BLOCK_S", 0.31)
    assert rows(kws.score(model, [path], tmp_path / "many").detections) == whole
    assert len(whole) == 3


def test_the_score_of_every_frame_is_written_on_request(model: Path, folder: Path, tmp_path: Path):
    kws.score(model, [folder / "a.wav"], tmp_path / "out", scores="jsonl")
    (file,) = (tmp_path / "out" / "scores").iterdir()
    told = rows(file)
    wanted = Detector(model).scores(audio.load(folder / "a.wav"))
    assert [row["scores"]["tone"] for row in told] == pytest.approx(wanted[:, 0].tolist(), abs=1e-6)
    assert told[1]["time_s"] == 0.08


def test_parquet_needs_a_package_and_holds_the_same(model: Path, folder: Path, tmp_path: Path):
    try:
        import pyarrow.parquet
    except ModuleNotFoundError:
        with pytest.raises(DependencyError, match=r'`scores` as Parquet.*pip install "kws\[parquet\]"'):
            kws.score(model, [folder / "a.wav"], tmp_path / "out", scores="parquet")
        return
    kws.score(model, [folder / "a.wav"], tmp_path / "out", scores="parquet")
    (file,) = (tmp_path / "out" / "scores").iterdir()
    table = pyarrow.parquet.read_table(file)
    assert table.column_names == ["path", "time_s", "tone"]
    assert len(table) == len(Detector(model).scores(audio.load(folder / "a.wav")))


def test_a_finished_group_is_not_run_again_and_a_changed_file_is(
    model: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(workflow, "GROUP_FILES", 1)
    first = kws.score(model, [folder], tmp_path / "out")
    run: list[str] = []
    monkeypatch.setattr(
        workflow.group, "score_group", lambda values: (run.append(values["files"][0]), score_group(values))
    )
    again = kws.score(model, [folder], tmp_path / "out")
    assert run == [] and again == first
    write_audio(folder / "c.wav", heard(1.0))
    assert kws.score(model, [folder], tmp_path / "out").counts == {"tone": 4}
    assert run == [str(folder / "c.wav")]


def test_another_threshold_needs_another_folder_or_leave_to_replace(
    model: Path, folder: Path, tmp_path: Path
):
    kws.score(model, [folder], tmp_path / "out")
    with pytest.raises(ConfigError, match="another model or other settings; give `overwrite=True`"):
        kws.score(model, [folder], tmp_path / "out", threshold=0.9999)
    (tmp_path / "out" / "mine.txt").write_text("kept")
    replaced = kws.score(model, [folder], tmp_path / "out", refractory_s=10.0, overwrite=True)
    assert replaced.counts == {"tone": 2}
    assert (tmp_path / "out" / "mine.txt").is_file()


def test_what_cannot_be_scored_is_said(model: Path, tmp_path: Path):
    with pytest.raises(ConfigError, match="`audio` .*gone: no such file or folder"):
        kws.score(model, [tmp_path / "gone"], tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="no audio there; known are"):
        kws.score(model, [tmp_path / "empty"], tmp_path / "out")
    with pytest.raises(ConfigError, match="`jobs`: got 0"):
        kws.score(model, [tmp_path], tmp_path / "out", jobs=0)
    with pytest.raises(CheckpointError, match="no such file"):
        kws.score(tmp_path / "no.onnx", [tmp_path], tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_processes_of_their_own_give_the_same_rows(
    model: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(workflow, "GROUP_FILES", 1)
    alone = kws.score(model, [folder], tmp_path / "one")
    several = kws.score(model, [folder], tmp_path / "two", jobs=2)
    assert several.detections.read_text() == alone.detections.read_text()
    assert several.hits.read_text() == alone.hits.read_text() and not several.failures
    assert several.skipped == alone.skipped


@pytest.mark.slow
def test_two_dask_workers_give_the_same_rows_and_a_killed_one_loses_nothing(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    distributed = pytest.importorskip("distributed")
    monkeypatch.setattr(workflow, "GROUP_FILES", 1)
    place = tmp_path / "radio"
    for number in range(6):
        write_audio(place / f"{number}.wav", np.tile(heard(1.0 + number / 2), 40))
    alone = kws.score(model, [place], tmp_path / "one")
    cells = tmp_path / "two" / "cells"
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster:
        victim = next(iter(cluster.workers.values())).pid

        def kill_when_one_is_finished() -> None:
            end = time.monotonic() + 60
            while not list(cells.glob("*.json")) and time.monotonic() < end:
                time.sleep(0.02)
            os.kill(victim, signal.SIGKILL)

        killer = threading.Thread(target=kill_when_one_is_finished)
        killer.start()
        several = kws.score(model, [place], tmp_path / "two", dask=cluster.scheduler_address)
        killer.join()
    assert not several.failures
    assert several.detections.read_text() == alone.detections.read_text()
    assert alone.counts == {"tone": 6 * 40}


def test_the_command_prints_what_fired(
    model: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    words = ["score", str(model), str(folder), "--output", str(tmp_path / "out")]
    assert main(words) == 0
    told = capsys.readouterr().out
    assert "4 files, 0.01 h of audio" in told
    assert "tone: 3 detections, 450.00 per hour" in told
    assert f"left out: {folder / 'broken.wav'}" in told
    assert str(tmp_path / "out" / "hits.jsonl") in told
    assert main(["score", str(model), str(folder / "broken.wav"), "--output", str(tmp_path / "no")]) == 1


def test_a_result_holds_each_file_of_its_group(model: Path, folder: Path, tmp_path: Path):
    values = {"model": str(model), "files": [str(folder / "a.wav")], "decision": {}}
    score_group({**values, "scores": None, "output": str(tmp_path), "identity": "x"})
    (entry,) = json.loads(result_path(tmp_path, "x").read_text())["files"]
    assert entry["duration_s"] == 8.0 and not entry["skipped"] and len(entry["detections"]) == 2
