"""`benchmarks/fuzz.py`: damaged files open or give an error of kws."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import fuzz
from kws.checkpoint import load_model
from kws.errors import AudioError, CheckpointError, ManifestError
from kws.json_text import parse_json
from kws.manifest import read_manifest
from tests.support.runs import write_run


@pytest.mark.slow
def test_damaged_files_open_or_are_refused():
    found = fuzz.fuzz(90, seed=3)
    assert [f"{each.name}: {each.said}" for each in found if not each.fine] == []
    assert sum(each.said != "ok" for each in found) > 40


@pytest.mark.parametrize(
    "mutate", dict.fromkeys((*fuzz.BINARY, *fuzz.TEXT)), ids=lambda mutate: mutate.__name__
)
def test_a_mutation_changes_the_file_and_is_drawn_from_its_seed(mutate: fuzz.Mutation):
    data = b'{"size": 12, "name": "a b c", "values": [1, 2, 3]} ' * 100
    made = [mutate(data, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert made[0] == made[1] and made[0] != data != made[2]


def test_what_dies_and_what_hangs_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fuzz, "WORKER", "import os, sys; sys.stdin.readline(); os.kill(os.getpid(), 9)")
    worker = fuzz._Worker()
    assert worker.ask(tmp_path / "a.onnx", "a.onnx") == "DIES with -9"
    monkeypatch.setattr(fuzz, "WORKER", "import time; time.sleep(100)")
    monkeypatch.setattr(fuzz, "LIMIT_S", 0.2)
    assert worker.ask(tmp_path / "a.onnx", "a.onnx").startswith("HANGS")
    worker.close()
    assert not fuzz.Outcome("a", "FOREIGN ValueError: x").fine and fuzz.Outcome("a", "ok").fine


def test_kinds_of_damage_that_were_not_refused(tmp_path: Path):
    manifest = tmp_path / "m.jsonl"
    manifest.write_text('{"path": ' + "[" * 100_000 + "\n")
    with pytest.raises(ManifestError, match=r"line 1: not valid JSON \(nested too deeply\)"):
        list(read_manifest(manifest))
    with pytest.raises(ValueError, match="nested too deeply"):
        parse_json("[" * 100_000)
    manifest.write_text('{"path": "' + "a" * 5000 + '.wav"}\n')
    with pytest.raises(AudioError, match="no such file can be there"):
        next(iter(read_manifest(manifest))).load()
    run = write_run(tmp_path / "run")
    config = (run / "config.yaml").read_text(encoding="utf-8")
    (run / "config.yaml").write_text(config.replace("dimension: ", "dimension: 99999999999"))
    with pytest.raises(CheckpointError, match=r"config\.yaml: no model can be built from it"):
        load_model(run)
