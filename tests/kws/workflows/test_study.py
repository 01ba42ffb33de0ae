"""`kws study` as a person calls it: what is run, what is kept, what comes out, and what is refused."""

from __future__ import annotations

import csv
import html
import os
import re
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from kws.checkpoint import load_operating_point
from kws.cli import main
from kws.config import load_config
from kws.encoders.sources import embedded_weights
from kws.enrollment.examples import FitConfig
from kws.enrollment.methods import METHODS
from kws.heads import available_heads
from kws.loss_weighting import available_loss_weightings
from kws.losses import available_losses
from kws.regularizers import available_regularizers
from kws.studies import plots, pool, recommend
from kws.studies.held_out import load_test_audio
from kws.studies.pool import Failure, Job
from kws.studies.recipe import BEFORE, TOGETHER, SettingsConfig, load_study
from kws.studies.results import NOT_TRAINED, CellResult, write_cell
from kws.studies.scoring import MissCount, detector_scores
from kws.training.config import TrainConfig
from kws.transfer import AUTO, available_policies
from kws.workflows.enroll import config as enroll_config
from kws.workflows.enroll.config import EnrollConfig
from kws.workflows.recordings import Synthesis
from kws.workflows.study import check_choices
from kws.workflows.study import plan as study_plan
from kws.workflows.study.cell import run_cell
from kws.workflows.study.plan import cell_settings, given_settings
from kws.workflows.study.request import CellRequest
from kws.workflows.train.request import read_overrides, read_settings
from tests.support.training import SHORT, noise, spoken, tiny_weights, write_manifest, write_wavs

REPOSITORY = Path(__file__).parents[3]
MISSES = {"head": 1, "late": 3, "all": 2, "scratch": 5}
"""Of the six clips, in the cells that are made up here."""


def write_study(folder: Path, **changes: Any) -> Path:
    """Write recordings of a tone, tiny encoder weights, and a recipe over them."""
    write_wavs(folder / "train", [spoken(seed=seed) for seed in range(8)])
    clips = write_wavs(folder / "test", [spoken(seed=20 + seed) for seed in range(6)])
    rows = [
        {"path": path, "label": "tone", "split": "test", "speaker": f"speaker {index // 2}"}
        for index, path in enumerate(clips)
    ]
    write_manifest(folder / "test.jsonl", rows)
    write_wavs(folder / "speech", [noise(3, seed) for seed in range(6)])
    write_wavs(folder / "other", [noise(3, 100 + seed) for seed in range(4)])
    write_wavs(folder / "noise", [noise(2, 50 + seed, 0.1) for seed in range(3)])
    write_wavs(folder / "other_noise", [noise(2, 70, 0.1)])
    tiny_weights(folder / "encoder")
    keys = {key: yaml.safe_load(value) for key, _, value in (pair.partition("=") for pair in SHORT)}
    recipe = {
        "keywords": [{"keyword": "tone", "train": ["train"], "test": ["test.jsonl"]}],
        "negatives": ["speech"],
        "noise": ["noise"],
        "test_negatives": ["other"],
        "test_noise": ["other_noise"],
        "protocol": {
            "conditions": {"clean": {}, "noise 10 dB": {"snr_db": 10.0}},
            "copies": {"speed": {"speed": 0.1}},
        },
        "rates": [60.0, 600.0],
        "compared_at": 600.0,
        "recordings": [3, "all"],
        "settings": {"weights": "encoder", "depth": 2, "synthetic": 0, "set": keys},
        "choices": {"head": {"policy": "head"}, "late": {"policy": "late"}},
        **changes,
    }
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False))
    return path


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_study(tmp_path_factory.mktemp("study"))


class Cells:
    """Stands in for the processes that train: writes made-up results, and remembers what it was asked."""

    def __init__(self, failing: Sequence[str] = ()) -> None:
        self.failing, self.jobs = failing, []

    def __call__(self, jobs: Sequence[Job], folder: Path, program: str, **options: Any) -> list[Failure]:
        self.jobs, self.options = list(jobs), options
        failures = []
        for job in jobs:
            request = load_config(CellRequest, job.values)
            if any(name in job.name for name in self.failing):
                failures.append(Failure(job.name, "it broke", job.log(folder)))
                continue
            audio = load_test_audio(request.test, request.clips)
            missed = tuple(range(MISSES.get(request.policy, 0)))
            miss_counts = {
                condition: {f"{rate:g}": MissCount(0.5, missed, len(clips), 1) for rate in request.rates}
                for condition, clips in audio.positives.items()
            }
            write_cell(
                folder,
                CellResult(
                    identity=request.identity,
                    keyword=request.keyword,
                    num_recordings=request.num_recordings,
                    seed=request.seed,
                    policy=request.policy,
                    miss_counts=miss_counts,
                    negative_hours=audio.hours,
                    original_hours=audio.original_hours,
                    stored_threshold=0.5,
                    moving_parameters={"head": 10}.get(request.policy, 100),
                    parameters=200,
                    train_s=1.0,
                    wall_s=2.0,
                    config_hash="0" * 12,
                ),
            )
        return failures

    @property
    def names(self) -> list[str]:
        return sorted(job.name for job in self.jobs)


