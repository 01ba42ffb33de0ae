"""Which texts say a phrase: spellings of it in many scripts, and words that only hold its letters."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kws.text import is_said, mentions, same_words

SAID = [
    # Latin: case, punctuation, apostrophes, hyphens
    ("computer", "the Computer, please"),
    ("computer", "COMPUTER"),
    ("computer", "the computer's fan"),
    ("hey computer", "heycomputer"),
    ("hey computer", "Hey, computer!"),
    ("hey computer", "hey-computer lights on"),
    ("hey computer", "hey_computer"),
    ("hey computer", "hey\u2010computer"),
    ("hey computer", "hey\u2011computer"),
    ("hey computer", "hey\u2013computer"),
    ("hey computer", "hey  \n computer"),
    ("hey computer", "ＨＥＹ ＣＯＭＰＵＴＥＲ"),
    ("heycomputer", "say hey computer now"),
    ("hey-computer", "hey computer"),
    ("whats up", "what's up"),
    ("whats up", "What’s up, doc?"),
    ("what's up", "so whats up"),
    ("what’s up", "what`s up"),
    ("whatʼs up", "what´s up"),
    ("R2 D2", "where is r2-d2"),
    ("r2d2", "R2 D2"),
    ("r2-d2", "R2D2."),
    ("computer 2", "computer ２"),
    ("computer", "computer2"),
    ("Straße", "DIE STRASSE"),
    ("strasse", "auf der Straße"),
    ("ordinateur", "éteins l'ordinateur"),
    ("ordinateur", "éteins l’ordinateur"),
    ("café", "un cafe\u0301 noir"),
    ("cafe\u0301", "UN CAFÉ"),
    ("istanbul", "İSTANBUL'da"),
    ("ışık", "IŞIK aç"),
    ("ﬁre", "fire"),
    ("hey computer", "hey\u00ad com\u00adpu\u00adter"),
    # Cyrillic
    ("привет алиса", "Привет, Алиса!"),
    ("комп'ютер", "увімкни компʼютер"),
    ("йога", "и\u0306ога дома"),
    # Greek: capitals leave accents out, and the final sigma is the same letter
    ("υπολογιστή", "ΓΕΙΑ ΣΟΥ ΥΠΟΛΟΓΙΣΤΗ"),
    ("γεια σου υπολογιστή", "Γεια σου, υπολογιστή."),
    ("ΚΟΣΜΟΣ", "γεια κόσμος"),
    # Han
    ("小爱同学", "小爱同学打开灯"),
    ("小爱同学", "请问小爱同学，现在几点"),
    ("小爱同学", "小 爱 同 学 打开灯"),
    ("小爱", "OK小爱"),
    ("computer", "我的computer坏了"),
    # kana
    ("コンピュータ", "コンピュータをつけて"),
    ("コンピュータ", "ねえ、ｺﾝﾋﾟｭｰﾀをつけて"),
    ("コンピュータ", "コンピューターをつけて"),
    ("ヘイコンピュータ", "ヘイ・コンピュータ"),
    ("ねえ", "ネエ、今何時"),
    # Hangul: particles are attached, syllables may be decomposed
    ("컴퓨터", "컴퓨터를 켜 줘"),
    ("컴퓨터", "내 컴퓨터에서는 안 돼"),
    ("지니", "지니야 불 꺼"),
    ("구글", "OK구글"),
    ("헤이 컴퓨터", unicodedata.normalize("NFD", "헤이 컴퓨터 불 켜")),
    # Devanagari
    ("नमस्ते", "नमस्ते, दुनिया"),
    ("हे कंप्यूटर", "हे कंप्यूटर। बत्ती जलाओ"),
    ("क़लम", "\u0915\u093cलम दो"),
    # Arabic: vowel signs and the article may be there or not, a word may be stretched
    ("مرحبا", "مَرْحَبًا يا صديقي"),
    ("كمبيوتر", "افتح الكمبيوتر الآن"),
    ("سلام", "ســلام عليكم"),
    ("حاسوب ٢", "حاسوب 2"),
    # Hebrew
    ("שלום", "שָׁלוֹם עולם"),
    ("מחשב", "תדליק את המחשב"),
    # Thai, Lao, Khmer, Burmese
    ("สวัสดี", "พูดสวัสดีครับ"),
    ("คอมพิวเตอร์", "เปิดคอมพิวเตอร์หน่อย"),
    ("ສະບາຍດີ", "ສະບາຍດີເຈົ້າ"),
    ("សួស្តី", "សួស្តីពិភពលោក"),
    ("မင်္ဂလာပါ", "ကိုကိုမင်္ဂလာပါခင်ဗျာ"),
]

NOT_SAID = [
    ("computer", None),
    ("computer", ""),
    ("", "computer"),
    ("…", "…"),
    ("lights", "flightsuit"),
    ("light", "flights"),
    ("ok", "okay"),
    ("ok", "book"),
    ("computer", "computers"),
    ("hey computer", "hey commuter"),
    ("hey computer", "computer hey"),
    ("hey computer", "they computer"),
    ("cafe", "café"),
    ("cafe", "cafe\u0301"),
    ("2", "24"),
    ("schon", "schön"),
    ("кот", "котлета"),
    ("алиса", "ализа"),
    ("κόσμο", "κόσμος"),
    ("北京", "背景"),
    ("小爱同学", "爱学习的同学"),
    ("アレクサ", "アレ草"),
    ("シ", "シャツ"),
    ("컴퓨터", "슈퍼컴퓨터"),
    ("사과", "사과나무"),
    ("कि", "की"),
    ("कमल", "कमला"),
    ("मा", "माँ"),
    ("पता", "पिता"),
    ("كَتَبَ", "كُتُب"),
    ("باب", "كباب"),
    ("שלום", "תשלום"),
    ("มา", "ม้า"),
    ("น", "น้ำ"),
    ("กา", "เกา"),
    ("ស", "ស្តី"),
]


@pytest.mark.parametrize(("keyword", "text"), SAID)
def test_a_phrase_is_found_however_it_is_written(keyword: str, text: str):
    assert mentions(keyword, text)


@pytest.mark.parametrize(("keyword", "text"), NOT_SAID)
def test_other_words_and_parts_of_longer_ones_are_no_mention(keyword: str, text: str | None):
    assert not mentions(keyword, text)


def test_a_label_names_a_word_and_a_text_may_say_more():
    assert same_words("hey computer", "Hey_Computer") and not same_words("computer", "hey computer")
    assert same_words("café", "cafe\u0301") and not same_words("", "") and not same_words("a", None)
    assert is_said("computer", None, "Computer") and is_said("computer", "the computer", "speech")
    assert not is_said("computer", "the car", "computer or car")


SCRIPTS = {
    "Latin": "abcdeéßüoñšżşıqr19",
    "Cyrillic": "абвйёжї",
    "Greek": "αβγδήίόςσ",
    "Han": "小爱同学北京打开",
    "kana": "あかがぱネコバンー",
    "Hangul": "가나각한글컴퓨터",
    "Devanagari": "कखगनमि्ाीं",
    "Arabic": "ابتثجحَُ",
    "Hebrew": "אבגדהוָ",
    "Thai": "กขคงาิีเ้์",
}


def texts(script: str) -> st.SearchStrategy[str]:
    """Draw letters of a script, each with any number of its marks after it, and what may stand between."""
    letters = [letter for letter in SCRIPTS[script] if letter.isalnum()]
    marks = [mark for mark in SCRIPTS[script] if not mark.isalnum()]
    marked = st.lists(st.sampled_from(marks), max_size=2).map("".join) if marks else st.just("")
    pieces = st.builds("".join, st.tuples(st.sampled_from(letters), marked)) | st.sampled_from(" '-")
    return st.lists(pieces, min_size=1, max_size=8).map("".join)


PAIRS = st.sampled_from(sorted(SCRIPTS)).flatmap(lambda script: st.tuples(texts(script), texts(script)))
FORMS = st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"])
AROUND = st.text(" .,!?…«»()-'\"。、", max_size=3)


@settings(max_examples=100, deadline=None)
@given(PAIRS, FORMS, AROUND, AROUND)
def test_a_phrase_with_letters_says_itself(pair: tuple[str, str], form: str, before: str, after: str):
    keyword, _ = pair
    if not any(character.isalnum() for character in keyword):
        assert not mentions(keyword, keyword)
        return
    assert mentions(keyword, keyword) and same_words(keyword, keyword)
    assert mentions(keyword, f"{before}{unicodedata.normalize(form, keyword)}{after}")


@settings(max_examples=100, deadline=None)
@given(PAIRS, FORMS, FORMS, AROUND)
def test_form_case_and_punctuation_around_make_no_difference(
    pair: tuple[str, str], form: str, other: str, around: str
):
    keyword, text = pair
    said = mentions(keyword, text)
    assert mentions(unicodedata.normalize(form, keyword), unicodedata.normalize(other, text)) == said
    assert mentions(keyword.swapcase(), text) == mentions(keyword, text.swapcase()) == said
    assert mentions(keyword, f" {around} {text} {around}") == said


@settings(max_examples=100, deadline=None)
@given(PAIRS, st.text("wvxyz 0!", max_size=20))
def test_a_text_without_its_letters_never_says_a_phrase(pair: tuple[str, str], text: str):
    assert not mentions(pair[0], text)


def test_it_is_the_only_rule_of_its_kind():
    """No other module splits texts into words to look for a keyword, nor folds their case."""
    root = Path(__file__).parents[2]
    sources = [
        path for name in ("kws", "data_prep", "export", "benchmarks") for path in (root / name).rglob("*.py")
    ]
    folding = re.compile(r"casefold\(|(?:text|label|keyword|phrase)s?\.lower\(\)")
    found = {path.relative_to(root).as_posix() for path in sources if folding.search(path.read_text("utf-8"))}
    assert found - {"benchmarks/embedded_data.py"} == {
        "kws/text.py"
    }  # which counts words to choose sentences
