"""The one look of all pages: colors that can be read, and templates that escape what they are given."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kws import pages

GROUNDS = {
    "background": ("text", "dim", "accent", "good", "bad", "mark"),
    "surface": ("text", "dim", "accent", "good", "bad", "mark"),
    "raised": ("text", "dim", "accent", "good", "bad"),
    "note": ("text",),
    "accent": ("on-accent",),
    "bad": ("on-bad",),
    "paper": ("on-paper",),
}
"""Ground -> colors of the text that stands on it."""
SHAPES = {
    "surface": ("edge", "accent", "mark"),
    "background": ("edge", "accent", "mark"),
    "raised": ("edge",),
}
"""Ground -> colors of borders and outlines that a person must see; WCAG 2.2 asks 3 : 1 of these."""


def schemes() -> dict[str, dict[str, str]]:
    """Return the variables of each color scheme."""
    light, dark = (
        dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))
        for block in re.findall(r":root \{(.*?)\}", pages.style(), re.DOTALL)
    )
    return {"light": light, "dark": {**light, **dark}}


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colors, as WCAG 2.2 defines it."""
    lighter, darker = sorted(map(luminance, (one, other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(color: str) -> float:
    """Return the relative luminance of ``#rrggbb``."""
    parts = [int(color[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_contrast_is_that_of_the_standard():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)  # known to fail just so


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read_on_its_ground(scheme: str):
    colors = schemes()[scheme]
    pairs = [(text, ground, 4.5) for ground, texts in GROUNDS.items() for text in texts]
    pairs += [(shape, ground, 3.0) for ground, shapes in SHAPES.items() for shape in shapes]
    weak = {
        f"{text} on {ground}": round(contrast(colors[text], colors[ground]), 2)
        for text, ground, least in pairs
        if contrast(colors[text], colors[ground]) < least
    }
    assert not weak


def test_every_color_of_the_style_is_a_variable_that_exists():
    rules = re.sub(r":root \{.*?\}", "", pages.style(), flags=re.DOTALL)
    assert not re.findall(r"#[0-9a-f]{3,8}\b(?![^{]*\{)", rules)
    used = set(re.findall(r"var\(--([\w-]+)\)", rules))
    assert used and used <= set(schemes()["light"])


def test_the_style_asks_no_address_for_anything():
    assert "url(" not in pages.style() and "@import" not in pages.style() and "//" not in pages.style()


def test_a_page_escapes_what_it_is_given_and_refuses_a_missing_name(tmp_path: Path):
    from jinja2 import UndefinedError

    (tmp_path / "own.html").write_text('{% extends "base.html" %}{% block content %}{{ said }}{% endblock %}')
    template = pages.environment(tmp_path).get_template("own.html")
    html = template.render(title="a & b", said="<script>alert(1)</script>")
    assert "<title>a &amp; b</title>" in html and "&lt;script&gt;" in html and "<script>" not in html
    assert "--background: #f4f6f8" in html
    with pytest.raises(UndefinedError, match="said"):
        template.render(title="a")


def test_a_table_can_be_scrolled_by_keyboard_and_has_a_name():
    parts = pages.environment().get_template("parts.html").module
    html = parts.table("numbers", ["a", "b"], [["<1>", "2"]])
    assert 'tabindex="0"' in html and 'aria-label="numbers"' in html and "<td>&lt;1&gt;</td>" in html
