"""Text to ARPAbet: hand-written pronunciations, the lexicon, spelling for eSpeak and back."""

from __future__ import annotations

import pytest

from data_prep.synthesis import espeak, phones
from data_prep.synthesis.mandarin import WORDS
from data_prep.synthesis.phones import PronunciationError, text_to_phones
from kws.errors import ConfigError, ManifestError

HAND_WRITTEN = {
    "hey computer": "HH EY K AH M P Y UW T ER",
    "jarvis": "JH AA R V IH S",
    "there": "DH EH R",
    "car": "K AA R",
    "door": "D AO R",
    "near": "N IH R",
    "tour": "T UH R",
    "bird": "B ER D",
    "fire": "F AY ER",
    "curious": "K Y UH R IY AH S",
    "water": "W AO T ER",
    "button": "B AH T AH N",
    "little": "L IH T AH L",
    "happy": "HH AE P IY",
    "church": "CH ER CH",
    "judge": "JH AH JH",
    "vision": "V IH ZH AH N",
    "thing": "TH IH NG",
    "boy": "B OY",
    "house": "HH AW S",
    "home": "HH OW M",
    "good": "G UH D",
    "bach": "B AA K",
    "about": "AH B AW T",
    "42": "F AO R T IY T UW",
}


def test_there_are_39_phones():
    assert len(set(phones.PHONES)) == 39
    assert len(phones.VOWELS) == 15
    assert set(phones.PHONES) >= phones.VOWELS


@pytest.mark.parametrize(("text", "expected"), HAND_WRITTEN.items())
def test_known_words(text, expected):
    assert text_to_phones(text) == expected.split()


def test_many_texts_are_as_one_by_one():
    texts = list(HAND_WRITTEN)
    assert phones.texts_to_phones(texts) == [text_to_phones(text) for text in texts]


def test_text_without_words_has_no_phones():
    assert text_to_phones("... ?!") == []


@pytest.mark.parametrize(
    ("text", "said"),
    [("hey 😀 you", "hey you"), ("hey\x00 you", "hey you"), ("hey \ud83d you", "hey you"), ("♪ 👩‍💻 ⚡️", "")],
)
def test_what_nobody_says_is_not_said(text, said):
    assert text_to_phones(text) == text_to_phones(said)


def test_the_tap_is_t_in_english_and_r_in_spanish():
    assert text_to_phones("city") == "S IH T IY".split()
    assert text_to_phones("pero", "es") == "P EH R OW".split()


MANDARIN = {
    "你好": "N IY HH AW",
    "爸爸怕": "B AA B AA P AA",  # pinyin ba, ba, pa
    "知道": "JH ER D AW",
    "吃茶": "CH ER CH AA",
    "学习": "SH W EH SH IY",
    "人": "R AH N",  # second tone, which eSpeak's IPA writes like the vowel of "bird"
    "朋友": "P AH NG Y OW",
}


@pytest.mark.parametrize(("text", "expected"), MANDARIN.items())
def test_mandarin_gets_the_nearest_english_phones_and_no_tones(text, expected):
    assert text_to_phones(text, "cmn") == expected.split()
    symbols = phones.texts_to_symbols([text], "cmn")[0]
    assert phones.symbols_to_phones(symbols, "cmn") == expected.split()


def test_tones_of_other_languages_are_no_phones():
    assert text_to_phones("bốn", "vi") == ["B", "OW", "N"]


def test_symbols_are_those_of_the_language():
    assert phones.texts_to_symbols(["你好", "...", "中国"], "cmn") == [
        ["n", "i", "χ", "ɑu"],
        [],
        ["ts.", "onɡ", "k", "uo"],
    ]
    with_tones = phones.texts_to_symbols(["中国"], "cmn", tones=True)
    assert with_tones == [["ts.", "onɡ", "55", "k", "uo", "35"]]
    assert phones.texts_to_symbols(["schöne Grüße"], "de") == ["ʃ øː n ə ɡ ɾ yː s ə".split()]


@pytest.mark.parametrize("read", [phones.texts_to_phones, phones.texts_to_symbols])
def test_texts_with_letters_that_are_not_read_are_named(read):
    with pytest.raises(
        PronunciationError, match=r"text '大英雄': eSpeak's 'cmn' does not read 雄; check the l"
    ):
        read(["你好", " 大英雄 "], "cmn")
    with pytest.raises(PronunciationError, match=r"text '你好': eSpeak's 'en-us' does not read 你 好"):
        read(["hello", "你好"], "en-us")
    with pytest.raises(ConfigError, match="language 'fo' is unknown"):
        read(["halló"], "fo")


