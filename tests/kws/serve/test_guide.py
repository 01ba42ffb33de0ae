"""Each `kws serve` of README and the guides serves, and ends well."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

import pytest

from kws.cli import build_parser
from tests.support.onnx_models import write_tone_model
from tests.support.texts import GUIDES, PROGRAM, README, shell_lines
from tests.support.wyoming_clients import RunningService

SHOWN = sorted(
    {
        found[1]
        for path in (README, *GUIDES)
        for line in shell_lines(path.read_text("utf-8"))
        if (found := PROGRAM.match(line)) and found[1].startswith("serve ")
    }
)


def words_of(command: str) -> list[str]:
    """Return the words of a command, at a free place: the fixed port may be another service's."""
    words = shlex.split(command, comments=True)
    arguments = build_parser("serve").parse_args(words)
    if arguments.uri.startswith("tcp:"):
        words += ["--uri", "tcp://127.0.0.1:0"]
    if arguments.metrics_port is not None:
        words += ["--metrics", "0"]
    return words


@pytest.mark.slow
@pytest.mark.parametrize(
    "command", [command for command in SHOWN if not {"--check", "--zeroconf"} & set(command.split())]
)
def test_a_command_of_the_texts_serves(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for path in (tmp_path / "models" / "hey_robot.onnx", tmp_path / "runs" / "robot" / "model.onnx"):
        path.parent.mkdir(parents=True)
        write_tone_model(path, {"hey robot": 500.0})
    words = [word.replace("/tmp/", f"{tmp_path}/") for word in words_of(command)]
    full = [sys.executable, "-m", "kws", *words, "--log-format", "json"]
    service = RunningService(command=full, environment={"PYTHONPATH": os.pathsep.join(sys.path)})
    try:
        assert service.wait_for("serving")["models"] == ["hey robot"]
    finally:
        assert service.stop() == 0


def test_the_guide_shows_a_check_an_announcement_and_a_socket():
    joined = " ".join(SHOWN)
    assert {"--check", "--zeroconf", "--metrics", "--threshold"} <= set(
        joined.split()
    ) and "unix:///" in joined
