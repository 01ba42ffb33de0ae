"""ARPAbet symbols to outputs and back."""

from __future__ import annotations

import pytest

from kws import phones
from kws.errors import ManifestError


def test_stress_is_dropped_and_every_symbol_has_its_own_output():
    assert phones.encode("K AH0 M") == phones.encode(["K", "AH2", "M"]) == [20, 3, 22]
    assert sorted(phones.encode(" ".join(phones.PHONES))) == list(range(1, 40)) and phones.NUM_OUTPUTS == 40


def test_an_unknown_symbol_is_named_with_its_file():
    with pytest.raises(ManifestError, match=r"^a/b\.wav: unknown phone 'QQ' in 'K QQ T'; allowed: AA AE"):
        phones.encode("K QQ T", "a/b.wav")


def test_decoding_merges_repeats_and_drops_blanks():
    k, ae, t = phones.encode("K AE T")
    assert phones.collapse([0, k, k, 0, ae, ae, t, 0, 0]) == [k, ae, t]
    assert phones.collapse([k, 0, k, k]) == [k, k]  # a blank keeps two apart
    assert phones.collapse([]) == phones.collapse([0, 0]) == []


def test_an_inventory_of_its_own_keeps_digits_and_marks_what_it_lacks():
    assert phones.encode_in(["51", "n", "i"], "n i 51 i") == [2, 3, 1, 3]
    assert phones.encode_in(["n", "i"], "n i 51") == [1, 2, phones.UNKNOWN]
    assert phones.encode_in(["n"], "") == []
