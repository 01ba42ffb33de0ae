"""What follows from the table of phones is what figures were measured with, in the same order."""

from __future__ import annotations

import hashlib

import pytest

from data_prep.synthesis import arpabet, phonetics
from kws import phone_attributes, phones


@pytest.mark.parametrize(
    ("table", "digest"),
    [
        (phone_attributes._MADE, "1fe7fbdc79192062"),
        (phonetics._CONSONANTS, "57fb30b4b380e1ed"),
        (phonetics._VOWELS, "89dff6f7e1a60e15"),
    ],
    ids=["attributes", "consonants", "vowels"],
)
def test_derived_tables_keep_their_values_and_order(table: dict[str, object], digest: str):
    assert hashlib.sha256(repr(list(table.items())).encode()).hexdigest()[:16] == digest


def test_worked_examples():
    assert phonetics._CONSONANTS["W"] == ("labial", "glide", True)
    assert phonetics._CONSONANTS["F"] == ("labial", "fricative", False)
    assert phonetics._CONSONANTS["JH"] == ("palatal", "affricate", True)
    assert phonetics._VOWELS["ER"] == (0.5, 0.55, 0.5, 0.55, True)


def test_the_inventory_is_one():
    assert arpabet.PHONES == phones.PHONES == tuple(sorted(phones.PHONES))
    assert arpabet.VOWELS == set(phonetics._VOWELS) and not arpabet.VOWELS & set(phonetics._CONSONANTS)
    assert len(phonetics._VOWELS) + len(phonetics._CONSONANTS) == len(phones.PHONES) == 39
