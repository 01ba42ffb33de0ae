"""How each of the 39 phones is made: inventories, word vectors and likeness of sounds follow from it.

Source: articulatory features of the International Phonetic Alphabet.
"""

from __future__ import annotations

from typing import NamedTuple


class Phone(NamedTuple):
    """One phone.

    Attributes:
        made: its attributes with spaces between; of a consonant with two places, the main one is first.
        positions: of a vowel, height (1 is close) and backness (1 is back) at the start, then at the end.
    """

    made: str
    positions: tuple[float, float, float, float] | None = None


PHONE_TABLE: dict[str, Phone] = {
    "AA": Phone("vowel low back voiced tense", (0.0, 0.8, 0.0, 0.8)),
    "AE": Phone("vowel low front voiced", (0.15, 0.15, 0.15, 0.15)),
    "AH": Phone("vowel mid central voiced", (0.45, 0.55, 0.45, 0.55)),
    "AO": Phone("vowel mid back rounded voiced tense", (0.3, 1.0, 0.3, 1.0)),
    "AW": Phone("vowel low central rising-back voiced tense", (0.05, 0.5, 0.8, 0.85)),
    "AY": Phone("vowel low central rising-front voiced tense", (0.05, 0.5, 0.85, 0.15)),
    "B": Phone("plosive labial voiced"),
    "CH": Phone("plosive fricative sibilant postalveolar"),
    "D": Phone("plosive alveolar voiced"),
    "DH": Phone("fricative dental voiced"),
    "EH": Phone("vowel mid front voiced", (0.45, 0.1, 0.45, 0.1)),
    "ER": Phone("vowel mid central rhotic voiced", (0.5, 0.55, 0.5, 0.55)),
    "EY": Phone("vowel mid front rising-front voiced tense", (0.55, 0.1, 0.9, 0.1)),
    "F": Phone("fricative labial dental"),
    "G": Phone("plosive velar voiced"),
    "HH": Phone("fricative glottal"),
    "IH": Phone("vowel high front voiced", (0.8, 0.2, 0.8, 0.2)),
    "IY": Phone("vowel high front voiced tense", (1.0, 0.0, 1.0, 0.0)),
    "JH": Phone("plosive fricative sibilant postalveolar voiced"),
    "K": Phone("plosive velar"),
    "L": Phone("approximant lateral alveolar voiced"),
    "M": Phone("nasal labial voiced"),
    "N": Phone("nasal alveolar voiced"),
    "NG": Phone("nasal velar voiced"),
    "OW": Phone("vowel mid back rounded rising-back voiced tense", (0.5, 0.9, 0.85, 0.9)),
    "OY": Phone("vowel mid back rounded rising-front voiced tense", (0.3, 1.0, 0.85, 0.15)),
    "P": Phone("plosive labial"),
    "R": Phone("approximant rhotic postalveolar voiced"),
    "S": Phone("fricative sibilant alveolar"),
    "SH": Phone("fricative sibilant postalveolar"),
    "T": Phone("plosive alveolar"),
    "TH": Phone("fricative dental"),
    "UH": Phone("vowel high back rounded voiced", (0.8, 0.8, 0.8, 0.8)),
    "UW": Phone("vowel high back rounded voiced tense", (1.0, 1.0, 1.0, 1.0)),
    "V": Phone("fricative labial dental voiced"),
    "W": Phone("approximant labial velar rounded voiced"),
    "Y": Phone("approximant high front palatal voiced"),
    "Z": Phone("fricative sibilant alveolar voiced"),
    "ZH": Phone("fricative sibilant postalveolar voiced"),
}
"""ARPAbet symbol without stress -> how it is made, by alphabet, as the recogniser's outputs are."""