@pytest.fixture
def pictures() -> None:
    """Is asked for by a test that looks at pictures; drawing them takes most of the time of a study here."""


PNG = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 8, 6)
"""As much of a picture as a page reads."""


@pytest.fixture
def cells(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Cells:
    """Replace the processes, and leave out what they would share; nothing is drawn without ``pictures``."""
    stand_in = Cells()
    if "pictures" not in request.fixturenames:
        for name in ("misses_by_recordings", "gains", "behind"):
            monkeypatch.setattr(plots, name, lambda results: PNG)
    monkeypatch.setattr(pool, "run_jobs", stand_in)
    monkeypatch.setattr(study_plan, "share_work", lambda *_: None)
    return stand_in


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_study_leaves_tables_a_picture_a_page_and_a_recommendation(
    pictures: None, recipe: Path, tmp_path: Path, cells: Cells, capsys: pytest.CaptureFixture[str]
):
    output = tmp_path / "out"
    assert main(["study", str(recipe), "--output", str(output), "--jobs", "3"]) == 0
    assert cells.names == [f"tone-{n}-{c}-0" for n in (3, "all") for c in ("head", "late", "scratch")]
    assert cells.options["num_jobs"] == 3 and cells.options["dask"] is None
    said = capsys.readouterr().out
    assert "head, 3 recordings: +66.7 [+50.0, +100.0] points fewer missed than from scratch" in said
    assert (
        "head: with 3 (16.7 %) no more is missed than by scratch with all (83.3 %): 2.7 times fewer" in said
    )
    assert (
        "3 recordings: nothing is recommended: head (16.7 % missed), late (50.0 % missed) and scratch" in said
    )
    assert "one run of each does not tell a good choice from a lucky draw" in said
    assert "no policy is recommended" in said and not (output / "recommendation.yaml").exists()
    assert "`auto` cannot be scratch (trains from random weights)" in said
    assert "WARNING: late, 3 recordings: +33.3 [+0.0, +50.0] points fewer missed than from scratch" in said
    assert f"{output / 'study.html'}: 6 of 6 cells" in said and "WARNING: head" not in said
    results = rows_of(output / "results.csv")
    assert [row["choice"] for row in results] == ["head", "late", "scratch"] * 2
    assert results[0]["missed, noise 10 dB at 600/h"] == "1" and results[0]["clips, clean at 60/h"] == "6"
    assert [row["training_recordings"] for row in results] == ["3"] * 3 + ["8"] * 3
    assert len(rows_of(output / "summary.csv")) == 6
    assert (output / "summary.md").read_text("utf-8").count("\n") == 8
    html = (output / "study.html").read_text("utf-8")
    assert html.count("data:image/png;base64,") == 3 and "are not finished" not in html
    for name in ("misses", "gains", "behind"):
        assert (output / f"{name}.png").read_bytes().startswith(b"\x89PNG"), name
    assert "choice “late”</th><td>policy late</td>" in html
    assert "No policy is recommended" in html and "cannot be told apart" in html
    assert "<td>depth 2, weights encoder, synthetic 0, train.epochs 1, " in html
    # four negatives of 3 s, noise of 2 s, and the four at another speed; the gaps count for nothing
    assert float(results[0]["original_hours"]) == pytest.approx(14 / 3600)
    assert 14 + 12 / 1.11 < 3600 * float(results[0]["negative_hours"]) < 14 + 12 / 0.89


def test_choices_are_held_against_others_on_request(
    recipe: Path, tmp_path: Path, cells: Cells, capsys: pytest.CaptureFixture[str]
):
    words = ["study", str(recipe), "--output", str(tmp_path / "out")]
    assert main(words) == 0
    assert not (tmp_path / "out" / "against.md").exists()
    cells.jobs = []
    assert main([*words, "--report", "--against", "late", "scratch"]) == 0 and cells.jobs == []
    held = (tmp_path / "out" / "against.md").read_text("utf-8")
    assert held in capsys.readouterr().out + "\n"
    late, scratch = held.split("Points fewer missed than by ")[1:]
    assert late.splitlines()[0] == "`late`, at 600 false accepts per hour:"
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in late.splitlines()[2:] if line]
    assert rows[0] == ["choice", "3 recordings", "all recordings"]
    assert [row[0] for row in rows[2:]] == ["head", "scratch"]
    # of six clips, in every condition alike, `head` misses one, `late` three and `scratch` five with 3
    assert rows[2][1].startswith("+33.3 [") and rows[3][1].startswith("-33.3 [")
    assert "| head | +66.7 [+50.0, +100.0] |" in scratch
    html = (tmp_path / "out" / "study.html").read_text("utf-8")
    section = html.split("<h2>Gain over late</h2>")[1].split("<h2>")[0]
    assert all(f"<td>{cell}</td>" in section for row in rows[2:] for cell in row)


