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
    assert phones.decode([0, k, k, 0, ae, ae, t, 0, 0]) == ["K", "AE", "T"]
    assert phones.decode([k, 0, k, k]) == ["K", "K"]  # a blank keeps two apart
    assert phones.decode([]) == phones.decode([0, 0]) == []
