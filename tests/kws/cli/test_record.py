"""`kws record`: what it prints, its keys, and a session at a terminal with a microphone that hears a take."""

from __future__ import annotations

import io
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from kws import audio, microphone
from kws.cli import main, record_guide
from kws.cli.record_guide import KeyGuide
from kws.errors import AudioError
from kws.workflows import record as recording
from kws.workflows.record import Take
from kws.workflows.takes import TakeCheck
from tests.kws.workflows.test_record import LevelChecker, voice, write
from tests.kws.workflows.test_takes import take
from tests.support.rooms import room
from tests.support.training import noise

REPOSITORY = Path(__file__).parents[3]
GOOD, SILENT = TakeCheck("", "", -20.0, 0.5, 1.0), TakeCheck("silent", "Nothing was heard.", -70.0, 0.0, 0.0)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "TakeChecker", LevelChecker)


def test_a_session_prints_each_take_and_how_to_go_on(
    quick: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    file = write(tmp_path / "all.wav", voice(2.5), noise(2.5, level=0.001), voice(2.5))
    output = tmp_path / "rec"
    words = ["record", "hey computer", "--output", str(output), "--speaker", "Ann B", "--countdown", "0"]
    assert main([*words, "--takes", "2", "--length", "2.5", "--file", str(file)]) == 0
    printed = capsys.readouterr()
    assert printed.err.splitlines() == [
        "note: nothing is listened to",
        "take 1 of 2: say 'hey computer'",
        "  good (-20 dB)",
        "take 2 of 2: say 'hey computer'",
        "  silent: Nothing was heard.",
        "take 2 of 2: say 'hey computer'",
        "  good (-20 dB)",
    ]
    assert printed.out.splitlines() == [
        f"{output}: 2 takes of 'hey computer' (Ann_B 2), 0 s of other speech, 0 s of noise",
        f"next: kws record 'hey computer' --output {output} --speaker Ann_B --with-negatives --with-noise",
    ]


def test_ctrl_c_tells_what_is_kept(
    quick: None, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    def interrupted(self: object, take: Take) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("kws.cli.record_guide.LineGuide.decides", interrupted)
    file = write(tmp_path / "all.wav", voice(5.0))
    words = ["record", "computer", "--output", str(tmp_path / "rec"), "--file", str(file)]
    assert main([*words, "--countdown", "0"]) == 130
    assert ": 1 take of 'computer' (me 1)" in capsys.readouterr().out


def test_wrong_arguments_are_named_as_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for words, said in (
        (["--takes", "-1"], "--takes: got -1, allowed: 0 to 1000"),
        (["--countdown", "99"], "--countdown: got 99"),
        (["--speaker", "…"], "--speaker '…': has no letter"),
        (["--file", str(tmp_path / "none.wav")], "none.wav"),
    ):
        assert main(["record", "computer", "--output", str(tmp_path / "rec"), *words]) == 2
        assert said in capsys.readouterr().err


def test_keys_decide(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    played: list[int] = []

    def play(waveform: np.ndarray) -> None:
        played.append(len(waveform))
        if len(played) > 1:
            raise AudioError("nothing can be played here")

    monkeypatch.setattr(microphone, "play", play)
    guide, waveform = KeyGuide(), np.zeros(16_000, np.float32)
    for keys, check, decision in (
        (["\n"], GOOD, "keep"),
        (["\n"], SILENT, "redo"),
        (["x", "\x1b[D", "r"], GOOD, "redo"),
        (["K"], SILENT, "keep"),
        (["p", "d"], GOOD, "delete"),
        (["p", "q"], SILENT, "stop"),
        (["\x04"], GOOD, "stop"),
        ([""], GOOD, "stop"),
    ):
        pressed = iter(keys)
        monkeypatch.setattr(record_guide, "read_key", lambda ask, pressed=pressed: next(pressed))
        assert guide.decides(Take(1, waveform, check, None)) == decision, keys
        assert next(pressed, None) is None
    assert played == [16_000, 16_000]
    assert "nothing can be played here" in capsys.readouterr().err


def test_a_key_is_read_as_it_is_pressed_and_an_arrow_is_no_letter(monkeypatch: pytest.MonkeyPatch):
    master, slave = pty.openpty()
    try:
        monkeypatch.setattr(sys, "stdin", os.fdopen(slave, "r", closefd=False))
        for pressed in (b"q", b"\x1b[D"):
            os.write(master, b"too early\n")
            time.sleep(0.1)  # until the kernel has carried it over
            before = termios.tcgetattr(slave)
            key = record_guide.read_key(lambda pressed=pressed: os.write(master, pressed))
            assert key == pressed.decode()
            assert termios.tcgetattr(slave) == before
    finally:
        os.close(master)
        os.close(slave)


def test_playing_where_there_is_no_speaker_says_so(monkeypatch: pytest.MonkeyPatch):
    class PortAudioError(Exception):
        pass

    def fail(waveform: np.ndarray, rate_hz: int) -> None:
        raise PortAudioError("no default output")

    module = SimpleNamespace(play=fail, wait=lambda: None, PortAudioError=PortAudioError)
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    with pytest.raises(AudioError, match="nothing can be played here .no default output."):
        microphone.play(np.zeros(100, np.float32))


def read_until(master: int, wanted: str, limit_s: float = 60.0) -> str:
    """Return what a terminal shows up to a text."""
    shown, end = io.StringIO(), time.monotonic() + limit_s
    while time.monotonic() < end:
        if select.select([master], [], [], 0.2)[0]:
            try:
                shown.write(os.read(master, 4096).decode(errors="replace"))
            except OSError:
                break
        if wanted in shown.getvalue():
            return shown.getvalue()
    raise AssertionError(f"{wanted!r} was not shown: {shown.getvalue()[-500:]!r}")


@pytest.mark.slow
def test_a_session_at_a_terminal_with_a_microphone(tmp_path: Path):
    said = take("computer")[: 16_000 * 2]
    audio.save(tmp_path / "said.wav", said)
    output = tmp_path / "rec"
    with room(tmp_path / "pulse") as environment:
        master, slave = pty.openpty()
        words = ["record", "computer", "--output", str(output), "--takes", "3", "--countdown", "1"]
        environment = {**environment, "PYTHONPATH": str(REPOSITORY), "COLUMNS": "100"}
        session = subprocess.Popen(
            [sys.executable, "-m", "kws", *words],
            stdin=slave,
            stderr=slave,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
            # a run in the background ignores SIGINT, and what it starts as well
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        try:
            read_until(master, "speak now")
            subprocess.run(["paplay", tmp_path / "said.wav"], env=environment, check=True)
            assert "good (" in read_until(master, "q: stop")
            assert audio.duration_s(output / "positives" / "me" / "001.wav") == 2.5
            os.write(master, b"\n")
            assert "silent: " in read_until(master, "q: stop")  # nobody speaks
            assert not (output / "positives" / "me" / "002.wav").exists()
            session.send_signal(signal.SIGINT)  # as Ctrl+C does
            printed = session.communicate(timeout=30)[0]
        finally:
            session.kill()
            os.close(master)
            os.close(slave)
    assert ": 1 take of 'computer' (me 1)" in printed and "next: kws record" in printed
    start = audio.load(output / "positives" / "me" / "001.wav")
    assert np.abs(start).max() > 0.1


def test_a_device_without_training_packages_records_and_says_what_is_not_checked(tmp_path: Path):
    file = write(tmp_path / "all.wav", voice(2.5), noise(2.5, level=0.001), voice(5.0))
    code = (
        "import sys\n"
        "for name in ('torch', 'scipy', 'lhotse', 'espeakng_loader', 'soxr', 'yaml', 'joblib', 'tqdm'):\n"
        "    sys.modules[name] = None\n"
        "from kws.cli import main\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    words = ["record", "computer", "--output", str(tmp_path / "rec"), "--takes", "2", "--length", "2.5"]
    done = subprocess.run(
        [sys.executable, "-c", code, *words, "--countdown", "0", "--file", str(file)],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
    )
    assert done.returncode == 0, done.stderr
    assert "not checked, only how loud and whole it is" in done.stderr and "kws[" in done.stderr
    assert "silent: Nothing was heard" in done.stderr and "2 takes of 'computer'" in done.stdout