def test_an_unknown_choice_to_be_held_against_is_named_before_anything_is_run(
    recipe: Path, tmp_path: Path, cells: Cells, capsys: pytest.CaptureFixture[str]
):
    words = ["study", str(recipe), "--output", str(tmp_path / "out"), "--against", "head", "latest"]
    assert main(words) == 2
    assert "--against: got latest, allowed: head, late, scratch" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_recommendation_is_what_kws_train_takes(
    recipe: Path,
    tmp_path: Path,
    cells: Cells,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.setattr(recommend, "FEWEST_UNITS", 3)  # as many people as the test clips have
    monkeypatch.setitem(MISSES, "late", 6)
    words = ["study", str(recipe), "--output", str(tmp_path / "out")]
    assert main([*words, "--set", "seeds=[0, 1]"]) == 0
    said = capsys.readouterr().out
    assert "3 recordings: head is recommended: 16.7 % missed, and every other choice is shown to miss" in said
    assert f"policies for `auto`: from 0 head ({tmp_path / 'out' / 'recommendation.yaml'})" in said
    html = (tmp_path / "out" / "study.html").read_text("utf-8")
    assert "<tr><td>3</td><td>head</td><td>16.7 % missed, and every other choice" in html
    table = tmp_path / "out" / "recommendation.yaml"
    _, settings = read_settings(["tone"], read_overrides(None, [f"train.transfer.auto_table={table}"]))
    resolved, reason = settings.resolved(500)
    assert resolved.transfer.policy == "head" and reason.startswith("kws study ")


def test_only_what_is_missing_is_run(recipe: Path, tmp_path: Path, cells: Cells):
    words = ["study", str(recipe), "--output", str(tmp_path / "out")]
    assert main([*words, "--only", "*-3-head", "3-sc*h"]) == 0
    assert cells.names == ["tone-3-head-0", "tone-3-scratch-0"]
    assert "4 of 6 cells are not finished" in (tmp_path / "out" / "study.html").read_text("utf-8")
    assert main(words) == 0
    assert len(cells.jobs) == 4 and "tone-3-head-0" not in cells.names
    assert cells.options["num_finished"] == 2
    assert main(words) == 0
    assert cells.jobs == []
    assert main([*words, "--set", "choices.all={policy: all}"]) == 0  # a further choice: the others stay
    assert cells.names == ["tone-3-all-0", "tone-all-all-0"]


@pytest.mark.parametrize(
    ("change", "number"),
    [
        ("settings.set={train.epochs: 3}", 6),
        ("choices.head.set={train.learning_rate: 0.1}", 2),
        ("protocol.seed=21", 6),
        ("protocol.conditions.clean={snr_db: 30}", 6),
        ("protocol.copies.speed={speed: 0.2}", 6),
        ("protocol.lead_s=1", 6),
        ("seeds=[1]", 6),
        ("rates=[600, 50]", 6),
        ("settings.synthetic=10", 6),
    ],
)
def test_a_finished_cell_of_other_settings_is_not_taken_for_this_one(
    change: str, number: int, recipe: Path, tmp_path: Path, cells: Cells
):
    words = ["study", str(recipe), "--output", str(tmp_path / "out")]
    assert main(words) == 0 and len(cells.jobs) == 6
    assert main([*words, "--set", change]) == 0
    assert len(cells.jobs) == number
    assert main(words) == 0 and cells.jobs == []


def test_other_recordings_are_other_cells(tmp_path: Path, cells: Cells):
    recipe = write_study(tmp_path, control=False)
    words = ["study", str(recipe), "--output", str(tmp_path / "out")]
    assert main(words) == 0
    drawn = [[run["positives"] for run in job.values["trainings"]] for job in cells.jobs]
    for name, recordings in {
        "train": [spoken(500, seed) for seed in range(8)],
        "speech": [noise(3, 200 + seed) for seed in range(6)],
        "noise": [noise(2, 300 + seed, 0.1) for seed in range(3)],
        "test": [spoken(500, 20 + seed) for seed in range(6)],
        "other": [noise(3, 400 + seed) for seed in range(4)],
        "other_noise": [noise(2, 500, 0.1)],
    }.items():
        write_wavs(tmp_path / name, recordings)
        assert main(words) == 0 and len(cells.jobs) == len(drawn) == 4, name


def test_copies_of_the_recordings_elsewhere_are_the_same_cells(tmp_path: Path, cells: Cells):
    words = ["--output", str(tmp_path / "out")]
    assert main(["study", str(write_study(tmp_path / "here")), *words]) == 0 and len(cells.jobs) == 6
    assert main(["study", str(write_study(tmp_path / "there")), *words]) == 0
    assert cells.jobs == []


def test_auto_is_what_it_stands_for_and_runs_nothing_twice(recipe: Path, tmp_path: Path, cells: Cells):
    near = "{policy: all, set: {train.regularizers: {feature_matching: 1}}}"
    words = ["study", str(recipe), "--output", str(tmp_path / "out")]
    words += ["--set", f"choices.near={near}", "--set"]
    assert main([*words, "choices.auto={policy: auto}"]) == 0
    assert len(cells.jobs) == 4 * 2  # those of head, late, near and scratch
    rows = {(r["choice"], r["recordings"]): r for r in rows_of(tmp_path / "out" / "results.csv")}
    for recordings, same in (("3", "head"), ("all", "near")):
        assert rows["auto", recordings]["cell"] == rows[same, recordings]["cell"]
    table = tmp_path / "auto.yaml"
    table.write_text("{source: here, policies: [{recordings: 0, policy: late}]}")
    assert main([*words, f"choices.auto={{set: {{train.transfer.auto_table: {table}}}}}"]) == 0
    assert cells.jobs == []  # the same as `late`


TWO_KEYWORDS = [
    {"keyword": "tone", "train": ["train"], "test": ["test.jsonl"]},
    {"keyword": "beep", "train": ["beeps"], "test": ["other_beeps"]},
]


def write_pair(folder: Path, seed: int = 0, **choices: Any) -> Path:
    """Write the recipe of a study of two keywords, with choices that train both where none are given."""
    write_wavs(folder / "beeps", [spoken(500, seed=seed + number) for number in range(8)])
    write_wavs(folder / "other_beeps", [spoken(500, seed=20 + number) for number in range(6)])
    near = {"policy": "all", "set": {"train.regularizers": {"feature_matching": 1.0}}}
    choices = choices or {
        "late": {"policy": "late"},
        "pair": {"policy": "late", "others": "together"},
        "column": {**near, "others": "before"},
    }
    return write_study(folder, keywords=TWO_KEYWORDS, choices=choices, control=False, recordings=[3])


def test_other_keywords_are_trained_along_or_before(tmp_path: Path, cells: Cells):
    assert main(["study", str(write_pair(tmp_path)), "--output", str(tmp_path / "out")]) == 0
    requests = {job.name: load_config(CellRequest, job.values) for job in cells.jobs}
    assert len(requests) == 6 and all(request.num_recordings == 3 for request in requests.values())
    (alone,), (both,) = requests["beep-3-late-0"].trainings, requests["beep-3-pair-0"].trainings
    first, second = requests["beep-3-column-0"].trainings
    assert [run.keywords for run in (alone, both, first, second)] == [
        ("beep",),
        ("beep", "tone"),
        ("tone",),
        ("beep",),
    ]
    assert both.positives == (*alone.positives, *requests["tone-3-late-0"].trainings[0].positives)
    assert (second.positives, first.positives) == (alone.positives, both.positives[1:])
    assert both.train == alone.train and both.train.transfer.policy == "late"
    assert first.train.regularizers and not second.train.regularizers
    assert second.train.transfer.policy == AUTO  # what borrowed layers do is settled
    assert second.train.epochs == first.train.epochs == alone.train.epochs
    assert (alone.train.seed, alone.train.num_workers, alone.train.dev_copies) == (0, 0, 0)


def test_where_other_keywords_are_trained_too_their_recordings_make_it_another_cell(
    tmp_path: Path, cells: Cells
):
    words = ["--output", str(tmp_path / "out"), "--only", "tone-"]
    assert main(["study", str(write_pair(tmp_path)), *words]) == 0 and len(cells.jobs) == 3
    assert main(["study", str(write_pair(tmp_path, seed=40)), *words]) == 0
    assert cells.names == ["tone-3-column-0", "tone-3-pair-0"]


FORKS = """
import multiprocessing, sys
from kws.workflows.own_process import end_with_input
sys.stdin.readline()
end_with_input()
child = multiprocessing.get_context("fork").Process(target=print, args=("forked",))
child.start()
child.join()
print("waits", flush=True)
multiprocessing.Event().wait()
"""


def test_the_process_of_a_cell_can_fork_and_ends_with_its_input():
    with subprocess.Popen(
        [sys.executable, "-c", FORKS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write("request\n")
        process.stdin.flush()
        end = threading.Timer(60, os.killpg, (process.pid, signal.SIGKILL))  # with a child that hangs
        end.start()
        assert [process.stdout.readline().strip() for _ in range(2)] == ["forked", "waits"]
        end.cancel()
        assert process.poll() is None
        process.stdin.close()
        assert process.wait(60) == 1


@pytest.mark.slow
def test_cells_of_several_keywords_read_the_one_that_they_are_of(tmp_path: Path, cells: Cells):
    assert main(["study", str(write_pair(tmp_path)), "--output", str(tmp_path / "out")]) == 0
    jobs = {job.name: job for job in cells.jobs}
    study_plan.share_work([jobs["beep-3-pair-0"], jobs["beep-3-column-0"]], tmp_path / "cache", 1)
    for name, policy in (("beep-3-pair-0", "late"), ("beep-3-column-0", "head")):
        request = replace(load_config(CellRequest, jobs[name].values), keep_run=True)
        result = run_cell(request)
        assert (result.keyword, result.policy, result.precision) == ("beep", policy, "32-true")
        runs = list((tmp_path / "out" / "runs").glob(f"{request.identity}-*"))
        points = [load_operating_point(run).thresholds for run in runs]
        (both,) = (point for point in points if len(point) == 2)
        assert result.stored_threshold == both["beep"]
        (file,) = (path for run in runs for path in run.glob("*.onnx"))
        audio = load_test_audio(request.test, request.clips)
        point = load_operating_point(file.parent)
        config = point.decision.at([1.0])
        found = detector_scores(file, audio, "beep").misses(audio, request.rates, config)
        assert {
            name: {f"{rate:g}": count for rate, count in rates.items()} for name, rates in found.items()
        } == result.miss_counts


def test_unlabeled_audio_of_another_place_is_given_to_what_compares_it(tmp_path: Path, cells: Cells):
    near = {"policy": "late", "set": {"train.regularizers": {"mmd": 1.0}}, "target_audio": ["room"]}
    column = {**near, "others": "before"}
    write_wavs(tmp_path / "room", [noise(2, 800 + seed) for seed in range(3)])
    recipe = write_pair(tmp_path, late={"policy": "late"}, near=near, column=column)
    words = ["study", str(recipe), "--output", str(tmp_path / "out"), "--only", "tone-"]
    assert main(words) == 0
    requests = {job.name: load_config(CellRequest, job.values) for job in cells.jobs}
    near, late = (requests[name].trainings[0] for name in ("tone-3-near-0", "tone-3-late-0"))
    assert (near.target_audio, late.target_audio) == ((tmp_path / "room",), ())
    write_wavs(tmp_path / "room", [noise(2, 900 + seed) for seed in range(3)])
    assert main(words) == 0
    assert cells.names == ["tone-3-column-0", "tone-3-near-0"]


@pytest.mark.slow
def test_a_cell_hears_unlabeled_audio_in_its_first_run_alone(tmp_path: Path, cells: Cells):
    near = {"policy": "late", "set": {"train.regularizers": {"mmd": 1.0}}, "target_audio": ["room"]}
    write_wavs(tmp_path / "room", [noise(2, 800 + seed) for seed in range(3)])
    recipe = write_pair(tmp_path, column={**near, "others": "before"})
    request = one_cell(recipe, tmp_path / "out", "tone-3-column", cells)
    run_cell(replace(request, keep_run=True))
    heard = {len(list(run.glob("data/target.jsonl"))) for run in (tmp_path / "out" / "runs").iterdir()}
    assert heard == {0, 1}


def test_enrolling_depends_on_recordings_and_on_what_ships(
    tmp_path: Path, cells: Cells, monkeypatch: pytest.MonkeyPatch
):
    changes = {"recordings": [0, 3], "seeds": [0, 1], "control": False}
    choices = {"typed": {"enroll": "phones"}, "like": {"enroll": "examples"}}
    recipe = write_study(tmp_path, choices=choices, **changes)
    words = ["study", str(recipe), "--output", str(tmp_path / "out")]
    assert main(words) == 0
    requests = [load_config(CellRequest, job.values) for job in cells.jobs]
    drawn = [request.num_recordings for request in requests]
    assert (drawn.count(0), drawn.count(3)) == (2, 4)  # with none, every seed is the same
    assert {request.policy for request in requests} == {"enroll phones", "enroll examples"}
    rows = rows_of(tmp_path / "out" / "results.csv")
    assert len(rows) == 8 and len({row["cell"] for row in rows if row["choice"] == "typed"}) == 3
    write_wavs(tmp_path / "noise", [noise(2, 300 + seed, 0.1) for seed in range(3)])
    assert main(words) == 0
    methods = {job.values["enrollment"]["method"] for job in cells.jobs}
    assert methods == {"examples"}  # noise is mixed into these alone
    assert main([*words, "--set", "settings.set={train.epochs: 3}"]) == 0 and cells.jobs == []
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "frames.safetensors").write_bytes(b"other speech")
    monkeypatch.setattr(embedded_weights, "ASSETS", tmp_path / "assets")
    assert main(words) == 0 and len(cells.jobs) == 6


def test_a_cell_of_an_older_enrolment_is_not_taken_for_a_new_one(
    tmp_path: Path, cells: Cells, monkeypatch: pytest.MonkeyPatch
):
    choices = {"typed": {"enroll": "phones"}, "late": {"policy": "late"}}
    recipe = write_study(tmp_path, choices=choices, recordings=[0], control=False)
    words = ["study", str(recipe), "--output", str(tmp_path / "out")]
    assert main(words) == 0 and main(words) == 0 and cells.jobs == []
    newer = EnrollConfig(fit=FitConfig(penalty=2 * FitConfig().penalty))  # of another version by default
    monkeypatch.setattr(enroll_config, "EnrollConfig", lambda: newer)
    assert main(words) == 0
    assert cells.jobs and all("-typed-" in name for name in cells.names)


@pytest.mark.slow
def test_a_cell_that_enrols_reads_what_was_typed(tmp_path: Path, cells: Cells):
    choices = {"typed": {"enroll": "phones"}, "words": {"enroll": "words", "recordings": [0]}}
    recipe = write_study(tmp_path, choices=choices, recordings=[0], control=False)
    assert main(["study", str(recipe), "--output", str(tmp_path / "out")]) == 0
    study_plan.share_work(cells.jobs, tmp_path / "cache", 1)
    assert not (tmp_path / "cache").exists()  # nothing is trained
    for job in cells.jobs:
        request = load_config(CellRequest, job.values)
        result = run_cell(request)
        assert result.policy == f"enroll {request.enrollment.method}" and result.moving_parameters == 0
        assert result.precision == NOT_TRAINED
        assert result.parameters > 100_000 and result.miss_count("clean", 600.0).clips == 6
    assert list((tmp_path / "out" / "runs").iterdir()) == []


def test_a_report_says_where_machines_trained_in_different_precisions(
    recipe: Path, tmp_path: Path, cells: Cells, capsys: pytest.CaptureFixture[str]
):
    words = ["study", str(recipe), "--output", str(tmp_path / "out")]
    assert main(words) == 0
    assert "precision" not in capsys.readouterr().out
    path, enrolled = list((tmp_path / "out" / "cells").iterdir())[:2]
    enrolled.write_text(enrolled.read_text("utf-8").replace("bf16-mixed", NOT_TRAINED))
    assert main(words) == 0
    assert "precision" not in capsys.readouterr().out
    path.write_text(path.read_text("utf-8").replace("bf16-mixed", "32-true"))
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "machines trained 4 in bf16-mixed, 1 in 32-true; points between cells of different ones" in said
    assert sorted(row["precision"] for row in rows_of(tmp_path / "out" / "results.csv")) == [
        "32-true",
        *["bf16-mixed"] * 4,
        NOT_TRAINED,
    ]


def test_the_page_says_what_each_choice_does(tmp_path: Path, cells: Cells):
    choices = {
        "plain": {},
        "pair": {"policy": "late", "others": "together"},
        "column": {"others": "before"},
        "near": {"set": {"train.regularizers": {"mmd": 1.0}}, "target_audio": ["speech"]},
        "typed": {"enroll": "phones", "recordings": [0]},
    }
    assert main(["study", str(write_pair(tmp_path, **choices)), "--output", str(tmp_path / "out")]) == 0
    page = html.unescape((tmp_path / "out" / "study.html").read_text("utf-8"))
    assert f">protocol</th><td>{load_study(tmp_path / 'study.yaml').protocol.told()}</td>" in page
    for name, told in {
        "plain": "the defaults of kws train",
        "pair": "policy late; all keywords in one detector",
        "column": "the defaults of kws train; added to the other keywords",
        "near": "train.regularizers {'mmd': 1.0}; brought near speech",
        "typed": "kws enroll, method phones",
    }.items():
        _, _, rest = page.partition(f"choice “{name}”")
        assert re.sub(r"<[^>]*>|\s+", " ", rest[:300]).strip().startswith(told), rest[:300]


def test_failures_are_listed_at_the_end_and_stop_nothing(
    recipe: Path, tmp_path: Path, cells: Cells, capsys: pytest.CaptureFixture[str]
):
    cells.failing = ["3-late"]
    output = tmp_path / "out"
    assert main(["study", str(recipe), "--output", str(output)]) == 1
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == f"FAILED tone-3-late-0: it broke; see {output / 'logs' / 'tone-3-late-0.log'}"
    assert len(rows_of(output / "results.csv")) == 5
    cells.failing = []
    assert main(["study", str(recipe), "--output", str(output)]) == 0
    assert cells.names == ["tone-3-late-0"]


def test_a_report_runs_nothing(
    recipe: Path, tmp_path: Path, cells: Cells, capsys: pytest.CaptureFixture[str]
):
    words = ["study", str(recipe), "--output", str(tmp_path / "out"), "--report"]
    assert main(words) == 0
    assert "no cell is finished yet, of 6" in capsys.readouterr().out and cells.jobs == []


def test_speakers_on_both_sides_are_said(tmp_path: Path, cells: Cells, capsys: pytest.CaptureFixture[str]):
    recipe = write_study(tmp_path)
    rows = [{"path": p, "speaker": "speaker 0"} for p in sorted((tmp_path / "train").iterdir())]
    write_manifest(tmp_path / "train.jsonl", rows)
    words = ["study", str(recipe), "--output", str(tmp_path / "out")]
    source = "keywords=[{keyword: tone, train: [train.jsonl], test: [test.jsonl]}]"
    assert main([*words, "--set", source]) == 0
    note = "tone: 1 speakers are both trained and tested on: the misses are too few"
    assert note in capsys.readouterr().out and note in (tmp_path / "out" / "study.html").read_text("utf-8")


def test_clips_that_are_already_in_a_condition_are_taken_as_they_are(tmp_path: Path, cells: Cells):
    recipe = write_study(tmp_path)
    conditions = "{clean: test, quiet: quiet}"
    write_wavs(tmp_path / "quiet", [0.1 * spoken(seed=20 + seed) for seed in range(6)])
    words = ["study", str(recipe), "--output", str(tmp_path / "out"), "--set"]
    assert main([*words, f"keywords=[{{keyword: tone, train: [train], test_conditions: {conditions}}}]"]) == 0
    request = load_config(CellRequest, cells.jobs[0].values)
    clips = load_test_audio(request.test, request.clips).positives
    assert list(clips) == ["clean", "quiet"]
    np.testing.assert_allclose(clips["quiet"][2], 0.1 * clips["clean"][2], atol=2)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--set", "choices.head.policy=hed"],
            "choices.head: train.transfer.policy: got 'hed', allowed: head",
        ),
        (["--set", "choices.head.set={train.epoch: 3}"], "choices.head: train: unknown key `epoch`; did you"),
        (
            ["--set", "choices.head.target_audio=[speech]"],
            "choices.head: target_audio: nothing compares it; add `set: {train.regularizers: {dann: 0.1}}`",
        ),
        (["--set", "recordings=[3, 100]"], "recordings: got 100, and there are 8 of 'tone' to train on"),
        (["--set", "negatives=[nowhere]"], "nowhere: no such file or folder"),
        (
            ["--set", "protocol.conditions={a: {snr: 3}}"],
            "conditions.a: unknown key `snr`; did you mean `snr_db`?",
        ),
        (["--set", "test_noise=[]"], "noise at 10 dB is wanted and no noise is given"),
        (["--only", "42"], "--only: no cell is called like 42; one is tone-3-head-0"),
        (["--jobs", "0"], "--jobs: got 0, allowed: 1 or more"),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_is(
    words: list[str],
    message: str,
    recipe: Path,
    tmp_path: Path,
    cells: Cells,
    capsys: pytest.CaptureFixture[str],
):
    assert main(["study", str(recipe), "--output", str(tmp_path / "out"), *words]) == 2
    assert message in capsys.readouterr().err and cells.jobs == []


def test_a_folder_of_something_else_is_left_alone(
    recipe: Path, tmp_path: Path, cells: Cells, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "letter.txt").write_text("dear")
    assert main(["study", str(recipe), "--output", str(tmp_path)]) == 2
    assert "holds something else than a study; choose another --output" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_settings_of_a_recipe_become_those_of_a_run(tmp_path: Path):
    settings = SettingsConfig(
        policy="all",
        depth=4,
        weights=Path("enc"),
        set={"train.learning_rate": 1e-5, "train.regularizers": {"l2_sp": 1}},
    )
    model, training = read_settings(["a"], given_settings(settings, tmp_path))
    assert (model.depth, model.weights) == (4, tmp_path / "enc")
    assert (training.transfer.policy, training.learning_rate) == ("all", 1e-5)
    assert training.regularizers == {"l2_sp": 1.0}


def test_every_named_choice_is_in_the_benchmark_and_with_no_recordings_too():
    config = load_study(REPOSITORY / "benchmarks" / "study.yaml")
    choices = config.all_choices()
    given = [given_settings(choice, REPOSITORY) for choice in choices.values()]
    settings = [read_settings(["a"], overrides) for overrides in given]
    assert {training.transfer.policy for _, training in settings} == {*available_policies(), AUTO}
    assert {name for _, training in settings for name in training.regularizers} == set(
        available_regularizers()
    )
    assert {training.loss for _, training in settings} == set(available_losses())
    assert {training.loss_weighting for _, training in settings} == set(available_loss_weightings())
    assert {model.head for model, _ in settings} == set(available_heads())
    assert {choice.enroll for choice in choices.values()} == {None, *METHODS}
    assert {choice.others for choice in choices.values()} == {None, TOGETHER, BEFORE}
    alone = {name for name, choice in choices.items() if 0 in choice.recordings}
    assert alone >= {"head", "late", "dann", "mmd", "scratch", *(f"enroll {method}" for method in METHODS)}
    towers = [choice for choice in choices.values() if choice.head == "cross_stitch"]
    assert {choice.others for choice in towers} == {TOGETHER}  # of one keyword it is head `conv`


@pytest.mark.parametrize("place", ["kws/recipes", "benchmarks"])
def test_the_recipes_that_come_with_it_are_valid(place: str):
    path = REPOSITORY / place / "study.yaml"
    config = load_study(path)
    check_choices(config, path.parent)
    assert config.control and "late" in config.choices


def one_cell(recipe: Path, output: Path, only: str, cells: Cells) -> CellRequest:
    """Return what the process of a cell would be told, with nothing finished."""
    assert main(["study", str(recipe), "--output", str(output), "--only", only]) == 0
    (job,) = cells.jobs
    for path in (output / "cells").iterdir():
        path.unlink()
    return load_config(CellRequest, job.values)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_cell_reads_what_kws_train_trained_and_its_dev_is_read_briefly_without_effect(
    recipe: Path, tmp_path: Path, cells: Cells
):
    import torch

    from kws.checkpoint import load_model

    request = replace(one_cell(recipe, tmp_path / "out", "3-late", cells), keep_run=True)
    result = run_cell(request)
    assert (result.policy, result.num_recordings, result.identity) == ("late", 3, request.identity)
    assert set(result.miss_counts) == {"clean", "noise 10 dB"}
    assert set(result.miss_counts["clean"]) == {"60", "600"} and result.miss_count("clean", 60.0).clips == 6
    assert 0 < result.moving_parameters <= result.parameters
    (run,) = (tmp_path / "out" / "runs").iterdir()
    (training,) = request.trainings
    assert training.train.dev_hours < TrainConfig().dev_hours
    whole = replace(training, train=replace(training.train, dev_hours=TrainConfig().dev_hours))
    again = run_cell(replace(request, trainings=(whole,)))
    assert again.miss_counts == result.miss_counts and again.stored_threshold == result.stored_threshold
    (other,) = set((tmp_path / "out" / "runs").iterdir()) - {run}
    tensors = [load_model(folder).state_dict() for folder in (run, other)]
    for name, tensor in tensors[0].items():
        torch.testing.assert_close(tensor, tensors[1][name], rtol=0, atol=0)


TWO_CELLS = ("--set", "control=false", "--set", "recordings=[3]")
"""Trained in processes of their own, which takes seconds for each."""


@pytest.fixture(scope="module")
def finished(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of two choices, killed after its first cell and called again."""
    output = tmp_path_factory.mktemp("finished") / "out"
    words = ["study", str(recipe), "--output", str(output), "--jobs", "1", *TWO_CELLS]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen([sys.executable, "-m", "kws", *words], env=environment) as process:
        end = time.monotonic() + 1000
        while not list(output.glob("cells/*.json")):
            assert process.poll() is None and time.monotonic() < end
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    kept = {path: path.stat().st_mtime_ns for path in output.glob("cells/*.json")}
    assert len(kept) < 2
    assert main(words) == 0
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    return output


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_a_killed_study_goes_on_with_what_it_had(finished: Path):
    rows = rows_of(finished / "results.csv")
    assert [(row["choice"], row["recordings"]) for row in rows] == [("head", "3"), ("late", "3")]
    for row in rows:
        assert 0 <= int(row["missed, clean at 600/h"]) <= int(row["missed, clean at 60/h"]) <= 6
        assert float(row["train_s"]) > 0 and re.fullmatch("[0-9a-f]{12}", row["config_hash"])
    head, late = rows
    assert int(head["moving_parameters"]) < int(late["moving_parameters"])
    assert list((finished / "runs").iterdir()) == []
    assert "there is no control" in (finished / "study.html").read_text("utf-8")


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_two_dask_workers_give_the_same_table(recipe: Path, finished: Path, tmp_path: Path):
    distributed = pytest.importorskip("distributed")
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    words = ["study", str(recipe), "--output", str(tmp_path / "out"), *TWO_CELLS]
    with distributed.LocalCluster(**options) as cluster:
        assert main([*words, "--dask", cluster.scheduler_address]) == 0

    def told(folder: Path) -> list[dict[str, str]]:
        """Rows without times, and without the hash that holds the path of the folder."""
        left_out = ("train_s", "wall_s", "config_hash")
        rows = rows_of(folder / "results.csv")
        return [{key: value for key, value in row.items() if key not in left_out} for row in rows]

    assert told(tmp_path / "out") == told(finished)


def test_there_is_a_recipe_to_start_from():
    assert (resources.files("kws.recipes") / "study.yaml").is_file()


def test_what_a_cell_is_known_by_holds_the_defaults():
    def settings(policy: str, num_recordings: int, *overrides: str, **synthesis: int) -> dict[str, Any]:
        pairs = [f"train.transfer.policy={policy}", *overrides]
        model, training = read_settings(["tone"], read_overrides(None, pairs))
        return cell_settings(
            model, training.resolved(num_recordings)[0], num_recordings, Synthesis(**synthesis)
        )

    late = settings("late", 10)
    assert late["train"]["epochs"] == TrainConfig().num_epochs() == 4
    assert [settings("late", count)["train"]["epochs"] for count in (200, 400)] == [4, 8]
    assert settings("late", 5000)["train"]["epochs"] == 16
    batches = [settings("late", count)["train"]["batch"] for count in (10, 25)]
    assert [(batch["num_positives"], batch["num_negatives"]) for batch in batches] == [(12, 28), (24, 56)]
    assert settings("scratch", 10)["train"]["epochs"] == 16
    assert settings("scratch", 10, "train.epochs=5")["train"]["epochs"] == 5
    assert [settings("late", count)["synthesis"]["keyword"] for count in (0, 10)] == [600, 200]
    assert settings("late", 10, keyword=200) == late != settings("late", 10, keyword=100)
    assert settings("late", 10, "train.transfer.auto_table=table.yaml", "model.weights=here") == late
