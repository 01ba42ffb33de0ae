"""How alike two phones, words or phrases sound: a small articulatory table and a weighted edit distance."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from data_prep.synthesis.arpabet import PHONES, VOWELS

_PLACE = {"labial": 0.0, "dental": 0.25, "alveolar": 0.4, "palatal": 0.6, "velar": 0.85, "glottal": 1.0}
_MANNER = {"stop": 0.0, "affricate": 0.25, "fricative": 0.45, "nasal": 0.6, "liquid": 0.85, "glide": 1.0}

_CONSONANTS: dict[str, tuple[str, str, bool]] = {
    "P": ("labial", "stop", False), "B": ("labial", "stop", True), "T": ("alveolar", "stop", False),
    "D": ("alveolar", "stop", True), "K": ("velar", "stop", False), "G": ("velar", "stop", True),
    "CH": ("palatal", "affricate", False), "JH": ("palatal", "affricate", True),
    "F": ("labial", "fricative", False), "V": ("labial", "fricative", True),
    "TH": ("dental", "fricative", False), "DH": ("dental", "fricative", True),
    "S": ("alveolar", "fricative", False), "Z": ("alveolar", "fricative", True),
    "SH": ("palatal", "fricative", False), "ZH": ("palatal", "fricative", True),
    "HH": ("glottal", "fricative", False), "M": ("labial", "nasal", True), "N": ("alveolar", "nasal", True),
    "NG": ("velar", "nasal", True), "L": ("alveolar", "liquid", True), "R": ("palatal", "liquid", True),
    "W": ("labial", "glide", True), "Y": ("palatal", "glide", True),
}  # fmt: skip
"""Place, manner and voicing, as in any chart of the International Phonetic Alphabet."""

_VOWELS: dict[str, tuple[float, float, float, float, bool]] = {
    "IY": (1.0, 0.0, 1.0, 0.0, False), "IH": (0.8, 0.2, 0.8, 0.2, False), "EH": (0.45, 0.1, 0.45, 0.1, False),
    "AE": (0.15, 0.15, 0.15, 0.15, False), "AH": (0.45, 0.55, 0.45, 0.55, False),
    "ER": (0.5, 0.55, 0.5, 0.55, True), "AA": (0.0, 0.8, 0.0, 0.8, False), "AO": (0.3, 1.0, 0.3, 1.0, False),
    "UH": (0.8, 0.8, 0.8, 0.8, False), "UW": (1.0, 1.0, 1.0, 1.0, False), "EY": (0.55, 0.1, 0.9, 0.1, False),
    "AY": (0.05, 0.5, 0.85, 0.15, False), "OY": (0.3, 1.0, 0.85, 0.15, False),
    "AW": (0.05, 0.5, 0.8, 0.85, False), "OW": (0.5, 0.9, 0.85, 0.9, False),
}  # fmt: skip
"""Height (1 is close) and backness (1 is back) at the start and at the end, and whether it is r-coloured."""

_SAME_FOR_MANY = ({"AA", "AO"}, {"AH", "IH"}, {"AH", "UH"}, {"T", "D"}, {"AH", "ER"})
"""Pairs that speakers of some accent, or of any accent in weak syllables, do not tell apart."""
SAME_FOR_MANY_DISTANCE = 0.1

GAP = 0.6
"""Distance of a phone that is missing or added."""
WEAK_GAP = 0.3
"""The same for the phones that are swallowed first."""
_WEAK = frozenset({"AH", "HH"})


@functools.cache
def phone_distance(first: str, second: str) -> float:
    """Return how different two phones are: 0 for the same, up to 1; symmetric."""
    if first == second:
        return 0.0
    if {first, second} in _SAME_FOR_MANY:
        return SAME_FOR_MANY_DISTANCE
    if (first in VOWELS) != (second in VOWELS):
        return 1.0
    if first in VOWELS:
        *a, a_rhotic = _VOWELS[first]
        *b, b_rhotic = _VOWELS[second]
        weights = (0.35, 0.25, 0.25, 0.15)
        moved = sum(weight * abs(x - y) for weight, x, y in zip(weights, a, b, strict=True))
        return min(1.0, 0.1 + moved + 0.2 * (a_rhotic != b_rhotic))
    place, manner, voiced = _CONSONANTS[first]
    return _consonant_distance(_PLACE[place], manner, voiced, second)


def nearest_consonant(place: float, manner: str, voiced: bool) -> str:
    """Return the phone that is made most like a consonant.

    Args:
        place: from 0 at the lips to 1 in the throat.
        manner: stop, affricate, fricative, nasal, liquid or glide.
        voiced: whether the vocal folds swing.
    """

    def unlike(phone: str) -> float:
        through_nose = (manner == "nasal") != (_CONSONANTS[phone][1] == "nasal")
        return _consonant_distance(place, manner, voiced, phone) + 0.3 * through_nose

    return min(_CONSONANTS, key=unlike)


def nearest_vowel(height: float, backness: float) -> str:
    """Return the plain vowel that is nearest in height (1 is close) and backness (1 is back)."""
    plain = [phone for phone, (high, back, *ends, _) in _VOWELS.items() if [high, back] == ends]
    return min(plain, key=lambda phone: abs(_VOWELS[phone][0] - height) + abs(_VOWELS[phone][1] - backness))


def _consonant_distance(place: float, manner: str, voiced: bool, phone: str) -> float:
    other_place, other_manner, other_voiced = _CONSONANTS[phone]
    moved = abs(place - _PLACE[other_place])
    opened = abs(_MANNER[manner] - _MANNER[other_manner])
    return min(1.0, 0.05 + 0.4 * moved + 0.4 * opened + 0.2 * (voiced != other_voiced))


@functools.cache
def neighbors(phone: str) -> tuple[tuple[str, float], ...]:
    """Return the other phones of the same kind (vowel or consonant) with their distance, nearest first."""
    others = [other for other in PHONES if other != phone and (other in VOWELS) == (phone in VOWELS)]
    others.sort(key=functools.partial(phone_distance, phone))
    return tuple((other, phone_distance(phone, other)) for other in others)


def gap(phone: str) -> float:
    """Return the distance of leaving this phone out."""
    return WEAK_GAP if phone in _WEAK else GAP


def distance(first: Sequence[str], second: Sequence[str]) -> float:
    """Return the least weight of substitutions, deletions and insertions between two phone sequences."""
    row = [0.0]
    for phone in second:
        row.append(row[-1] + gap(phone))
    for phone in first:
        previous, row = row, [row[0] + gap(phone)]
        for index, other in enumerate(second):
            row.append(
                min(
                    previous[index] + phone_distance(phone, other),
                    previous[index + 1] + gap(phone),
                    row[-1] + gap(other),
                )
            )
    return row[-1]


def contains(phones: Sequence[str], part: Sequence[str]) -> bool:
    """Return whether ``part`` occurs in ``phones`` without interruption."""
    return f" {' '.join(part)} " in f" {' '.join(phones)} "


def syllables(phones: Sequence[str]) -> list[list[str]]:
    """Cut a word into syllables of one vowel; consonants go to the next vowel if a word can begin with them.

    Returns:
        The phones in order, in one list per vowel; a word without vowels is one syllable.
    """
    vowels = [index for index, phone in enumerate(phones) if phone in VOWELS]
    starts = [0]
    for left, right in zip(vowels, vowels[1:], strict=False):
        start = right
        while start - 1 > left and _can_begin(phones[start - 1 : right]):
            start -= 1
        starts.append(start)
    return [list(phones[start:stop]) for start, stop in zip(starts, [*starts[1:], len(phones)], strict=True)]


def _can_begin(cluster: Sequence[str]) -> bool:
    """Return whether an English word can begin with these consonants."""
    if len(cluster) == 1:
        return cluster[0] != "NG"
    if len(cluster) == 3:
        return cluster[0] == "S" and cluster[1] in {"P", "T", "K"} and _can_begin(cluster[1:])
    if len(cluster) > 3:
        return False
    first, second = cluster
    return (
        (second in {"R", "L"} and first in {"P", "B", "K", "G", "F"})
        or (second == "R" and first in {"T", "D", "TH", "SH"})
        or (second == "W" and first in {"T", "D", "K", "G", "S", "TH"})
        or (second == "Y" and first in {"P", "B", "K", "G", "F", "V", "M", "N", "HH"})
        or (first == "S" and second in {"P", "T", "K", "M", "N", "L", "F"})
    )
