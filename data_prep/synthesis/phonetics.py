"""How alike two phones, words or phrases sound, by how phones are made and a weighted edit distance."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from data_prep.synthesis.arpabet import PHONES, VOWELS
from kws.phone_table import PHONE_TABLE

_PLACE = {"labial": 0.0, "dental": 0.25, "alveolar": 0.4, "palatal": 0.6, "velar": 0.85, "glottal": 1.0}
_MANNER = {"stop": 0.0, "affricate": 0.25, "fricative": 0.45, "nasal": 0.6, "liquid": 0.85, "glide": 1.0}

_PLACE_OF = {place: place for place in _PLACE} | {"postalveolar": "palatal"}
"""Attribute of the table of phones -> place on the scale above."""


def _consonant(made: str) -> tuple[str, str, bool]:
    """Return place, manner and voicing of how a consonant is made; the first place counts."""
    attributes = made.split()
    place = next(_PLACE_OF[attribute] for attribute in attributes if attribute in _PLACE_OF)
    if "plosive" in attributes:
        manner = "affricate" if "fricative" in attributes else "stop"
    elif "approximant" in attributes:
        manner = "liquid" if {"lateral", "rhotic"} & set(attributes) else "glide"
    else:
        manner = next(attribute for attribute in attributes if attribute in _MANNER)
    return place, manner, "voiced" in attributes


def _vowel(phone: str) -> tuple[float, float, float, float, bool]:
    """Return height and backness at the start and at the end, and whether a vowel is r-coloured."""
    made, positions = PHONE_TABLE[phone]
    assert positions is not None
    return (*positions, "rhotic" in made.split())


_CONSONANTS = {
    phone: _consonant(PHONE_TABLE[phone].made)
    for phone in "P B T D K G CH JH F V TH DH S Z SH ZH HH M N NG L R W Y".split()
}
"""Place, manner and voicing. Of those that are equally near the first is taken, so the order counts."""

_VOWELS = {phone: _vowel(phone) for phone in "IY IH EH AE AH ER AA AO UH UW EY AY OY AW OW".split()}
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
