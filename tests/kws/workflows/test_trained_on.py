"""What a model was trained on: by its own run, and by the runs that it was made of."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from kws.manifest import Recording
from kws.workflows.trained_on import trained_on
from tests.support.training import noise, write_manifest, write_wavs


def run_of(folder: Path, seed: int, **provenance: Any) -> Recording:
    """Write what is looked at in the folder of a run, and return the recording that it was trained on."""
    (path,) = write_wavs(folder / "audio", [noise(1.0, seed)])
    (folder / "data").mkdir()
    write_manifest(folder / "data" / "positives.jsonl", [{"path": path, "label": "tone"}])
    (folder / "config.yaml").write_text("model: {}")
    (folder / "provenance.json").write_text(json.dumps(provenance))
    return Recording(Path(path))


@pytest.mark.parametrize("key", ["added_to", "ensemble"])
def test_what_earlier_runs_were_trained_on_is_known(key: str, tmp_path: Path):
    oldest = run_of(tmp_path / "oldest", 1)
    named = {"run": str(tmp_path / "oldest"), "config_hash": "0"}
    older = run_of(tmp_path / "older", 2, added_to=named)
    own = run_of(tmp_path / "own", 3, **{key: {"run": str(tmp_path / "older"), "added_to": named}})
    (other,) = write_wavs(tmp_path / "other", [noise(1.0, 4)])
    known = trained_on(tmp_path / "own")
    assert known is not None
    assert [known(entry) for entry in (own, older, oldest, Recording(Path(other)))] == [
        True,
        True,
        True,
        False,
    ]
    shutil.rmtree(tmp_path / "older")  # what is gone cannot be told
    known = trained_on(tmp_path / "own")
    assert known is not None and known(own) and known(oldest)
    shutil.rmtree(tmp_path / "own" / "data")
    assert trained_on(tmp_path / "own") is None
