"""The one form of text."""

from kws.text import normalize


def test_a_letter_has_one_form_however_it_was_typed() -> None:
    assert normalize("cafe\u0301") == "caf\u00e9" == normalize("caf\u00e9")
    assert normalize("computer \uff12") == "computer 2"
    assert normalize("น้ำ") == "น้ำ" and normalize("ຄຳ") == "ຄຳ"  # one letter each, not two