def test_every_word_of_the_mandarin_list_is_read_one_syllable_for_each_character():
    for word, said in zip(WORDS, espeak.segments_of_all(WORDS, "cmn"), strict=True):
        assert sum(bool(segment.tone) for segment in said) == len(word), word
    assert len(set(WORDS)) == len(WORDS) > 600


def test_the_mandarin_list_holds_every_common_sound():
    listed = {symbol for said in phones.texts_to_symbols(WORDS, "cmn", tones=True) for symbol in said}
    initials = "p ph m f t th n l k kh χ tɕ tɕh ɕ ts. ts.h s. ʐ ts tsh s".split()
    finals = "i. i̪ ɑ o o- ai ei ɑu ou ər i iɑ iɛ iou u ua uo uai uei y yɛ onɡ".split()
    with_nasal = "a ə ŋ n uə yæ yə yi j w".split()
    assert listed == {*initials, *finals, *with_nasal, "55", "35", "214", "51", "11"}


def test_lexicon_overrides_single_words(tmp_path):
    path = tmp_path / "lexicon.txt"
    path.write_text(";;; comment\nROUTER\tR AW1 T ER0\nROUTER(2) R UW1 T ER0\n\nTO T UW\n", encoding="utf-8")
    lexicon = phones.read_lexicon(path)
    assert lexicon == {"ROUTER": ["R", "AW", "T", "ER"], "TO": ["T", "UW"]}
    assert text_to_phones("home router home", lexicon=lexicon) == "HH OW M R AW T ER HH OW M".split()


def test_lexicon_errors_name_the_line(tmp_path):
    path = tmp_path / "lexicon.txt"
    path.write_text("A AH\nB QX1\n", encoding="utf-8")
    with pytest.raises(ManifestError, match=r"lexicon.txt:2: phone 'QX1' is not ARPAbet"):
        phones.read_lexicon(path)
    path.write_text("LONELY\n", encoding="utf-8")
    with pytest.raises(ManifestError, match=r"lexicon.txt:1: word 'LONELY' has no phones"):
        phones.read_lexicon(path)
    path.write_bytes("É EY\n".encode("latin-1"))
    with pytest.raises(ManifestError, match=r"lexicon.txt: is no text in UTF-8 .*; save it again"):
        phones.read_lexicon(path)
    with pytest.raises(ManifestError, match="no such lexicon"):
        phones.read_lexicon(tmp_path / "none.txt")


def test_strip_stress():
    assert phones.strip_stress(["AH0", "B", "AW1", "T"]) == ["AH", "B", "AW", "T"]
    with pytest.raises(PronunciationError, match="phone 'Q' is not ARPAbet"):
        phones.strip_stress(["Q"])


def test_affricates_and_diphthongs_take_the_longest_match():
    assert phones.ipa_to_phones("tʃˈaɪ ɹˈaʊɾɚ (fr)ʒˈuːs(en)") == "CH AY R AW T ER ZH UW S".split()


def test_unknown_symbol_names_symbol_and_word():
    with pytest.raises(PronunciationError, match=r"'Ж' \(U\+0416\) in 'kЖa'"):
        phones.ipa_to_phones("kˈæt kЖa")


@pytest.mark.parametrize(
    "word", ["K AH M P Y UW", "N AH T SH EH L", "K EY AO S", "AH", "S", "P L EY IH NG", "AH B AW T"]
)
def test_spelling_for_espeak_and_back(word):
    spelled = phones.phones_to_espeak([word.split()])
    assert text_to_phones(f"say {spelled} now") == ["S", "EY", *word.split(), "N", "AW"]


def test_spelling_puts_stress_on_the_first_full_vowel():
    assert phones.phones_to_espeak([["HH", "EY"], "K AH M P Y UW T ER".split()]) == "[[h'eI k@mpj'u:t3:]]"
    assert phones.phones_to_ipa(["JH", "AA", "R"]) == "dʒɑːɹ"
    with pytest.raises(PronunciationError, match="eSpeak phoneme 'q'"):
        text_to_phones("[[kqa]]")
