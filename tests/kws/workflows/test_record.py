"""A session of recording: takes are checked, decided on, kept at once, and gone on with later."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kws import audio
from kws.audio import SAMPLE_RATE
from kws.cli.record import next_command
from kws.errors import AudioError, ConfigError
from kws.text import mentions
from kws.workflows import record as recording
from kws.workflows.reading import CHINESE, ENGLISH, FREE, reading_s, sentences
from kws.workflows.record import MOST_FAULTY, Decision, Guide, RecordSummary, Take, record, take_s
from kws.workflows.takes import TakeCheck
from tests.support.training import TINY, noise, one_thread, spoken, tiny_weights, two_steps_suffice


class LevelChecker:
    """Stands in for the check: silence is a fault, everything else is good."""

    notes = ("nothing is listened to",)

    def __init__(self, keyword: str, language: str) -> None:
        self.keyword = keyword

    def check(self, waveform: np.ndarray) -> TakeCheck:
        silent = float(np.abs(waveform).max()) < 0.1
        return TakeCheck("silent" if silent else "", "Nothing was heard." if silent else "", -20.0, 0.0, 1.0)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "TakeChecker", LevelChecker)


def voice(seconds: float, seed: int = 0) -> np.ndarray:
    """Return a room with a voice-like burst each second."""
    waveform = noise(seconds, seed, level=0.001)
    said = spoken(seed=seed)[: SAMPLE_RATE // 2]
    for start in range(0, len(waveform) - len(said), SAMPLE_RATE):
        waveform[start + 4000 : start + 4000 + len(said)] += said
    return np.clip(waveform, -1, 1)


def write(path: Path, *pieces: np.ndarray) -> Path:
    audio.save(path, np.concatenate(pieces))
    return path


class Decider(Guide):
    """Decides as it is told, and remembers what it was shown."""

    def __init__(self, *decisions: Decision) -> None:
        super().__init__()
        self.decisions: Iterator[Decision] = iter(decisions)
        self.shown: list[str] = []
        self.counted: list[int] = []
        self.shares: list[float] = []

    def begins(self, part: str, text: str, number: int, wanted: int) -> None:
        self.shown.append(f"{part} {number}/{wanted} {text}".strip())

    def counts_down(self, left_s: int) -> None:
        self.counted.append(left_s)

    def hears(self, level: float, share: float) -> None:
        self.shares.append(share)

    def decides(self, take: Take) -> Decision:
        return next(self.decisions)

    def says(self, note: str) -> None:
        self.shown.append(note)


def test_good_takes_are_kept_others_repeated_and_the_countdown_is_not_in_them(tmp_path: Path):
    silence, takes = noise(2.5, level=0.001), [voice(2.5, seed) for seed in range(3)]
    second = np.zeros(SAMPLE_RATE, np.float32)
    pieces = [piece for take in (takes[0], silence, takes[1], takes[2]) for piece in (second, take)]
    file = write(tmp_path / "all.wav", *pieces)
    summary = record(
        "computer", tmp_path / "rec", speaker="ann", num_takes=3, file=file, countdown_s=1, length_s=2.5
    )
    assert (summary.takes, summary.num_new) == ({"ann": 3}, 3)
    assert summary.notes == LevelChecker.notes
    for number, take in enumerate(takes, 1):
        saved = audio.load(tmp_path / "rec" / "positives" / "ann" / f"{number:03d}.wav")
        np.testing.assert_allclose(saved, take, atol=1 / 32768)
    assert next_command(summary) == (
        f"kws record computer --output {tmp_path / 'rec'} --speaker ann --with-negatives --with-noise"
    )


def test_each_decision_does_what_it_says(tmp_path: Path):
    file = write(tmp_path / "all.wav", voice(5.0), noise(2.5, level=0.001), voice(10.0))
    guide = Decider("keep", "redo", "keep", "delete", "keep", "stop")
    summary = record(
        "computer", tmp_path / "rec", num_takes=5, file=file, countdown_s=0, length_s=2.5, guide=guide
    )
    names = sorted(path.name for path in (tmp_path / "rec" / "positives" / "me").iterdir())
    # 1 kept; 2 recorded again; 3, silent, kept anyway; 4 deleted; 5 kept; 6, good, kept before it was stopped
    assert names == ["001.wav", "002.wav", "003.wav", "004.wav"]
    kept_anyway = audio.load(tmp_path / "rec" / "positives" / "me" / "002.wav")
    assert np.abs(kept_anyway).max() < 0.01
    assert summary.takes == {"me": 4} and guide.shown[0] == "nothing is listened to"
    assert [line.split()[1] for line in guide.shown[1:]] == ["1/5", "2/5", "2/5", "3/5", "3/5", "4/5"]
    assert guide.counted == [0] * 6 and guide.shares[24] == 1.0


def test_a_session_goes_on_where_it_stopped_and_ctrl_c_loses_nothing(tmp_path: Path):
    file = write(tmp_path / "all.wav", voice(20.0))

    class Interrupted(Guide):
        def decides(self, take: Take) -> Decision:
            if take.number == 2:
                raise KeyboardInterrupt
            return "keep"

    with pytest.raises(KeyboardInterrupt):
        record("computer", tmp_path / "rec", file=file, countdown_s=0, guide=Interrupted())
    assert len(list((tmp_path / "rec" / "positives" / "me").glob("*.wav"))) == 2
    guide = Decider(*["keep"] * 9)
    summary = record("computer", tmp_path / "rec", num_takes=4, file=file, countdown_s=0, guide=guide)
    assert [line.split()[1] for line in guide.shown[1:]] == ["3/4", "4/4"]
    assert (summary.takes, summary.num_new) == ({"me": 4}, 2)
    again = record("computer", tmp_path / "rec", num_takes=4, file=file, countdown_s=0)
    assert (again.takes, again.num_new, again.notes) == ({"me": 4}, 0, ())


def test_a_minute_of_other_speech_and_of_noise_goes_on_too(tmp_path: Path):
    file = write(tmp_path / "all.wav", voice(65.0), noise(75.0, level=0.01))
    guide = Decider()
    summary = record(
        "computer",
        tmp_path / "rec",
        num_takes=0,
        negatives=True,
        noise=True,
        file=file,
        countdown_s=0,
        guide=guide,
    )
    assert 60 <= summary.negatives_s < 68 and summary.noise_s == pytest.approx(60)
    assert guide.shown[0].startswith("negatives 1/") and guide.shown[0].endswith(ENGLISH[0])
    assert guide.shown[-1] == "noise 6/6"
    first = tmp_path / "rec" / "noise" / "001.wav"
    first.unlink()
    guide = Decider()
    again = record(
        "computer", tmp_path / "rec", num_takes=0, noise=True, file=file, countdown_s=0, guide=guide
    )
    assert again.noise_s == pytest.approx(60) and guide.shown == ["noise 6/6"]


def test_what_cannot_go_on_stops_with_a_reason(tmp_path: Path):
    silence = write(tmp_path / "silence.wav", noise(30.0, level=0.001))
    with pytest.raises(AudioError, match=f"{MOST_FAULTY} takes in a row cannot be used.*Nothing was heard"):
        record("computer", tmp_path / "rec", file=silence, countdown_s=0, length_s=2.5)
    with pytest.raises(AudioError, match="no voice was heard"):
        long = write(tmp_path / "long.wav", noise(60.0, level=0.001))
        record("computer", tmp_path / "rec", num_takes=0, negatives=True, file=long, countdown_s=0)
    assert not list((tmp_path / "rec").rglob("*.wav"))
    short = write(tmp_path / "short.wav", voice(6.0))
    summary = record("computer", tmp_path / "rec", file=short, countdown_s=0, length_s=2.5)
    assert summary.takes == {"me": 2} and summary.notes[-1] == "the recording is over"
    for given, match in (
        ({"num_takes": -1}, "`num_takes`"),
        ({"countdown_s": 61}, "`countdown_s`"),
        ({"length_s": 0.5}, "`length_s`"),
        ({"file": short, "device": 1}, "choose one"),
    ):
        with pytest.raises(ConfigError, match=match):
            record("computer", tmp_path / "rec", **given)  # type: ignore[arg-type]


def test_sentences_do_not_say_the_keyword_and_last_as_long_as_they_need():
    for language, known in (("en-gb", ENGLISH), ("cmn", CHINESE)):
        assert sentences("xylophone", language) == list(known)
        assert sum(map(reading_s, known)) > 60
        assert all(4 <= reading_s(text) <= 9 for text in known)
    left = sentences("water", "en")
    assert len(left) == len(ENGLISH) - 1 and not any(mentions("water", text) for text in left)
    assert sentences("ordenador", "es") == [FREE]
    assert (
        take_s("hi") == 2.5 and 3 < take_s("hey big computer in there") < 5 and take_s("小爱同学小爱同学") > 4
    )


def test_the_next_command_is_quoted_and_says_the_language(tmp_path: Path):
    summary = RecordSummary("hey it's me", tmp_path / "my rec", {"ann": 10}, 10, 60.0, 60.0, "ann", "de")
    command = next_command(summary)
    assert command.startswith("""kws train --keyword 'hey it'"'"'s me' --positives '""")
    assert "--noise '" in command and "--language de" in command and "positives.jsonl" in command
    assert next_command(RecordSummary("a", tmp_path, {}, 0, 0, 0)).startswith("kws record a --output ")


@pytest.mark.slow
def test_training_takes_the_folder_as_it_is(tmp_path: Path):
    from kws.cli import build_parser
    from kws.workflows.train import train

    file = write(tmp_path / "all.wav", voice(25.0), voice(65.0, 1), noise(60.0, level=0.01))
    summary = record(
        "tone", tmp_path / "rec", negatives=True, noise=True, file=file, countdown_s=0, length_s=2.5
    )
    arguments = build_parser("train").parse_args(next_command(summary).split()[1:])
    tiny_weights(tmp_path / "encoder", replace(TINY, num_layers=6))
    with one_thread(), two_steps_suffice():
        made = train(
            arguments.keywords,
            arguments.positives,
            arguments.negatives,
            tmp_path / "run",
            noise=arguments.noise,
            overrides=[
                "train.epochs=1",
                "train.steps_per_epoch=2",
                f"model.weights={tmp_path / 'encoder'}",
            ],
            num_synthetic=0,
            num_workers=0,
        )
    assert made.run.is_dir() and not [note for note in made.notes if "name no speaker" in note]
