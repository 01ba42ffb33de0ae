"""A program started on each detection, and the line of JSON: what both say, and failures."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest

from kws import audio
from kws.decisions import Detection
from kws.detection_program import DetectionProgram, json_line
from kws.errors import ConfigError
from tests.support.onnx_models import silence, tone, write_tone_model
from tests.support.rooms import wait_for

HEARD = Detection("小爱 é", 0.98765432, 12.3456, 300)


def told(path: Path) -> str:
    assert wait_for(path.is_file, 10)
    time.sleep(0.05)
    return path.read_text("utf-8")


@pytest.fixture
def python(monkeypatch: pytest.MonkeyPatch) -> str:
    """This Python as a word of a command."""
    monkeypatch.setenv("PYTHONUTF8", "1")
    return sys.executable


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Path]:
    """A file that programs wait for: so they run as long as the test wishes, and no longer than it."""
    yield tmp_path / "gate"
    (tmp_path / "gate").touch()


def is_now(text: str) -> bool:
    at = datetime.fromisoformat(text)
    return at.tzinfo is not None and abs(datetime.now(timezone.utc) - at) < timedelta(seconds=30)


def test_a_program_is_told_what_was_heard_and_no_shell_reads_its_words(python: str, tmp_path: Path):
    script, result = tmp_path / "a b.py", tmp_path / "told.json"
    script.write_text(
        "import json, os, sys\nfrom pathlib import Path\n"
        "heard = {name: value for name, value in os.environ.items() if name.startswith('KWS_')}\n"
        "part = Path(sys.argv[1] + '.part')\n"
        "part.write_text(json.dumps([heard, sys.argv[2:], sys.stdin.read()]))\npart.rename(sys.argv[1])\n"
    )
    program = DetectionProgram(f"{python} '{script}' '{result}' $HOME '*' \"two words\" ; && echo")
    assert program.start(HEARD) is None
    heard, words, typed = json.loads(told(result))
    assert is_now(heard.pop("KWS_TIME"))
    expected = {"KWS_KEYWORD": "小爱 é", "KWS_SCORE": "0.987654", "KWS_TIME_S": "12.346"}
    assert expected.items() <= heard.items()
    assert words == ["$HOME", "*", "two words", ";", "&&", "echo"] and typed == ""


def test_what_it_prints_is_no_detection(python: str, tmp_path: Path):
    code = (
        "from kws.decisions import Detection\nfrom kws.detection_program import DetectionProgram\n"
        f"DetectionProgram('''{python} -c \"print(7)\"''').start(Detection('a', 1.0, 1.0, 1))\n"
        "import time; time.sleep(1)"
    )
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr.strip()) == ("", "7")


def test_no_more_run_than_may_and_none_is_waited_for(python: str, gate: Path):
    wait = f"import os, time\nwhile not os.path.exists('{gate}'): time.sleep(0.02)"
    program = DetectionProgram(f'{python} -c "{wait}"', max_running=2)
    begin = time.monotonic()
    said = [program.start(HEARD) for _ in range(4)]
    assert time.monotonic() - begin < 5
    assert said == [
        None,
        None,
        *["2 programs of earlier detections still run; none is started for 小爱 é"] * 2,
    ]
    gate.touch()
    assert wait_for(lambda: program.start(HEARD) is None, 10)  # their places are free again


def test_a_start_that_fails_is_said(tmp_path: Path):
    script = tmp_path / "bell"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    program = DetectionProgram(str(script))
    script.unlink()
    assert str(program.start(HEARD)).startswith(f"{script} could not be started for 小爱 é: ")
    program = DetectionProgram(f"{sys.executable} -c pass")
    assert "could not be started" in str(program.start(Detection("a\0b", 1.0, 1.0, 1)))


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("", "is empty; give a program"),
        ("bell 'ding", "No closing quotation"),
        ("no-such-program x", "there is no program 'no-such-program'"),
    ],
)
def test_a_command_that_is_none_is_refused(command: str, message: str):
    with pytest.raises(ConfigError, match=message):
        DetectionProgram(command)


def test_a_line_of_json():
    line = json_line(HEARD)
    heard = json.loads(line)
    assert "\n" not in line and is_now(heard.pop("time"))
    assert heard == {"keyword": "小爱 é", "score": 0.987654, "time_s": 12.346}


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    """How `kws listen` is called for a recording with two words, one of them twice within 0.7 s."""
    model = write_tone_model(tmp_path / "m.onnx", {"low": 500.0, "high": 2000.0}, refractory_s=1.0)
    low, high = tone(500, 0.2), tone(2000, 0.2)
    parts = [silence(0.5), low, silence(0.5), low, silence(1), high, silence(0.5), high, silence(0.5)]
    audio.save(tmp_path / "call.wav", np.concatenate(parts))
    return [sys.executable, "-m", "kws", "listen", str(model), "--file", str(tmp_path / "call.wav")]


def listened(words: list[str], *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*words, *more], capture_output=True, text=True, timeout=60)


def test_the_command_prints_json_and_nothing_else(words: list[str], tmp_path: Path):
    script = tmp_path / "told.py"
    script.write_text("import os\nprint('program', os.environ['KWS_KEYWORD'], flush=True)\n")
    done = listened(words, "--json", "--save", str(tmp_path / "saved"), "--run", f"{sys.executable} {script}")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["keyword"] for line in lines] == ["low", "high"]
    assert all(set(line) == {"keyword", "score", "time_s", "time"} for line in lines)
    assert "2 detections in" in done.stderr and done.stderr.count("saved ") == 2


def test_each_keyword_has_its_own_refractory_time(words: list[str]):
    def heard(*more: str) -> list[str]:
        done = listened(words, *more)
        assert done.returncode == 0, done.stderr
        return [line.split("  ")[1] for line in done.stdout.splitlines()]

    assert heard() == ["low", "high"]
    assert heard("--refractory", "low=0.3") == ["low", "low", "high"]
    assert heard("--refractory", "low=0.3", "--refractory", "high=0.3") == ["low", "low", "high", "high"]
    assert heard("--refractory", "0.3") == ["low", "low", "high", "high"]
    done = listened(words, "--refractory", "medium=0.3")
    assert done.returncode == 2 and "unknown keyword 'medium'" in done.stderr


def test_patience_hears_later_and_less(words: list[str]):
    def times(*more: str) -> list[float]:
        done = listened(words, "--json", *more)
        assert done.returncode == 0, done.stderr
        return [json.loads(line)["time_s"] for line in done.stdout.splitlines()]

    first, same, third = times(), times("--patience", "1"), times("--patience", "3")
    assert first == same
    assert np.subtract(third, first).round(3).tolist() == [0.08, 0.08]
    assert times("--patience", "12") == []  # a tone of 0.2 s is above the threshold for a few frames
    done = listened(words, "--patience", "0")
    assert done.returncode == 2 and "patience: got 0, expected 1 frame or more" in done.stderr
