"""The synthetic data set of a phrase: labels, counts, disjoint voices."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from data_prep import manifests
from data_prep.synthesis import espeak, keyword, phonetics, phrases
from data_prep.synthesis.keyword import synthesize_keyword
from kws import audio
from kws.errors import ConfigError


@pytest.fixture(scope="module")
def data_set(tmp_path_factory):
    paths = synthesize_keyword("hey computer", tmp_path_factory.mktemp("keyword"), 20, 40, seed=1)
    return tuple(manifests.read(path) for path in paths)


def variant(speaker):
    return speaker.split("+")[1].rsplit("-s", 1)[0] if "+" in speaker else ""


def test_counts_and_labels(data_set):
    positives, negatives = data_set
    assert Counter((row.split, row.label) for row in positives) == {
        ("train", "hey computer"): 16,
        ("dev", "hey computer"): 2,
        ("test", "hey computer"): 2,
    }
    assert Counter((row.split, row.label) for row in negatives) == {
        ("train", "confusable"): 16,
        ("train", "speech"): 16,
        ("dev", "confusable"): 2,
        ("dev", "speech"): 2,
        ("test", "confusable"): 2,
        ("test", "speech"): 2,
    }
    assert all(row.path.is_file() for row in (*positives, *negatives))


def test_positives_are_the_phrase_and_negatives_are_not(data_set):
    positives, negatives = data_set
    phones = "HH EY K AH M P Y UW T ER"
    assert {row.phones for row in positives} == {phones}
    assert {row.text for row in positives} == {"hey computer"}
    assert not any(phonetics.contains(row.phones.split(), phones.split()) for row in negatives)
    assert all(np.abs(audio.load(row.path)).max() > 0.05 for row in positives)


def test_half_of_what_sounds_like_a_phrase_is_its_parts_and_nothing_changes_for_one_word(monkeypatch):
    texts = keyword._confusable_texts("hey computer", 41, 1, "en-us", None, None)
    assert len(texts) == 41
    parts = Counter(text for text in texts[:20])
    assert parts == dict.fromkeys(phrases.parts("hey computer"), 4)
    assert not parts.keys() & set(texts[20:]) - {"hey", "computer"}
    word = keyword._confusable_texts("computer", 20, 1, "en-us", None, None)
    assert len(word) == 20 and set(phrases.confusables("computer", 20, 1)[::2]) <= set(word)


def test_voices_are_distinct_and_disjoint_between_splits(data_set):
    rows = [*data_set[0], *data_set[1]]
    assert len({row.speaker for row in rows}) == len(rows)
    of_split = {
        split: {variant(row.speaker) for row in rows if row.split == split} for split in espeak.SPLITS
    }
    assert not of_split["train"] & of_split["dev"]
    assert not of_split["train"] & of_split["test"]
    assert not of_split["dev"] & of_split["test"]


def test_a_lexicon_changes_what_is_said(tmp_path):
    lexicon = {"GIF": ["JH", "IH", "F"]}
    for name, words in (("plain", None), ("lexicon", lexicon)):
        synthesize_keyword("gif", tmp_path / name, 1, 0, splits={"train": 1.0}, lexicon=words)
    plain, changed = (manifests.read(tmp_path / name / "positives.jsonl")[0] for name in ("plain", "lexicon"))
    assert (plain.phones, changed.phones) == ("G IH F", "JH IH F")
    assert plain.speaker == changed.speaker
    assert plain.path.read_bytes() != changed.path.read_bytes()


def test_further_speakers_take_each_second_recording_of_their_split(tmp_path):
    class Whistle:
        id, language, pronunciation, split, source = "whistle", "en", "en-us", "train", "test"

        def speak(self, text):
            return np.sin(np.arange(8000, dtype=np.float32))

    positives, _ = synthesize_keyword("jarvis", tmp_path, 10, 0, speakers=[Whistle()])
    rows = manifests.read(positives)
    assert Counter((row.split, row.source) for row in rows if row.source == "test") == {("train", "test"): 4}


def test_other_language(tmp_path):
    positives, negatives = synthesize_keyword(
        "hallo rechner", tmp_path, 2, 4, language="de", splits={"train": 1.0}
    )
    rows = manifests.read(positives) + manifests.read(negatives)
    assert {row.language for row in rows} == {"de"}
    assert rows[0].phones == "HH AA L AO R EH SH N ER"


def test_errors(tmp_path):
    with pytest.raises(ConfigError, match=r"phrase '\?!' holds nothing that can be said"):
        synthesize_keyword("?!", tmp_path)
    with pytest.raises(ConfigError, match=r"language 'enn-us' is unknown to eSpeak NG; near ones are en-us"):
        synthesize_keyword("hello", tmp_path, language="enn-us")
    with pytest.raises(ConfigError, match=r"splits are \{'train': 0.5\}"):
        synthesize_keyword("hello", tmp_path, splits={"train": 0.5})
    with pytest.raises(ConfigError, match="confusable_share is 2, allowed is 0 to 1"):
        synthesize_keyword("hello", tmp_path, confusable_share=2)
    with pytest.raises(ConfigError, match="-1 positives"):
        synthesize_keyword("hello", tmp_path, num_positives=-1)
    assert not list(tmp_path.iterdir())
