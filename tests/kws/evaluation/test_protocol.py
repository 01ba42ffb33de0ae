"""The one test protocol: what it holds, that every command counts by it, and that no other one exists."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from kws import audio
from kws.cli import main
from kws.config import to_dict
from kws.decisions import DecisionConfig
from kws.detector import Detector
from kws.errors import ConfigError
from kws.evaluation.protocol import TestProtocol, changed_protocol
from kws.studies.held_out import load_test_audio
from kws.studies.recipe import load_study
from kws.studies.scoring import detector_scores
from kws.workflows.study.data import clips_name, read_data
from tests.support.onnx_models import silence, tone, write_tone_model

ROOT = Path(__file__).parents[3]
RATES = (60.0, 300.0)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight calls of a tone, from clear to faint, six recordings that hold it too, noise, and a recipe."""
    folder, rng = tmp_path_factory.mktemp("protocol"), np.random.default_rng(3)

    def save(name: str, waveform: np.ndarray) -> None:
        audio.save(folder / name, waveform + rng.normal(0, 1e-3, len(waveform)).astype(np.float32))

    for number, level in enumerate(np.geomspace(0.5, 0.02, 8)):
        save(f"tone/{number}.wav", np.concatenate([silence(0.6), tone(1000, 0.5, level), silence(0.3)]))
    for number in range(6):
        heard = tone(1000, 0.3, 0.03 * number + 0.01)
        save(f"speech/{number}.wav", np.concatenate([silence(4), heard, silence(3)]))
    save("noise/hiss.wav", rng.normal(0, 0.1, 48_000).astype(np.float32))
    recipe = {
        "keywords": [{"keyword": "tone", "train": ["tone"], "test": ["tone"]}],
        "negatives": ["speech"],
        "test_negatives": ["speech"],
        "test_noise": ["noise"],
        "recordings": [3],
        "rates": list(RATES),
        "compared_at": RATES[0],
        "choices": {"head": {"policy": "head"}},
        "protocol": {
            "conditions": {"clean": {}, "noise": {"snr_db": 0.0}, "room": {"room": True, "snr_db": 10.0}},
            "copies": {"fast": {"speed": 0.15}, "noise": {"snr_db": 5.0}},
            "num_rooms": 2,
            "smoothing_frames": 3,
            "seed": 5,
        },
    }
    (folder / "study.yaml").write_text(yaml.safe_dump(recipe))
    write_tone_model(folder / "tone.onnx")
    return folder


def test_kws_eval_counts_what_a_cell_of_a_study_counts(place: Path, tmp_path: Path):
    config = load_study(place / "study.yaml")
    data = read_data(config, place, tmp_path)
    test = load_test_audio(data.test, clips_name("tone"))
    model = place / "tone.onnx"
    cell = detector_scores(model, test, "tone").misses(test, RATES, Detector(model).decision_config)
    (tmp_path / "protocol.yaml").write_text(yaml.safe_dump(to_dict(config.protocol)))
    words = ["eval", str(model), "--positives", str(place / "tone"), "--negatives", str(place / "speech")]
    words += ["--noise", str(place / "noise"), "--protocol", str(tmp_path / "protocol.yaml")]
    words += ["--false-accepts-per-hour", *map(str, RATES), "--output", str(tmp_path / "report")]
    assert main(words) == 0
    found = json.loads((tmp_path / "report" / "evaluation.json").read_text())
    assert found["protocol"] == to_dict(config.protocol)
    assert (found["negative_hours"], found["original_hours"]) == (test.hours, test.original_hours)
    missed = []
    for point in found["keywords"][0]["operating"][1:]:
        groups = {group["value"]: group["misses"] for group in point["groups"]}
        for name, misses in {"clean": point["misses"], **groups}.items():
            count = cell[name][point["target_per_hour"]]
            assert (misses["events"], misses["trials"]) == (len(count.missed), count.clips)
            accepts = point["false_accepts"]["events"]
            assert (point["threshold"], accepts) == (count.threshold, count.false_accepts)
            missed.append(len(count.missed))
    assert len(missed) == 6 and len(set(missed)) > 2 and 0 < max(missed) <= 8  # the figures tell them apart
    page = (tmp_path / "report" / "report.html").read_text()
    assert config.protocol.told() in page


