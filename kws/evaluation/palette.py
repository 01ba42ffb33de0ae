"""Colours of lines in pictures, as many as there are lines, told apart with any colour vision."""

from __future__ import annotations

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import to_rgb

COLORS = ("#0072b2", "#d55e00", "#008060", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""After Okabe and Ito."""
SHADES = (("black", 0.45), ("white", 0.4), ("black", 0.7), ("white", 0.65))
"""What the colours but black are mixed with, and how much, where there are more lines: light and dark are
told apart with any colour vision too."""


def colors(number: int) -> list[tuple[float, float, float]]:
    """Return as many colours, no two of them the same."""
    found = [to_rgb(color) for color in COLORS]
    for other, share in SHADES:
        end = np.array(to_rgb(other))
        found += [tuple((1 - share) * np.array(to_rgb(c)) + share * end) for c in COLORS[:-1]]
    more = colormaps["viridis"](np.linspace(0, 1, max(number - len(found), 0)))[:, :3]
    return [*found, *map(tuple, more)][:number]
