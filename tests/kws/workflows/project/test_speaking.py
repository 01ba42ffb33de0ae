"""How a keyword is said: the ways that are offered, and voices to hear them in."""

from __future__ import annotations

from pathlib import Path

import pytest

from kws.audio import duration_s
from kws.errors import KwsError
from kws.workflows.project.speaking import (
    SAYS_PHONES,
    languages_to_choose,
    say_text,
    voices_to_hear,
    ways_to_say,
)


def test_each_accent_is_one_way_and_a_spelling_comes_first():
    usual = ways_to_say("hey computer")
    assert usual[0].lexicon == {"HEY": ["HH", "EY"], "COMPUTER": "K AH M P Y UW T ER".split()}
    assert len({way.phones for way in usual}) == len(usual) > 1
    spelled = ways_to_say("nabu", spelled="nah boo")
    assert spelled[0].phones == "N AA B UW" and spelled[0].lexicon == {"NABU": ["N", "AA", "B", "UW"]}


def test_a_spelling_has_the_words_of_the_keyword():
    with pytest.raises(KwsError, match="give 2 words"):
        ways_to_say("hey nabu", spelled="hey nah boo")
    with pytest.raises(KwsError, match=r"makes no sound|reads|says"):
        ways_to_say("nabu", spelled="…")


def test_other_languages_have_one_way_that_cannot_be_changed():
    (way,) = ways_to_say("hallo computer", "de")
    assert way.lexicon == {} and way.said == "hallo computer"


def test_voices_speak_the_language_and_say_a_way(tmp_path: Path):
    assert 2 <= len(voices_to_hear("en")) <= 8
    assert all(voice.startswith("espeak:de") for voice in voices_to_hear("de"))
    assert languages_to_choose()[0] == "en" and "de" in languages_to_choose()
    path = say_text(SAYS_PHONES, ways_to_say("hey computer")[0].said, tmp_path / "said.wav")
    assert 0.4 < duration_s(path) < 2
