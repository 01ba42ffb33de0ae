"""The words of a command: what is mistyped is named first, and at once."""

from __future__ import annotations

import logging
import subprocess
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

import pytest

from data_prep.corpora import available_corpora
from kws.cli import COMMANDS, READER_GONE, build_parser, known, main
from kws.counts import counted
from kws.encoders.registry import available_encoders
from kws.enrollment.methods import METHODS
from kws.heads import available_heads
from kws.transfer import AUTO, available_policies

ROOT = Path(__file__).parents[3]


def said(words: Sequence[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Return the first line that a command with a mistake prints; it ends with code 2."""
    try:
        code = main(words)
    except SystemExit as caught:
        code = caught.code
    printed = capsys.readouterr()
    assert code == 2 and printed.out == ""
    return printed.err.splitlines()[0]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "--ouput", "x"], "kws train: unknown option --ouput; did you mean --output?"),
        (["train", "--ouput=x"], "kws train: unknown option --ouput; did you mean --output?"),
        (["enroll", "hi", "-o", "x"], "kws enroll: unknown option -o; did you mean --o"),
        (["enroll", "hi", "-output", "x"], "kws enroll: unknown option -output; did you mean --output?"),
        (["eval", "--false_accepts", "1"], "kws eval: unknown option --false_accepts; did you mean --false-"),
        (["prep", "--synthesise"], "kws prep: unknown option --synthesise; did you mean --synthesize?"),
        (["bench", "--nothing-alike"], "kws bench: unknown option --nothing-alike"),
        (["--verison"], "kws: unknown option --verison; did you mean --version?"),
        (["train", "word", "--keyword", "a"], "kws train: the following arguments are"),
        (["bench", "--rounds", "two"], "kws bench: argument --rounds: invalid int value: 'two'"),
        (["prep", "--split", "tset"], "kws prep: argument --split: got 'tset', allowed: train"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_first_with_the_nearest_that_is_known(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
):
    assert said(words, capsys).startswith(message)


@pytest.mark.parametrize(
    ("command", "old", "new"), [("enroll", "--way", "--method"), ("enroll", "--beside", "--ensemble")]
)
def test_an_earlier_name_of_an_option_still_works(
    command: str, old: str, new: str, capsys: pytest.CaptureFixture[str]
):
    parser = build_parser(command)
    for words in ([old, "phones"], [f"{old}=phones"]):
        given = parser.parse_args([command, "a", "--output", "o", *words])
        assert str(getattr(given, new.removeprefix("--"))) == "phones"
        assert capsys.readouterr().err == f"note: {old} is now {new}\n"
    assert parser.parse_args([command, "--output", "o", "--", old]).keywords == [old]
    assert f" {old} " not in parser.commands[command].format_help()


def test_an_unknown_command_names_the_nearest(capsys: pytest.CaptureFixture[str]):
    line = said(["trian", "--output", "x"], capsys)
    assert line.startswith("kws: unknown command 'trian', allowed: quickstart, enroll,")
    assert line.endswith("; did you mean train?")
    assert said([], capsys).startswith("usage: kws ")


def test_surplus_words_are_named_and_what_looks_like_an_option_may_be_a_value(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    line = said(["listen", str(tmp_path), "hey", "robot"], capsys)
    assert line == "kws listen: got 'hey robot' too many; put what has spaces in quotes"
    parsed = build_parser("prep").parse_args(["prep", "--output", "x", "--seed", "-1", "--num-pos", "3"])
    assert (parsed.seed, parsed.num_positives) == (-1, 3)  # a negative number, and the start of an option
    parsed = build_parser("train").parse_args(
        ["train", "--k", "-x y", "--neg", str(tmp_path), "--output", "o"]
    )
    assert parsed.keywords == ["-x y"] and parsed.verbose is False
    assert build_parser("listen").parse_args(["listen", "m.onnx", "--verbose"]).verbose


def test_a_path_where_nothing_is_names_its_nearest_neighbor(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "recordings").mkdir()
    wrong = tmp_path / "recodings"
    assert said(["prep", str(wrong), "--output", str(tmp_path / "out")], capsys) == (
        f"kws prep: {wrong}: no such file or folder; give a folder of recordings, a manifest (.jsonl, .csv) "
        "or an audio file; did you mean recordings?"
    )


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--policy", "lat", "--policy: got 'lat', allowed: head, early, late, all, discriminative, gradual, "
         "surgical, adapters, scratch, auto; did you mean late?"),
        ("--head", "grue", "--head: got 'grue', allowed: attention, conv, cross_stitch, gru"),
        ("--encoder", "wavlm_bas", "and 30 more; did you mean wavlm_base?"),
    ],
)  # fmt: skip
def test_a_wrong_choice_names_the_nearest(
    option: str, value: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    words = ["train", "--keyword", "a", "--negatives", str(tmp_path), "--output", str(tmp_path / "run")]
    assert message in said([*words, option, value], capsys)
    assert not (tmp_path / "run").exists()


def test_the_names_are_those_of_the_registries():
    assert list(known.POLICIES) == [*available_policies(), AUTO]
    assert list(known.HEADS) == available_heads()
    assert list(known.ENCODERS) == available_encoders()
    assert list(known.CORPORA) == sorted(available_corpora())
    assert tuple(known.METHODS) == METHODS


MISTAKES = {
    "quickstart": [["--phrse", "x"], ["--seed", "one"]],
    "enroll": [
        ["a", "--output", "o", "--recordings", "gone"],
        ["a"],
        ["a", "--output", "o", "--method", "fones"],
    ],
    "prep": [["gone", "--output", "o"], ["--output", "o", "--corpus", "musn"], ["--output", "o"]],
    "data": [["fech"], ["fetch"], ["fetch", "mini_librispech"], ["list", "musan"], ["check", "gone"]],
    "voices": [["fech"], ["fetch"], ["fetch", "kokro"], ["say", "kokoro"]],
    "pretrain": [["gone.yaml", "--output", "o"], ["gone.yaml"]],
    "probe": [
        ["--keyword", "a", "--positives", "gone", "--negatives", "gone", "--output", "o"],
        ["--keyword", "a", "--positives", ".", "--negatives", ".", "--output", "o", "--encoder", "embeded"],
        ["--keyword", "a", "--keyword", "b", "--positives", ".", "--negatives", ".", "--output", "o"],
        ["--keyword", "a"],
    ],
    "train": [
        ["--keyword", "a", "--negatives", "gone", "--output", "o"],
        ["--keyword", "a", "--negatives", ".", "--output", "o", "--policy", "lat"],
        ["--keyword", "a", "--negatives", ".", "--output", "o", "--head", "gruu"],
        ["--keyword", "a", "--keyword", "b", "--positives", ".", "--negatives", ".", "--output", "o"],
        ["--keyword", "a", "--negatives", ".", "--output", "o", "--add-to", "gone"],
        ["--keyword", "a"],
        ["--keyword", "a", "--output", "o"],
    ],
    "eval": [["gone.onnx", "--positives", ".", "--negatives", "."], ["."], ["gone.onnx", "--split", "tset"]],
    "study": [["gone.yaml", "--output", "o"], ["gone.yaml"]],
    "export": [["gone"], []],
    "bench": [["gone.onnx"], ["--rounds", "many"]],
    "listen": [
        ["--treshold", "1"],
        [".", "--run", "no-such-program"],
        [".", "--refractory", "soon"],
        [".", "--patience", "many"],
    ],
    "record": [["computer", "--takes", "many"], ["computer", "--speeker", "ann"], []],
    "studio": [["--port", "many"], ["--porjects", "x"], ["surplus"]],
    "serve": [
        [],
        ["gone"],
        [".", "--uri", "10400"],
        [".", "--threshold", "a=b"],
        [".", "--refractory", "-1"],
        [".", "--max-threads", "0"],
        [".", "--metrics", "65536"],
        [".", "--log-format", "xml"],
    ],
    "score": [
        ["gone.onnx", "a.wav", "--output", "o"],
        [".", "--output", "o"],
        [".", "gone", "--output", "o"],
        ["."],
    ],
    "tune": [["gone.onnx", "--threshold", "0.5"], [".", "--threshold", "0.5"]],
    "doctor": [["gone.onnx"], ["."]],
    "web": [
        ["gone.onnx", "--output", "o"],
        [".", "--output", "o"],
        ["."],
        [".", "--output", "o", "--open", "-1"],
    ],
}
"""Command -> words with a plain mistake; every command gets an unknown option too."""


def test_no_plain_mistake_loads_torch(tmp_path: Path):
    assert MISTAKES.keys() == set(COMMANDS)
    calls = [[name, *words] for name, lists in MISTAKES.items() for words in [*lists, ["--no-such-option"]]]
    code = f"""
import sys
from kws.cli import main
heavy = ("torch", "librosa", "lhotse", "scipy", "matplotlib")
for words in {calls!r}:
    try:
        code = main(words)
    except SystemExit as error:
        code = error.code
    assert code == 2, (words, code)
    assert not set(heavy) & set(sys.modules), (words, set(heavy) & set(sys.modules))
import time
print(time.process_time())
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 3  # for all of them together


def test_what_libraries_tell_programmers_stays_off_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def run(arguments: object) -> int:
        for category in (FutureWarning, DeprecationWarning, UserWarning):
            warnings.warn_explicit("a notice", category, "somewhere.py", 1, "torch.somewhere")
        warnings.warn_explicit("of any module", FutureWarning, "elsewhere.py", 1, "elsewhere")
        for name in ("lightning.pytorch", "lightning.pytorch.utilities.rank_zero", "torch.onnx"):
            logging.getLogger(name).warning("a tip")
        return 0

    monkeypatch.setattr("kws.cli.prep.run", run)
    with warnings.catch_warnings(record=True) as shown:
        assert main(["prep", ".", "--output", "b"]) == 0
    assert shown == [] and capsys.readouterr().err == ""


@pytest.mark.parametrize("length", [10, 100_000])
def test_a_reader_that_has_gone_ends_a_command_quietly(length: int):
    code = f"""
import sys
from kws.cli import main, prep
prep.run = lambda arguments: print("x" * {length}) or 0
sys.exit(main(["prep", "--output", "x"]))
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
    ) as running:
        assert running.stdout is not None and running.stderr is not None
        running.stdout.close()  # before anything is printed, as `head -0` does
        assert running.stderr.read() == b""
        assert running.wait(30) == READER_GONE


@pytest.mark.parametrize(("number", "text"), [(0, "0 detections"), (1, "1 detection"), (2, "2 detections")])
def test_a_number_agrees_with_its_noun(number: int, text: str):
    assert counted(number, "detection") == text
    assert counted(number, "entry", "entries") == f"{number} {'entry' if number == 1 else 'entries'}"
