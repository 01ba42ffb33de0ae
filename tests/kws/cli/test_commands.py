"""The command itself, `kws prep` and `kws quickstart`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from kws import Detector, audio
from kws.cli import COMMANDS, SPINS, build_parser, main
from kws.decisions import Detection
from kws.model import ModelConfig
from kws.training.config import TrainConfig
from kws.workflows.quickstart import QuickstartResult, join_stream
from tests.support.training import spoken, tone, write_wavs


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help(command: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])
    assert caught.value.code == 0 and f"usage: kws {command}" in capsys.readouterr().out


def test_help_states_defaults_that_hold(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "None" not in shown and "False" not in shown and "[]" not in shown
    assert "threads that read audio (default: 2)" in shown
    model, config = ModelConfig(("computer",)), TrainConfig()
    for start, value in (
        ("encoder layers to keep", model.depth),
        ("stacked on the encoder: attention, conv, cross_stitch, gru, linear, window", model.head),
        ("name of the pretrained encoder", model.encoder),
        ("adapters, scratch, auto", f"{config.transfer.policy}, by the number of recordings"),
        ("the threshold is chosen for it", config.decision.false_accepts_per_hour),
        ("seed of all that is drawn", config.seed),
    ):
        assert f"{start} (default: {value})" in shown


def test_help_is_quick_and_loads_no_training_package():
    code = (
        "import sys, kws.cli; kws.cli.build_parser(); print(sorted({'torch', 'librosa'} & set(sys.modules)))"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr


def test_waiting_threads_sleep_soon_unless_the_person_says_otherwise(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    with pytest.raises(SystemExit):
        main(["--help"])
    assert os.environ["GOMP_SPINCOUNT"] == "7"
    monkeypatch.delenv("GOMP_SPINCOUNT")
    with pytest.raises(SystemExit):
        main(["--help"])
    assert os.environ["GOMP_SPINCOUNT"] == SPINS


def test_an_unknown_command_or_option_is_refused(capsys: pytest.CaptureFixture[str]):
    for words in (["trian"], [], ["train", "--keywords", "a"], ["listen", "m.onnx", "--nonsense"]):
        with pytest.raises(SystemExit) as caught:
            build_parser().parse_args(words)
        assert caught.value.code == 2
    assert "nonsense" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "printed"),
    [
        (PermissionError(13, "Permission denied", "/a"), 2, "a file cannot be read or written: [Errno 13]"),
        (
            OSError("Could not load this library: /a/libtorchaudio.so"),
            2,
            'pip install --upgrade "kws[train]"',
        ),
        (ModuleNotFoundError("x", name="lhotse"), 2, 'needs lhotse: pip install "kws[train]"'),
        (KeyboardInterrupt(), 130, "kws prep: stopped"),
        (SystemExit(1), 143, "kws prep: stopped"),
    ],
)
def test_what_stops_a_command_is_said_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    code: int,
    printed: str,
):
    def fail(arguments: object) -> int:
        raise error

    monkeypatch.setattr("kws.cli.prep.run", fail)
    assert main(["prep", ".", "--output", "b"]) == code
    assert printed in capsys.readouterr().err


def test_ctrl_c_within_training_is_told_from_an_order_to_stop(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def fail(arguments: object) -> int:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            sys.exit(1)  # as Lightning does

    monkeypatch.setattr("kws.cli.prep.run", fail)
    assert main(["prep", ".", "--output", "b"]) == 130
    assert "kws prep: stopped" in capsys.readouterr().err


def test_an_error_of_the_program_is_not_hidden(monkeypatch: pytest.MonkeyPatch):
    def fail(arguments: object) -> int:
        raise ZeroDivisionError

    monkeypatch.setattr("kws.cli.prep.run", fail)
    with pytest.raises(ZeroDivisionError):
        main(["prep", ".", "--output", "b"])


def test_prep_writes_a_manifest_that_training_reads(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    write_wavs(tmp_path / "in", [spoken(seed=seed) for seed in range(5)])
    words = ["prep", str(tmp_path / "in"), "--output", str(tmp_path / "out"), "--label", "tone"]
    assert main([*words, "--test", "0.2", "--workers", "1"]) == 0
    printed = capsys.readouterr().out
    manifest = tmp_path / "out" / "manifest.jsonl"
    assert printed.splitlines()[-1] == str(manifest)
    rows = [json.loads(line) for line in manifest.read_text("utf-8").splitlines()]
    assert len(rows) == 5 and {row["label"] for row in rows} == {"tone"}
    assert {row["split"] for row in rows} <= {"train", "dev", "test"}
    assert all(row["duration_s"] == pytest.approx(0.9) for row in rows)


def test_prep_says_what_it_needs(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["prep", "--output", str(tmp_path)]) == 2
    assert "no recordings were named; give a folder" in capsys.readouterr().err
    assert main(["prep", str(tmp_path), "--corpus", "librispech", "--output", str(tmp_path / "out")]) == 2
    assert "librispech" in capsys.readouterr().err


def test_the_stream_of_the_quickstart_says_when_the_phrase_ends(tmp_path: Path):
    words = [np.pad(tone(0.5), (0, 3200)) for _ in range(3)]  # silence after it is not of the phrase
    others = [tone(0.3, 300) for _ in range(7)]
    path, ends_s = join_stream(words, others, tmp_path / "stream.wav")
    waveform = audio.load(path)
    assert len(ends_s) == 3 and len(waveform) > sum(map(len, [*words, *others]))
    for end_s in ends_s:
        end = round(end_s * audio.SAMPLE_RATE)
        assert np.abs(waveform[end - 4000 : end]).max() > 0.25 and not waveform[end + 400 : end + 8000].any()


def test_the_quickstart_tells_what_was_heard_when():
    def heard(*times_s: float) -> tuple[Detection, ...]:
        return tuple(Detection("hey you", 0.8, time_s, 0) for time_s in times_s)

    made = SimpleNamespace(model=Path("model.onnx"))
    times_s = heard(3.0, 5.3, 6.6, 14.6)
    result = QuickstartResult(cast(Any, made), Path("stream.wav"), (5.0, 10.0, 15.0), times_s)
    assert result.heard == 2 and [wrong.time_s for wrong in result.wrong] == [3.0, 6.6]
    assert result.lines() == [
        "  3.0 s  FIRED on other speech, score 0.80",
        "  5.0 s  the phrase ends: heard at   5.3 s, score 0.80",
        "  6.6 s  HEARD AGAIN as the next speech begins, score 0.80",
        " 10.0 s  the phrase ends: MISSED",
        " 15.0 s  the phrase ends: heard at  14.6 s, score 0.80",
        "heard: 2 of 3; heard again: 1; fired on other speech: 1",
    ]


@pytest.mark.slow
def test_the_quickstart_hands_over_the_typed_phrase_and_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr("data_prep.synthesis.flite.flite_voices", list)  # the phones alone: in seconds
    monkeypatch.setattr("kws.workflows.quickstart.STREAM_REPEATS", 3)
    words = ["quickstart", "--keyword", "hey robot", "--output", str(tmp_path)]
    assert main(words) == 0
    printed = capsys.readouterr().out
    model = tmp_path / "detector" / "model.onnx"
    assert Detector(model).keywords == ("hey robot",)
    steps = [line for line in printed.splitlines() if line[1:3] == "/3"]
    assert [line[:3] for line in steps] == ["1/3", "2/3", "3/3"]
    assert "hey robot: HH EY R OW B AA T" in printed and "SYNTHETIC" in printed
    assert printed.count("the phrase ends: ") == 3 and "false accepts/h" in printed
    last = printed.splitlines()[-6:]
    assert last[0].startswith("detector: ") and last[1] == f"listen with the microphone: kws listen {model}"
    train = (
        "kws train --keyword 'hey robot' --positives recordings --negatives speech --output runs/hey_robot"
    )
    assert [line.strip() for line in last[3:6]] == [
        train,
        "kws export runs/hey_robot",
        "kws listen runs/hey_robot/model.onnx",
    ]
    build_parser("train").parse_args(train.replace("'hey robot'", "hey").split()[1:])
