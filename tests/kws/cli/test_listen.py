"""`kws listen` as a person runs it: other terminals, pipes that never end, and what it says."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kws import audio
from kws.cli import main
from kws.cli.listen import Overflows
from tests.support.onnx_models import silence, tone, write_tone_model


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_tone_model(tmp_path / "model.onnx")


def kws_listen(*arguments: object, **settings) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "kws", "listen", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, timeout=60, **settings)


def test_a_terminal_that_cannot_show_the_keyword_gets_its_code_points(tmp_path: Path):
    model = write_tone_model(tmp_path / "model.onnx", {"小爱同学": 1000.0})
    audio.save(tmp_path / "one.wav", np.concatenate([silence(0.5), tone(1000, 0.5)]))
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252"}
    done = kws_listen(model, "--file", tmp_path / "one.wav", env=environment)
    assert done.returncode == 0
    assert rb"\u5c0f\u7231\u540c\u5b66" in done.stdout


RATE, WORD = 16_000, np.concatenate([silence(0.5), tone(1000, 0.4), silence(0.8)])


def as_bytes(waveform: np.ndarray) -> bytes:
    return np.round(waveform * 32_767).astype("<i2").tobytes()


def endless_header(channels: int = 1, size: int = 0xFFFFFFFF) -> bytes:
    form = struct.pack("<HHIIHH", 1, channels, RATE, 2 * channels * RATE, 2 * channels, 16)
    return (
        b"RIFF"
        + struct.pack("<I", size)
        + b"WAVEfmt "
        + struct.pack("<I", 16)
        + form
        + b"data\xff\xff\xff\xff"
    )


def started(*arguments: object) -> subprocess.Popen:
    command = [sys.executable, "-m", "kws", "listen", *map(str, arguments)]
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # a job that a shell runs in the background ignores Ctrl-C, and so would its children
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def test_what_is_piped_in_is_heard_while_it_goes_on_and_ends_at_ctrl_c(model: Path):
    listener = started(model, "--file", "-")
    try:
        listener.stdin.write(endless_header() + as_bytes(WORD))
        listener.stdin.flush()
        first = listener.stdout.readline()  # the pipe is still open: the line is there at once
        assert b"tone" in first
        listener.send_signal(signal.SIGINT)
        out, err = listener.communicate(timeout=20)
    finally:
        listener.kill()
        listener.wait()
    assert listener.returncode == 0, err
    assert b"1 detection in" in err and b"Traceback" not in err and out == b""


def test_raw_samples_and_a_named_pipe(model: Path, tmp_path: Path):
    two = np.stack([np.zeros_like(WORD), WORD], axis=1)
    done = kws_listen(
        model, "--file", "-", "--raw-rate", RATE, "--raw-channels", 2, "--channel", 2, input=as_bytes(two)
    )
    assert done.returncode == 0 and done.stdout.count(b"tone") == 1, done.stderr
    fifo = tmp_path / "sound"
    os.mkfifo(fifo)
    listener = started(model, "--file", fifo)
    fifo.write_bytes(endless_header() + as_bytes(np.concatenate([silence(0.5), tone(1000, 0.09)])))
    out, err = listener.communicate(timeout=30)
    assert listener.returncode == 0 and out.count(b"tone") == 1, err  # the end of the pipe is scored too
    assert b"1 detection in 0.6 s" in err


def test_what_cannot_be_listened_to_is_said_in_one_line(model: Path, tmp_path: Path):
    done = kws_listen(model, "--file", "-", stdin=subprocess.DEVNULL)
    assert done.returncode == 2
    assert b"standard input: no samples came" in done.stderr and b"Traceback" not in done.stderr
    done = kws_listen(tmp_path / "run", "--file", "-", input=b"")
    assert done.returncode == 2 and b"no such file" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--channel", "left"], "--channel left: expected a number from 1, or mix"),
        (["--channel", "0"], "--channel 0: expected"),
        (["--raw-channels", "2"], "give --raw-rate too"),
        (["--raw-rate", "0"], "--raw-rate 0: expected 1 or more"),
        (["--raw-rate", "16000", "--file", "x.wav"], "a raw format is that of a pipe"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(model: Path, arguments: list[str], message: str, capsys):
    assert main(["listen", str(model), *arguments]) == 2
    assert message in capsys.readouterr().err


def test_no_microphone_is_said_with_what_to_do(monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.setattr("kws.listening.list_devices", list)
    assert main(["listen", "--list-devices"]) == 1
    printed = capsys.readouterr()
    assert printed.out == "" and "no microphone was found; plug one in" in printed.err


def test_a_run_of_lost_audio_is_two_lines():
    overflows = Overflows()
    told = [line for step in range(400) for line in overflows.told(min(step // 2, 50), step * 0.1)]
    assert told == [
        "audio is lost; is the processor busy?",
        "audio lost 50 times from 0:00:00.20 to 0:00:10.00",
    ]
    assert overflows.told(51, 60.0) == ["audio is lost; is the processor busy?"]
