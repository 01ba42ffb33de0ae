"""The picture of a study: misses by number of recordings, a panel per condition, a line per choice."""

from __future__ import annotations

import io
from itertools import cycle

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kws.study.recipe import CONTROL
from kws.study.results import StudyResults

DPI = 110
COLOURS = ("#0072b2", "#d55e00", "#008060", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""After Okabe and Ito: told apart with any colour vision."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h")
CONTROL_COLOUR = "#8a949d"
SPREAD = 0.025
"""Choices stand this far apart, as a share of the number of recordings: their intervals do not overlap."""


def misses_by_recordings(study: StudyResults) -> bytes:
    """Draw the misses of every choice over the number of recordings, with exact intervals; returns PNG."""
    names = study.conditions
    figure = Figure(figsize=(4.2 * len(names) + 1.8, 4.6), dpi=DPI, layout="constrained")
    panels = figure.subplots(1, len(names), sharex=True, squeeze=False)[0]
    for axes, condition in zip(panels, names, strict=True):
        _panel(axes, study, condition)
    panels[0].set_ylabel(f"misses at {study.compared_at:g} false accepts per hour (%)")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", frameon=False, fontsize=9)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _panel(axes: Axes, study: StudyResults, condition: str) -> None:
    """Draw one condition."""
    numbers = {recordings: study.num_recordings(recordings) for recordings in study.recordings()}
    styles = zip(cycle(COLOURS), cycle(MARKERS), strict=False)
    for index, choice in enumerate(study.choices):
        colour, marker = next(styles)
        points = [
            (numbers[recordings], study.misses(choice, recordings, condition, study.compared_at))
            for recordings in study.recordings(choice)
        ]
        if not points:
            continue
        shift = 1 + SPREAD * (index - (len(study.choices) - 1) / 2)
        rate = np.array([100 * misses.rate for _, misses in points])
        below = rate - np.array([100 * misses.low for _, misses in points])
        above = np.array([100 * misses.high for _, misses in points]) - rate
        axes.errorbar(
            [number * shift for number, _ in points],
            rate,
            yerr=[below, above],
            color=CONTROL_COLOUR if choice == CONTROL else colour,
            ls="--" if choice == CONTROL else "-",
            marker=marker,
            ms=5,
            lw=1.5,
            elinewidth=0.9,
            capsize=2,
            label=choice,
        )
    axes.set_xscale("symlog", linthresh=5, linscale=0.4)  # from 0 to 5 linear
    axes.set_xticks(list(numbers.values()), labels=[str(recordings) for recordings in numbers])
    axes.minorticks_off()
    axes.set(title=condition, xlabel="recordings", ylim=(0, None))
    axes.grid(color="#d8dde2", lw=0.8)
    axes.spines[["top", "right"]].set_visible(False)
