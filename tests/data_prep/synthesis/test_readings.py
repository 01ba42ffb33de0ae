"""What each engine says for a phrase: another word than eSpeak's is given to Flite as phones."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from data_prep import manifests
from data_prep.synthesis import flite
from data_prep.synthesis.flite import FliteVoice
from data_prep.synthesis.keyword import synthesize_keyword
from data_prep.synthesis.phrases import common_words
from data_prep.synthesis.readings import ESPEAK, FLITE, note, readings
from kws.cli import main
from kws.speech_span import TRAINING, speech_span

installed = pytest.mark.skipif(shutil.which("flite") is None, reason="the program flite is not installed")

MISREAD = {
    "café": "K AE F EY",
    "Zoë": "Z OW IY",
    "señor": "S EH N Y AO R",
    "hey_robot": "HH EY R OW B AA T",
    "hey AI": "HH EY EY AY",
    "über": "UW B ER",
    "IoT": "IY OW T IY",
    "naïve": "N AY IY V",
}
READ = ["computer", "hey computer", "jarvis", "hey robot", "what's up", "R2-D2", "NASA", "TV", "computer 2"]


@installed
@pytest.mark.parametrize(("phrase", "phones"), MISREAD.items())
def test_flite_gets_the_phones_of_what_it_misreads(phrase: str, phones: str):
    found = readings(phrase, engines=[FLITE])
    assert found[FLITE].ways == (phones,) and found[FLITE].said.startswith("[[")
    assert " ".join(flite.reading(phrase)) in found[FLITE].told()
    assert found[ESPEAK].said == phrase and phones in found[ESPEAK].ways


@installed
@pytest.mark.parametrize(
    "phrase", [*READ, "hey siri", "okay google", "hey Dr. Who", "good morning", "o'clock"]
)
def test_other_phrases_are_read_by_every_engine_itself(phrase: str):
    found = readings(phrase, engines=[FLITE])
    assert found[FLITE].said == found[ESPEAK].said == phrase and not found[FLITE].reason


@installed
def test_ordinary_words_are_rarely_another_word():
    words = common_words()[::160]
    changed = [word for word in words if readings(word, engines=[FLITE])[FLITE].reason]
    assert len(words) > 12 and len(changed) <= 1, changed


@installed
def test_flite_says_the_phones_that_it_is_given():
    def spoken(voice: FliteVoice, text: str) -> int:
        return np.subtract(*speech_span(voice.speak(text), TRAINING)[::-1])

    voice, said = FliteVoice("slt"), readings("café", engines=[FLITE])[FLITE].said
    assert 1.1 * spoken(voice, "café") < spoken(voice, said) < 2 * spoken(voice, "café")
    assert spoken(FliteVoice("slt", stretch=1.4), said) == pytest.approx(1.4 * spoken(voice, said), rel=0.15)
    between = f"please {said} now"  # not the letters of the mnemonics
    assert spoken(voice, between) == pytest.approx(spoken(voice, "please cafay now"), rel=0.3)


def test_a_lexicon_that_voices_cannot_follow_is_told():
    english = readings("gif", "en", {"GIF": ["JH", "IH", "F"]})[ESPEAK]
    assert english.ways == ("JH IH F",) and english.said == "[[dZ'If]]" and english.reason == "by the lexicon"
    german = readings("gif", "de", {"GIF": ["JH", "IH", "F"]})[ESPEAK]
    assert german.said == "gif" and german.ways[0].startswith("G") and "not by the lexicon" in german.told()


def test_a_few_samples_of_each_engine_say_in_their_names_what_is_heard(tmp_path: Path):
    class Whistle:
        id, language, pronunciation, split, source, name = (
            "whistle",
            "en",
            "en-us",
            "train",
            "flite",
            "whistle",
        )

        def speak(self, text: str) -> np.ndarray:
            return np.sin(np.arange(8000, dtype=np.float32)) * (0.5 if text.startswith("[[") else 0.1)

    whistles = [Whistle()] if shutil.which("flite") else []
    positives, _ = synthesize_keyword("café", tmp_path, 12, 0, splits={"train": 1.0}, speakers=whistles)
    said = {row.path.name: row.speaker for row in manifests.read(positives)}
    samples = sorted(path.name for path in (tmp_path / "samples").iterdir())
    assert len(said) == 12 and 2 <= len(samples) <= 8
    assert any(name.startswith("espeak-ng-en-us-K_AE_F_EY-") for name in samples)
    assert [name for name in samples if name.startswith("flite-whistle-K_AE_F_EY-")] or not whistles
    told = note("café", "en", None, ["flite"] * len(whistles), tmp_path)
    assert told.startswith("café: voices say K AE F EY and 1 other accent by eSpeak NG")
    assert told.endswith(f"; hear it in {tmp_path / 'samples'}")


def test_who_lacks_flite_is_told_to_install_it_only_where_it_would_speak(monkeypatch: pytest.MonkeyPatch):
    assert flite.lacking("en") == "they need Flite: `apt install flite`"
    assert flite.lacking("es") == "they are Flite's and speak English only, not 'es'"
    monkeypatch.setattr(flite, "flite_voices", lambda: [FliteVoice()])
    assert flite.voices_for("en") and not flite.voices_for("es")


def test_prep_speaks_a_phrase_of_another_language_and_says_how(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    order = ["--language", "es", "--num-positives", "2", "--num-negatives", "2", "--workers", "1"]
    assert (
        main(["prep", "--synthesize", "--keyword", "oye casa", "--output", str(tmp_path / "said"), *order])
        == 0
    )
    shown = capsys.readouterr().out
    assert "note: oye casa: voices say OW Y EH K AA S AA by eSpeak NG; hear it in" in shown
    assert {row.language for row in manifests.read(tmp_path / "said" / "positives.jsonl")} == {"es"}
    assert main(["prep", "--synthesize", "--keyword", "привет", "--output", str(tmp_path / "no")]) == 2
    assert "try `--language ru`" in capsys.readouterr().err
