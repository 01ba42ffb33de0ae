"""The same commands on the same data give the same weights, to the last bit, in any process."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import pytest

from kws.workflows.enroll import enroll
from kws.workflows.train import train
from tests.support.training import SHORT, two_steps_suffice

REPOSITORY = Path(__file__).parents[3]
PROGRAM = (
    "import sys; from pathlib import Path; from tests.kws.workflows.test_same_bits import made\n"
    "import json; print(json.dumps(made(Path(sys.argv[1]), Path(sys.argv[2]))))"
)


def made(recordings: Path, output: Path) -> dict[str, str]:
    """Train with synthetic voices and enroll a phrase; return the hash of what each file holds."""
    encoder = recordings / "encoder"
    with two_steps_suffice(), patch("export.to_onnx.export", lambda run: run / "model.onnx"):
        train(
            ["tone"],
            [recordings / "tone"],
            [recordings / "speech"],
            output / "trained",
            noise=[recordings / "noise"],
            overrides=[*SHORT, f"model.weights={encoder}", "model.depth=2"],
            num_synthetic=12,
            num_confusables=4,
            num_workers=1,
        )
        enroll(
            ["zorb"],
            output / "enrolled",
            recordings=[recordings / "tone"],
            negatives=[recordings / "speech"],
            weights=encoder,
            method="phones",
            false_accepts_per_hour=300.0,
            num_workers=1,
        )
    files = [
        *output.glob("*/weights.safetensors"),
        *(path for path in output.rglob("*.flac") if "voices" in path.parts or "synthetic" in path.parts),
    ]
    return {
        str(path.relative_to(output)): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(files)
    }


@pytest.mark.slow
def test_two_processes_make_the_same_weights_of_the_same_data(recordings: Path, tmp_path: Path):
    other = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(recordings), str(tmp_path / "other")],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )
    assert other.returncode == 0, other.stderr
    here = made(recordings, tmp_path / "here")
    assert {"trained/weights.safetensors", "enrolled/weights.safetensors"} <= set(here)
    assert json.loads(other.stdout.splitlines()[-1]) == here