def test_another_protocol_is_another_hash_and_is_told():
    protocol = TestProtocol()
    for change in (
        {"lead_s": 1.0},
        {"seed": 21},
        {"copies": {"fast": {"speed": 0.1}}},
        {"refractory_s": 2.0},
        {"patience": 1},
    ):
        assert replace(protocol, **change).hash != protocol.hash == TestProtocol().hash
    assert protocol.without_noise().hash == "ca493f6e3a39", "results that are told keep their protocol"
    assert protocol.told().startswith(f"{protocol.hash}: 3 s before and 1 s after each clip")


def test_the_file_decides_unless_the_protocol_does():
    stored = DecisionConfig((0.3,), smoothing_frames=4, refractory_s=0.5)
    assert TestProtocol().decided(stored) == stored
    assert TestProtocol(refractory_s=2.0).decided(stored) == replace(stored, refractory_s=2.0)
    assert TestProtocol(patience=2).decided(stored) == replace(stored, patience=2)
    with pytest.raises(ConfigError, match="patience: got 0"):
        TestProtocol(patience=0)


def test_a_protocol_is_a_file_with_changes(tmp_path: Path):
    (tmp_path / "p.yaml").write_text("seed: 3\ntail_s: 2")
    assert changed_protocol(tmp_path / "p.yaml", {"seed": 4}) == TestProtocol(seed=4, tail_s=2.0)
    assert changed_protocol(None, {}) == TestProtocol()
    with pytest.raises(ConfigError, match="unknown key `lead`; did you mean `lead_s`"):
        changed_protocol(None, {"lead": 3})
    with pytest.raises(ConfigError, match="protocol.tail_s: got 99, allowed: 0 to 60 seconds"):
        TestProtocol(tail_s=99)


def test_without_noise_what_needs_none_is_left():
    protocol = TestProtocol(copies={"fast": {"speed": 0.1}, "noise": {"snr_db": 3}}).without_noise()
    assert (list(protocol.conditions), list(protocol.copies)) == (["clean"], ["fast"])


def trees() -> Iterator[tuple[str, ast.Module]]:
    for package in ("kws", "data_prep", "export", "benchmarks", "examples"):
        for path in sorted((ROOT / package).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text("utf-8"))


def importers(module: str, name: str) -> set[str]:
    """Return the files that import a name of a module."""
    return {
        path
        for path, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == module
        if any(alias.name == name for alias in node.names)
    }


def definers(*names: str) -> set[str]:
    """Return the files that define a function or class of these, or set one of the constants of old."""
    return {
        path
        for path, tree in trees()
        for node in ast.walk(tree)
        if (isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name in names)
        or (
            isinstance(node, ast.Assign)
            and {getattr(target, "id", None) for target in node.targets} & {"LEAD_S", "EARLY_S"}
        )
    }


def test_there_is_one_protocol():
    conditions, metrics = "data_prep.conditions", "kws.evaluation.metrics"
    # noise and rooms are mixed into test audio in one place; the other is training audio of a study's choice
    mixers = importers(conditions, "condition_chain")
    assert mixers == {"kws/workflows/protocol_audio.py", "benchmarks/study_data.py"}
    assert importers(conditions, "render") == {"kws/workflows/protocol_audio.py"}
    # one function says what hits, and modules beside it alone call it
    assert importers(metrics, "hits") == {f"kws/evaluation/{n}.py" for n in ("examples", "misses", "parts")}
    assert definers("hits", "missed_clips") == {
        "kws/evaluation/metrics.py",
        "kws/evaluation/misses.py",
    }
    assert definers("TestProtocol", "LEAD_S", "EARLY_S", "hit_from_s") == {
        "kws/evaluation/protocol.py",
        "kws/studies/held_out.py",
    }


def test_every_recipe_of_the_benchmarks_has_the_same_protocol():
    studies = [
        path for path in (ROOT / "benchmarks").glob("*.yaml") if "keywords:" in path.read_text("utf-8")
    ]
    assert len(studies) >= 3 and len({load_study(path).protocol.hash for path in studies}) == 1
