"""The pictures of a study: misses by number of recordings, and what each choice gains over scratch."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kws.counts import counted
from kws.evaluation.palette import COLORS, colors
from kws.studies.compare import Gain, behind_best, gains_of
from kws.studies.recipe import CONTROL
from kws.studies.results import StudyResults

DPI = 110
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h", "*", "8", "d", "H")
NAME_WIDTH = 28
"""Characters of a name in one line."""
LEGEND_ROW, LETTER = 0.19, 0.085
"""Inches of a line of the legend, and of a letter beside an axis."""
LETTERS_PER_INCH = 13
"""Of the text below the panels."""
QUESTION_WIDTH = 44
"""Characters of a line of the question above a picture."""
CONTROL_COLOR = "#8a949d"
SPREAD = 0.025
"""Choices stand this far apart, as a share of the number of recordings: their intervals do not overlap."""
WIDEST = 0.3
"""All choices together take at most this share of the number of recordings: less than to the next number."""
TICKS = (0, 1, 3, 6, 10, 15, 20, 30, 40, 60, 80, 100)
"""Of the misses, in %: few are told apart beside the many of the control."""
POINT_TICKS = (0, 1, 4, 9, 16, 30, 60, 100)
"""Of the points between two choices, in both directions."""
CROWDED = 8.0
"""Width of a panel, in roots of points, in which every other tick is left out: their numbers would touch."""
LINE_FROM = 4
"""Numbers of recordings that make a line; choices with fewer would hide those that have them."""


def misses_by_recordings(study: StudyResults) -> bytes:
    """Draw misses over the number of recordings, with exact intervals, a panel per condition; returns PNG."""
    return _png(misses_figure(study))


def misses_figure(study: StudyResults) -> Figure:
    """Return the picture of :func:`misses_by_recordings`."""
    names, choices = study.conditions, choices_with_lines(study)
    lines = [line for choice in choices for line in in_lines(choice).split("\n")]
    width = 4.2 * len(names) + LETTER * max(map(len, lines)) + 0.6
    height = max(4.6, LEGEND_ROW * len(lines) + 0.3)
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    panels = figure.subplots(1, len(names), sharex=True, squeeze=False)[0]
    for axes, condition in zip(panels, names, strict=True):
        _panel(axes, study, choices, condition)
    panels[0].set_ylabel(f"misses at {study.compared_at:g} false accepts per hour (%, square-root scale)")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", frameon=False, fontsize=9)
    _ask(figure, "How many are missed with how many recordings?")
    return figure


def in_lines(name: str) -> str:
    """Return a name in lines that are short enough to stand beside a picture."""
    return textwrap.fill(name, NAME_WIDTH)


def choices_with_lines(study: StudyResults) -> list[str]:
    """Return the choices that have numbers of recordings enough, or where none has, those with most."""
    sizes = {choice: len(study.recordings(choice)) for choice in study.choices}
    return [choice for choice, size in sizes.items() if size >= min(LINE_FROM, max(sizes.values()))]


def gains(study: StudyResults) -> bytes | None:
    """Draw what each choice gains over scratch, with the interval, a panel per number of recordings.

    Returns:
        PNG; None where nothing can be compared.
    """
    by_choice = {choice: found for choice in study.choices if (found := gains_of(study, choice))}
    label = "points fewer missed than from scratch (orange: the interval holds zero or less)"
    question = "How much does transfer save over training from scratch?"
    return _drawn(intervals_figure(study, by_choice, question, label, lambda gain: gain.positive))


def behind(study: StudyResults) -> bytes | None:
    """Draw how much more each choice misses than the best one, in the same way."""
    label = "points more missed than by the best choice (blue: the interval holds zero or less)"
    question = "How much more does each choice miss than the best?"
    return _drawn(
        intervals_figure(study, behind_best(study), question, label, lambda gain: not gain.positive)
    )


def _drawn(figure: Figure | None) -> bytes | None:
    return None if figure is None else _png(figure)


def intervals_figure(
    study: StudyResults,
    by_choice: Mapping[str, Mapping[int | str, Gain]],
    question: str,
    label: str,
    is_good: Callable[[Gain], bool],
) -> Figure | None:
    """Return a picture with a row per choice and a panel per number of recordings; None where none is."""
    numbers = [
        number for number in study.recordings() if any(number in found for found in by_choice.values())
    ]
    if not numbers:
        return None
    names = list(map(in_lines, by_choice))
    rows = [name.split("\n") for name in names]
    letters = max(len(line) for lines in rows for line in lines)
    width = max(2.2 * len(numbers) + LETTER * letters + 0.4, 4.5)
    below = textwrap.fill(f"{label}; square-root scale", round(LETTERS_PER_INCH * width))
    height = (0.24 if max(map(len, rows)) == 1 else 0.4) * len(rows) + 0.2 * below.count("\n") + 1.4
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    panels = figure.subplots(1, len(numbers), sharey=True, squeeze=False)[0]
    for axes, number in zip(panels, numbers, strict=True):
        axes.axvline(0, color=CONTROL_COLOR, lw=1.2, ls="--")
        for row, found in enumerate(by_choice.values()):
            gain = found.get(number)
            if gain is not None:
                color = COLORS[0] if is_good(gain) else COLORS[1]
                axes.plot([100 * gain.low, 100 * gain.high], [row, row], color=color, lw=1.5)
                axes.plot(100 * gain.value, row, "o", color=color, ms=5)
        axes.set(title=counted(number, "recording"), ylim=(len(by_choice) - 0.5, -0.5))
        _square_root_scale(axes)
        axes.grid(color="#d8dde2", lw=0.8)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_yticks(range(len(by_choice)), labels=names)
    figure.supxlabel(below, fontsize=10)
    _ask(figure, question)
    return figure


def _ask(figure: Figure, question: str) -> None:
    """Put the question that a picture answers above it, at the left and in lines that a phone shows."""
    lines = textwrap.wrap(
        question, min(QUESTION_WIDTH, round(LETTERS_PER_INCH * figure.get_figwidth() * 0.8))
    )
    figure.set_figheight(figure.get_figheight() + 0.25 * len(lines))
    figure.suptitle("\n".join(lines), x=0.01, ha="left", fontsize=12)


def _square_root_scale(axes: Axes) -> None:
    """Let small differences between choices be seen beside large ones, in both directions."""
    low, high = axes.get_xlim()

    def root(x: np.ndarray) -> np.ndarray:
        root: np.ndarray = np.sign(x) * np.sqrt(np.abs(x))
        return root

    axes.set_xscale("function", functions=(root, lambda x: np.sign(x) * np.square(x)))
    shown = POINT_TICKS if np.ptp(root(np.array([low, high]))) < CROWDED else POINT_TICKS[::2]
    ticks = sorted({sign * tick for tick in shown for sign in (-1, 1)})
    axes.set_xticks([tick for tick in ticks if low <= tick <= high])
    axes.set_xlim(low, high)


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _panel(axes: Axes, study: StudyResults, choices: Sequence[str], condition: str) -> None:
    """Draw one condition."""
    numbers = {recordings: study.num_recordings(recordings) for recordings in study.recordings()}
    styles = zip(colors(len(choices)), cycle(MARKERS), strict=False)
    for index, choice in enumerate(choices):
        color, marker = next(styles)
        points = [
            (numbers[recordings], study.misses(choice, recordings, condition, study.compared_at))
            for recordings in study.recordings(choice)
        ]
        shift = 1 + min(SPREAD, WIDEST / len(choices)) * (index - (len(choices) - 1) / 2)
        rate = np.array([100 * misses.rate for _, misses in points])
        below = rate - np.array([100 * misses.low for _, misses in points])
        above = np.array([100 * misses.high for _, misses in points]) - rate
        axes.errorbar(
            [number * shift for number, _ in points],
            rate,
            yerr=[below, above],
            color=CONTROL_COLOR if choice == CONTROL else color,
            ls="--" if choice == CONTROL else "-",
            marker=marker,
            ms=5,
            lw=1.5,
            elinewidth=0.9,
            capsize=2,
            label=in_lines(choice),
        )
    axes.set_xscale("symlog", linthresh=5, linscale=0.4)  # from 0 to 5 linear
    named: dict[float, str] = {}
    for recordings, number in numbers.items():  # `all` may be as many as another number
        named[number] = f"{named[number]} = {recordings}" if number in named else str(recordings)
    axes.set_xticks(list(named), labels=list(named.values()))
    axes.minorticks_off()
    axes.set_yscale("function", functions=(lambda rate: np.sqrt(np.maximum(rate, 0)), np.square))
    highest = axes.get_ylim()[1]
    axes.set_yticks(
        [tick for tick in TICKS if tick <= highest], labels=[str(t) for t in TICKS if t <= highest]
    )
    axes.set(title=condition, xlabel="recordings", ylim=(0, highest))
    axes.grid(color="#d8dde2", lw=0.8)
    axes.spines[["top", "right"]].set_visible(False)
