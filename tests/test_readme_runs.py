"""The commands of README.md and the guides run, on tiny data that stands in for the folders they name.

README.zh.md shows the same commands as README.md, which tests/test_readme.py holds.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from data_prep.synthesis.espeak import speak, voices
from kws import audio
from kws.cli import build_parser, main
from tests.support.texts import GUIDES, PROGRAM, README, REPOSITORY, shell_lines
from tests.support.training import (
    TINY,
    noise,
    one_thread,
    spoken,
    tiny_weights,
    two_steps_suffice,
    write_wavs,
)

TOO_HEAVY = {
    r"quickstart .*": "speaks for a minute; tests/kws/cli/test_commands.py runs it",
    r"pretrain kws/recipes/librispeech\.yaml .*": "a hundred hours of speech; tests/kws/pretraining pretrain",
    r"study kws/recipes/study\.yaml .*": "a grid of trainings; tests/kws/workflows/test_study.py runs one",
    r"train .*--encoder whisper_base .*": "fetches 145 MB; tests/kws/encoders hold every encoder",
    r"prep --corpus librispeech .*": "needs the corpus; tests/data_prep/test_corpora.py lays a small one out",
    r"listen (?!.*--file)(?!.*--list-devices).*": "hears a microphone; tests/kws/test_microphone.py has one",
    r"record .*": "hears a microphone; tests/kws/cli/test_record.py has one",
    r"probe .*": "fits every depth; tests/kws/workflows/test_probe.py does so",
    r"data (fetch|check).*": "needs the network; tests/kws/workflows/test_public_data.py has publishers",
    r"train (?!.*--negatives ).*": "takes what was fetched; tests/kws/workflows/test_public_data.py does so",
    r".*(kokoro|piper).*": "needs voices that are fetched; tests/kws/workflows/test_voices.py has one",
    r"export \S+ \S+ --output .*": "joins finished runs; tests/export/test_join.py does so",
    r"score .*--dask .*": "needs a cluster; tests/kws/workflows/test_score.py has one",
    r"tune .*--false-accepts-per-hour .*": "needs hours; tests/kws/workflows/test_tune.py has an evaluation",
    r"export .*--format microwakeword": "takes minutes; tests/kws/workflows/test_microcontroller.py does so",
    r"listen runs/speaker/microwakeword/.*": "needs that export; tests/kws/test_micro_detector.py hears one",
    r"(listen|eval) hey_jarvis\.json .*": "needs pymicro-wakeword; tests/kws/test_micro_detector.py runs one",
    r"serve .*": "serves until it is stopped; tests/kws/serve/test_guide.py does so",
    r"web .*": "needs what npm brings; tests/kws/web/test_web.py writes pages",
    r"listen .* --file -": "hears a pipe; tests/kws/test_pipe.py has one",
    r"studio.*": "serves until it is stopped; tests/kws/studio/test_browser.py opens it",
}
"""Commands that are not run -> why, and what runs them instead."""

SMALLER = {
    "train": "--set train.epochs=1 --set train.steps_per_epoch=2 --num-synthetic 0 --num-confusables 4 "
    "--workers 0 --overwrite",
    "enroll": "--set examples.num_voices=4 --set fit.iterations=2 --workers 1 --overwrite",
    "bench": "--seconds 0.5 --rounds 1",
    "eval": "--split all --overwrite",
    "prep": "--num-positives 24 --num-negatives 24 --workers 1 --overwrite",
}
"""What is added to a command, to be done soon."""


def shown() -> list[tuple[str, ...]]:
    """Return the words of each command in README and the guides once, in order."""
    found = {}
    for path in (README, *GUIDES):
        for line in shell_lines(path.read_text("utf-8")):
            if match := PROGRAM.match(line):
                found[tuple(shlex.split(match[1], comments=True))] = None
    return list(found)


def reason(words: tuple[str, ...]) -> str | None:
    """Return why a command is not run, or None."""
    text = " ".join(words)
    return next((why for pattern, why in TOO_HEAVY.items() if re.fullmatch(pattern, text)), None)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with all that the commands name, which they run in."""
    folder = tmp_path_factory.mktemp("commands")
    for name in ("test_recordings", "lights"):
        write_wavs(folder / name, [spoken(seed=len(name) + seed) for seed in range(6)])
    for name in ("recordings", "calls"):
        write_wavs(folder / name, [speak("hey robot", voice) for voice in voices(6, seed=len(name))])
    for name in ("speech", "test_speech"):
        write_wavs(folder / name, [noise(8, len(name) + seed) for seed in range(6)])
    for name in ("noise", "test_noise"):
        write_wavs(folder / name, [noise(2, len(name) + seed, 0.1) for seed in range(3)])
    audio.save(folder / "call.wav", spoken())
    tiny_weights(folder / "runs" / "encoder", replace(TINY, num_layers=6))
    study = folder / "runs" / "study" / "protocol.yaml"
    study.parent.mkdir()
    study.write_text("seed: 3\n", "utf-8")
    (folder / "kws").symlink_to(REPOSITORY / "kws")
    with pytest.MonkeyPatch.context() as patch, one_thread(), two_steps_suffice():
        patch.chdir(folder)
        yield folder


@pytest.mark.slow
@pytest.mark.parametrize(
    "words", [pytest.param(words, id=" ".join(words)) for words in shown() if reason(words) is None]
)
def test_a_command_of_the_texts_runs(words: tuple[str, ...], place: Path, capsys: pytest.CaptureFixture[str]):
    smaller = shlex.split(SMALLER.get(words[0], ""))
    code = main([*words, *smaller])
    printed = capsys.readouterr()
    # where there is no microphone, a list of them ends with 1
    assert code == 0 or (code == 1 and "--list-devices" in words), printed.err
    assert printed.out or "--list-devices" in words or words[0] == "listen"


def test_what_is_not_run_is_said_with_the_reason_and_shown_somewhere():
    left = {pattern for pattern in TOO_HEAVY if any(re.fullmatch(pattern, " ".join(w)) for w in shown())}
    assert left == set(TOO_HEAVY)
    run = {words[0] for words in shown() if reason(words) is None}
    making, using = (
        {"enroll", "train", "export", "prep", "voices", "data"},
        {"listen", "eval", "bench", "score"},
    )
    assert run == {*making, *using, "tune", "doctor"}
    for name in re.findall(r"tests/[\w/]+(?:\.py)?", " ".join(TOO_HEAVY.values())):
        assert (REPOSITORY / name).exists(), name


def test_what_is_added_to_a_command_is_of_that_command():
    for command, words in SMALLER.items():
        flags = build_parser(command).commands[command].flags
        assert {word for word in shlex.split(words) if word.startswith("--")} <= flags
