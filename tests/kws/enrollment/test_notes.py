"""What is said about a phrase and a detector of it: sentences of numbers, without a model."""

from __future__ import annotations

import pytest

from kws.enrollment.notes import (
    DoubtsConfig,
    background_language,
    confused,
    doubts,
    in_ensemble,
    learned_from,
    said_alike,
    unlike_the_phrase,
    versions_heard,
    without_voices,
)
from kws.errors import ConfigError


def test_phrases_that_are_easily_taken_for_each_other_are_named():
    with pytest.raises(ConfigError, match="'two' and 'too' are both said T UW; give one of them"):
        said_alike(["two", "six", "too"], [["T UW"], ["S IH K S"], ["T UW"]])
    spoken = [["K AA R D", "K AA D"], ["K AA D"], ["K AA R D IH N AH L"], ["S IH K S"]]
    assert said_alike(["card", "cod", "cardinal", "six"], spoken) == [
        "card and cod: are said alike in some accents (K AA D); one of them fires then",
        "card: is a part of 'cardinal' and may fire in its place",
    ]
    assert said_alike(["hey you", "jarvis"], [["HH EY Y UW"], ["JH AA R V IH S"]]) == []


def test_quotes_are_named_where_single_words_may_be_one_phrase():
    advice = '. If you mean one phrase, put the phrase in quotes: kws enroll "hi robot"'
    (few,) = doubts("hi", ["HH AY"], None, ["hi", "robot"])
    assert few.endswith(f"misses less at the same false accepts{advice}")
    for phrases in (["hi"], ["hi", "hey robot"]):
        assert "quotes" not in doubts("hi", ["HH AY"], None, phrases)[0]
    assert "quotes" not in doubts("robot", ["R OW B AA"], None, ["hi", "robot"])[0]


def test_a_phrase_that_makes_a_poor_wake_word_is_told():
    assert doubts("hey computer", ["HH EY K AH M P"], 0.9) == []
    (few,) = doubts("jarvis", ["JH AA R V IH S", "JH AA V IH S"], None)
    assert few == (
        "jarvis: 5 phones are few and part of many other words; with 6 or more it misses less at the same "
        "false accepts"
    )
    (common,) = doubts("an easy one", ["AE N IY Z IY W AH N"], 0.95)
    assert common.startswith("an easy one: its phones are common: other speech comes so near to it")
    assert "(threshold 0.950); rarer sounds, a longer phrase or `recordings` help" in common
    assert len(doubts("hi", ["HH AY"], 0.5, config=DoubtsConfig(few_phones=0, high_threshold=0.4))) == 1


@pytest.mark.parametrize(
    ("language", "own", "told"), [("de", False, True), ("de", True, False), ("en-gb", False, False)]
)
def test_background_speech_of_another_language_is_told(language: str, own: bool, told: bool):
    sentences = [
        f"`language` {language}: the background speech that ships is English, and the threshold with it; "
        "give `negatives` in your language"
    ]
    assert background_language(language, own) == (sentences if told else [])


def test_phrases_that_fire_on_each_other_are_told():
    (note,) = confused(("on", "off"), {(0, 1): 0.5, (1, 0): 0.09})
    assert note == (
        "on: fires on 50 % of the examples of 'off', too; choose phrases less alike, or train on recordings "
        "of both with `kws train`"
    )
    assert confused(("on", "off"), {(0, 1): 0.5}, DoubtsConfig(confused_share=0.6)) == []


def test_what_a_detector_was_made_of_is_told():
    assert learned_from("a", 3, 0) == "a: learnt from 3 recordings"
    assert learned_from("a", 3, 600) == "a: learnt from 3 recordings and 600 synthetic voices"
    assert versions_heard("a", 9, 3) == "a: listens for 9 versions of 3 recordings as well"
    assert without_voices("a", "they need X") == "a: fitted without synthetic voices: they need X"
    assert in_ensemble("runs/a", 12) == "ensemble with runs/a, which learnt from 12 recordings of each phrase"
    assert unlike_the_phrase("a", "b.wav", 30, 8) == (
        "a: not used: b.wav: 30 phones are heard in it, the phrase has 8; record the phrase alone"
    )
