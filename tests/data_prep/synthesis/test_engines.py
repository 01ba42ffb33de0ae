"""The engines behind one interface, and the choice between them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from data_prep import manifests
from data_prep.synthesis import espeak, flite
from data_prep.synthesis.engines import ENGINES, choose, find
from data_prep.synthesis.flite import FliteVoice
from data_prep.synthesis.keyword import synthesize_keyword
from kws.errors import ConfigError, DependencyError
from tests.support.voices import write_kokoro

installed = pytest.mark.skipif(shutil.which("flite") is None, reason="the program flite is not installed")


@pytest.fixture
def no_flite(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flite.shutil, "which", lambda name: None)


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KWS_VOICES", str(tmp_path / "voices"))
    return tmp_path / "voices"


@pytest.mark.parametrize("name", ENGINES)
def test_each_engine_says_what_it_is_and_what_it_lacks(name: str, empty: Path, no_flite: None):
    engine = ENGINES[name]
    assert engine.name == name and engine.title and engine.license and engine.source
    assert all(voice.id.startswith(f"{name}:") for voice in engine.voices())
    assert all(voice.is_installed or voice.how for voice in engine.voices())
    assert engine.speakers("en") == []
    assert "`" in engine.lacking("en"), "the remedy is a command"


def test_espeak_says_the_same_bits_through_the_interface(empty: Path):
    said = ENGINES["espeak"].speak("hello", "en-gb+f2", 1.2)
    assert np.array_equal(said, espeak.speak("hello", espeak.Voice("en-gb", "f2", 198)))


@installed
def test_flite_says_the_same_bits_through_the_interface(empty: Path):
    said = ENGINES["flite"].speak("hello", "slt", 1.25)
    assert np.array_equal(said, FliteVoice("slt", stretch=0.8).speak("hello"))
    assert choose(None, "en").speakers == tuple(flite.flite_voices())
    assert choose(["flite:rms"], "en").speakers == tuple(flite.flite_voices(["rms"]))


def test_speeds_out_of_range_are_named(empty: Path):
    with pytest.raises(ConfigError, match="`speed` is 9, this voice speaks at 0.5 to 2 times"):
        ENGINES["kokoro"].speak("hello", "af_heart", 9)


def test_the_default_is_what_is_installed(empty: Path, no_flite: None):
    plain = choose(None, "en")
    assert (plain.names, plain.with_espeak, plain.speakers) == (("espeak",), True, ())
    assert plain.lacking == (
        "they need Flite: `apt install flite`, or they need Kokoro's files: `kws voices fetch kokoro`"
    )
    assert choose(None, "es").lacking == "they need Kokoro's files: `kws voices fetch kokoro`"
    write_kokoro(empty)
    natural = choose(None, "en")
    assert natural.names == ("espeak", "kokoro") and natural.sources == ["kokoro"]
    assert natural.told() == "eSpeak NG's and Kokoro's voices" and natural.lacking == ""
    assert choose(None, "de").names == ("espeak",)


def test_names_are_put_in_one_order(empty: Path):
    write_kokoro(empty)
    chosen = choose(["kokoro:bf_emma", "espeak", "kokoro:af_heart", "espeak"], "en")
    assert chosen.names == ("espeak", "kokoro:af_heart", "kokoro:bf_emma")
    assert {one.name for one in chosen.speakers} == {"af_heart", "bf_emma"}  # type: ignore[attr-defined]


@installed
def test_flite_comes_before_kokoro_unless_both_are_named(empty: Path):
    write_kokoro(empty)
    assert choose(None, "en").names == ("espeak", "flite")
    assert choose(None, "es").names == ("espeak", "kokoro")
    assert choose(["kokoro", "flite", "espeak"], "en").sources == ["kokoro", "flite"]


@pytest.mark.parametrize(
    ("names", "error", "message"),
    [
        (["kokro"], ConfigError, "no engine 'kokro', allowed are espeak, flite, .*did you mean kokoro"),
        (["espeak:en-gb"], ConfigError, "drawn from all of its variants; give espeak alone"),
        (["kokoro"], DependencyError, "no kokoro: they need Kokoro's files: `kws voices fetch kokoro`"),
        (["flite"], DependencyError, "no flite: they need Flite: `apt install flite`"),
        (["piper"], DependencyError, "no piper: "),
        (["kokoro:bob"], ConfigError, "'bob' is not one of Kokoro's"),
        ([], ConfigError, "none were named"),
    ],
)
def test_what_cannot_speak_is_refused(
    names: list[str], error: type[Exception], message: str, empty: Path, no_flite: None
):
    with pytest.raises(error, match=message):
        choose(names, "en")


def test_a_voice_is_found_by_its_engine():
    engine, voice = find("piper:en_US-joe-medium")
    assert (engine.name, voice) == ("piper", "en_US-joe-medium")


def test_engines_take_turns_and_held_out_voices_stay_so(empty: Path, tmp_path: Path):
    write_kokoro(empty)
    chosen = choose(["espeak", "kokoro"], "en")
    splits = {"train": 0.5, "test": 0.5}
    said, _ = synthesize_keyword(
        "hey robot", tmp_path / "two", 12, 0, splits=splits, speakers=chosen.speakers
    )
    rows = manifests.read(said)
    assert [row.source for row in rows] == ["espeak-ng", "kokoro"] * 6
    kokoro = {
        split: [r.speaker for r in rows if r.split == split and r.source == "kokoro"] for split in splits
    }
    names = {split: {one.id for one in chosen.speakers if one.split == split} for split in splits}
    assert all(set(kokoro[split]) <= names[split] for split in splits)
    said, _ = synthesize_keyword(
        "hey robot",
        tmp_path / "one",
        4,
        0,
        splits={"train": 1.0},
        speakers=chosen.speakers,
        with_espeak=False,
    )
    assert {row.source for row in manifests.read(said)} == {"kokoro"}
