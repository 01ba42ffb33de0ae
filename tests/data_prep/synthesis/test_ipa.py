"""IPA of any language to the nearest phone."""

from __future__ import annotations

import pytest

from data_prep.synthesis import ipa
from data_prep.synthesis.phones import PronunciationError, text_to_phones

EVERYDAY = {
    "oye": ("es", "OW Y EH"),
    "yo": ("es", "Y OW"),
    "ayuda": ("es", "AA Y UW DH AA"),
    "playa": ("es", "P L AA Y AA"),
    "ろく": ("ja", "R OW K UW"),
    "muito": ("pt-br", "M W IY NG T UH"),
    "पाँच": ("hi", "P AA N CH"),
    "أربعة": ("ar", None),
    "femten": ("da", None),
    "ʘa": (None, "P AA"),
    "ɓaʕaɮ": (None, "B AA HH AA L"),
    "ẽt[`ʝ": (None, "EH T Y"),
}


@pytest.mark.parametrize(("text", "expected"), EVERYDAY.items())
def test_no_language_stops_at_a_symbol(text: str, expected: tuple[str | None, str | None]):
    language, phones = expected
    found = text_to_phones(text, language) if language else ipa.ipa_to_phones(text)
    assert found and (phones is None or found == phones.split())


def test_every_symbol_of_the_chart_has_a_phone():
    symbols = {symbol for row in ipa._CHART.values() for cell in row for symbol in cell if symbol not in ". "}
    assert len(symbols) > 70
    for symbol in symbols | set(ipa._CHART_VOWELS):
        assert ipa.ipa_to_phones(symbol), symbol


def test_what_is_no_sound_of_speech_is_named():
    with pytest.raises(PronunciationError, match=r"'Ж' \(U\+0416\) in 'kЖa'"):
        ipa.ipa_to_phones("kˈæt kЖa")
