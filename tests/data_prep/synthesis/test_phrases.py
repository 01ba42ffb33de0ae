"""Confusable texts and carrier sentences: near the phrase, never the phrase."""

from __future__ import annotations

import itertools

import pytest

from data_prep.synthesis import espeak, phonetics, phrases
from data_prep.synthesis.phones import PHONES, text_to_phones, texts_to_phones
from kws.errors import ConfigError


def test_distances_are_symmetric_and_ordered_as_heard():
    for first, second in itertools.combinations(PHONES, 2):
        assert phonetics.phone_distance(first, second) == phonetics.phone_distance(second, first)
        assert 0 < phonetics.phone_distance(first, second) <= 1
    assert phonetics.phone_distance("P", "B") < phonetics.phone_distance("P", "L")
    assert phonetics.phone_distance("IY", "IH") < phonetics.phone_distance("IY", "AA")
    assert phonetics.phone_distance("S", "IY") == 1


def test_edit_distance_by_hand():
    cat, bat = "K AE T".split(), "B AE T".split()
    assert phonetics.distance(cat, cat) == 0
    assert phonetics.distance(cat, bat) == phonetics.phone_distance("K", "B")
    assert phonetics.distance(cat, ["AE", "T"]) == pytest.approx(phonetics.GAP)
    assert phonetics.distance(["AE", "T"], ["HH", "AE", "T"]) == pytest.approx(phonetics.WEAK_GAP)
    assert phonetics.distance([], cat) == pytest.approx(3 * phonetics.GAP)


def test_contains_needs_whole_phones_in_a_row():
    assert phonetics.contains("S EY K AE T".split(), "K AE T".split())
    assert not phonetics.contains("K AE T".split(), "K A".split())
    assert not phonetics.contains("K AE S T".split(), "K AE T".split())


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("computer", "K AH M|P Y UW|T ER"),
        ("jarvis", "JH AA R|V IH S"),
        ("hey", "HH EY"),
        ("extra", "EH K|S T R AH"),
    ],
)
def test_syllables(word, expected):
    assert phonetics.syllables(text_to_phones(word)) == [part.split() for part in expected.split("|")]


@pytest.mark.parametrize(
    ("phrase", "language"),
    [
        ("hey computer", "en-us"),
        ("Jarvis!", "en-us"),
        ("ok", "en-us"),
        ("hallo rechner", "de"),
        ("no no", "en-us"),
    ],
)
def test_confusables_never_contain_the_phrase(phrase, language):
    texts = phrases.confusables(phrase, 120, 1, language=language)
    assert len(texts) == len(set(texts)) > 60
    whole = text_to_phones(phrase, language)
    for text, phones in zip(texts, texts_to_phones(texts, language), strict=True):
        assert phones, text
        assert not phonetics.contains(phones, whole), text


def test_confusables_hold_words_parts_repetitions_neighbors_and_changes():
    texts = phrases.confusables("hey computer", 150, 1)
    assert {"hey", "computer", "hey hey", "computer hey"} <= set(texts)
    spoken = texts_to_phones(texts)
    assert "K AH M P Y UW".split() in spoken
    assert "P Y UW T ER".split() in spoken
    assert any("commute" in text for text in texts)
    whole = text_to_phones("hey computer")
    # What has a spelling is a word that people tell apart; what was made up must be clearly something else.
    made_up = [
        phonetics.distance(whole, phones) for text, phones in zip(texts, spoken, strict=True) if "[[" in text
    ]
    assert min(made_up) >= phrases.MIN_DISTANCE_PER_PHONE * len(whole)
    assert sum(weight < 1.3 for weight in made_up) > 20


def test_parts_are_what_lacks_a_word_or_has_it_twice_or_elsewhere():
    assert phrases.parts("Hey, computer!") == [
        "hey",
        "computer",
        "hey hey",
        "computer computer",
        "computer hey",
    ]
    assert {"turn the", "the light", "turn light", "light the turn"} <= set(phrases.parts("turn the light"))
    assert phrases.parts("computer") == [] and phrases.parts("no no") == ["no"]


def test_confusables_are_seeded():
    assert phrases.confusables("jarvis", 40, 1) == phrases.confusables("jarvis", 40, 1)
    assert phrases.confusables("jarvis", 40, 1) != phrases.confusables("jarvis", 40, 2)


def test_a_given_word_list_is_used():
    texts = phrases.confusables("hallo", 60, 1, ["halle", "keller", "hallo"], language="de")
    assert {"halle", "keller"} <= set(texts)
    assert "hallo" not in texts


def test_a_homophone_is_no_confusable():
    texts = phrases.confusables("red", 60, 1, ["read", "read it", "bed"], lexicon={"READ": ["R", "EH", "D"]})
    assert "bed" in texts
    assert not {"read", "read it"} & set(texts)


def test_common_words_cover_the_phones():
    words = phrases.common_words()
    assert len(words) > 1500
    assert list(words) == sorted(set(words))
    counts = {phone: 0 for phone in PHONES}
    for phones in texts_to_phones(words):
        for phone in phones:
            counts[phone] += 1
    assert min(counts.values()) >= 10


def test_carrier_sentences_leave_the_phrase_out():
    free = phrases.carrier_sentences(None, 300, 4)
    assert free == phrases.carrier_sentences(None, 300, 4)
    assert sum("thank" in sentence for sentence in free) > 0
    kept = phrases.carrier_sentences("thank you", 300, 4)
    assert len(kept) == 300
    assert not any("thank you" in sentence for sentence in kept)
    assert len(set(kept)) > 200
    assert not any("{" in sentence for sentence in kept)


def test_carrier_sentences_of_other_languages_are_numbers():
    assert all(set(text) <= set("0123456789, ") for text in phrases.carrier_sentences("bonjour", 5, 1, "fr"))


def test_errors():
    for phrase in ("", " ?! "):
        with pytest.raises(ConfigError, match="holds nothing that can be said"):
            phrases.confusables(phrase, 5, 0)
    with pytest.raises(ConfigError, match="language 'xx-yy' is unknown"):
        phrases.confusables("hello", 5, 0, language="xx-yy")


def test_sentences_pass_over_numbers_that_crash_the_library_and_end_where_there_are_none():
    sentences = phrases.carrier_sentences("aluu", 4, seed=0, language="kl")
    assert len(sentences) == 4 and not espeak.crashing(sentences, "kl")
    with pytest.raises(ConfigError, match="language 'cv': eSpeak reads no numbers in it"):
        phrases.carrier_sentences("салам", 12, seed=0, language="cv")
