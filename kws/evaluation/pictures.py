"""The report's pictures: DET curve and score timelines over spectrograms, as PNG. Needs matplotlib."""

from __future__ import annotations

import io
import textwrap
from itertools import cycle

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from scipy import signal

from kws.audio import SAMPLE_RATE
from kws.evaluation.palette import colors
from kws.evaluation.result import Example, KeywordResult

BLUE, ORANGE, GREEN, GRAY = "#0072b2", "#d55e00", "#008060", "#5f6b76"
"""After Okabe and Ito: told apart with any colour vision."""

DPI = 110

NAME_WIDTH = 34
"""Characters of the name of a group in one line."""

STYLES = ("-", "--", "-.", ":")
"""Of the lines of conditions."""

SPECTROGRAM_SAMPLES, SPECTROGRAM_HOP = 400, 80
"""25 ms windows every 5 ms."""

DYNAMIC_RANGE_DB = 60.0


def det_curve(result: KeywordResult) -> bytes:
    """Draw miss rate over false accepts per hour, with intervals and operating points; returns PNG."""
    return _png(det_figure(result))


def det_figure(result: KeywordResult) -> Figure:
    """Return the picture of :func:`det_curve`: a line for each condition, every operating point within."""
    hours = result.operating[0].false_accepts.hours
    zero_x, zero_y = 0.5 / hours, 0.5 / result.num_positives  # where a count of zero is drawn
    right = max(10 / hours, 2.0, *(1.6 * entry.false_accepts.per_hour for entry in result.operating))
    figure = Figure(figsize=(7.4, 4.6), dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    axes.axvspan(zero_x * 0.8, zero_x * 1.25, color="#eceff2", lw=0)
    highest = _draw_lines(axes, result, zero_x, zero_y, right)
    _draw_points(axes, result, zero_x, zero_y)
    top = min(1.15, 1.6 * max(highest, *(entry.misses.rate for entry in result.operating)))
    axes.set(xscale="log", yscale="log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_formatter(NullFormatter())
    _name_axes(axes, (zero_x, right), (zero_y, top), hours)
    axes.set(xlim=(zero_x * 0.8, right), ylim=(zero_y * 0.8, top))
    axes.grid(which="major", color="#d8dde2", lw=0.8)
    axes.grid(which="minor", color="#eef1f3", lw=0.5)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, frameon=False, fontsize=9)
    _ask(figure, "How many are missed, at how many false accepts?")
    return figure


def groups(result: KeywordResult) -> bytes:
    """Draw the miss rate of each condition and group at the stored threshold; returns PNG."""
    return _png(groups_figure(result))


def groups_figure(result: KeywordResult) -> Figure:
    """Return the picture of :func:`groups`: a row for all clips, and one for each group."""
    stored = result.operating[0]
    rows = {f"all, {result.condition}": stored.misses}
    rows.update({group.name: group.misses for group in stored.groups})
    lines = [textwrap.fill(f"{name} ({misses.trials})", NAME_WIDTH) for name, misses in rows.items()]
    height = 1.3 + 0.2 * len(lines) + 0.15 * sum(line.count("\n") + 1 for line in lines)
    figure = Figure(figsize=(7.4, height), dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    for row, misses in enumerate(rows.values()):
        color = BLUE if row else ORANGE
        axes.plot([100 * misses.low, 100 * misses.high], [row, row], color=color, lw=1.8)
        axes.plot(100 * misses.rate, row, "o", color=color, ms=6)
    axes.set_yticks(range(len(lines)), labels=lines)
    axes.set(ylim=(len(lines) - 0.4, -0.6), xlabel="missed at the stored threshold (%)")
    axes.set_xlim(left=0)
    _ask(figure, "Who is missed, and where?")
    axes.grid(axis="x", color="#d8dde2", lw=0.8)
    axes.spines[["top", "right", "left"]].set_visible(False)
    return figure


def _draw_lines(axes: Axes, result: KeywordResult, zero_x: float, zero_y: float, right: float) -> float:
    """Draw misses in the first condition, with their interval, and in each condition; return the highest."""
    own = result.condition if result.det_by_condition else "misses at each number of false accepts"
    lines = {own: result.det, **result.det_by_condition}
    shades = (BLUE, *colors(len(lines) + 2)[3:])  # the second and third are those of the points
    highest = 0.0
    for (name, points), color, style in zip(lines.items(), shades, cycle(STYLES), strict=False):
        x = np.array([max(point.false_accepts.per_hour, zero_x) for point in points])
        y, low, high = (
            np.array([max(getattr(point.misses, part), zero_y) for point in points])
            for part in ("rate", "low", "high")
        )
        x, y, low, high = (np.append(values, values[-1]) for values in (x, y, low, high))
        x[-1] = max(x[-1], right)  # the last step goes on
        if points is result.det:
            axes.fill_between(x, low, high, step="post", color=BLUE, alpha=0.16, lw=0, label="95 % interval")
        axes.step(x, y, where="post", color=color, ls=style, lw=2, label=name)
        highest = max(highest, float(high.max()))
    return highest


def _draw_points(axes: Axes, result: KeywordResult, zero_x: float, zero_y: float) -> None:
    """Draw the stored threshold and those that keep to a rate."""
    stored, *others = result.operating
    rates = " / ".join(f"{entry.target_per_hour:g}" for entry in others)
    for entries, marker, color, size, label in (
        ([stored], "D", ORANGE, 9, f"stored threshold {result.stored_threshold:.3g}"),
        (others, "o", GREEN, 6, f"at most {rates} per hour"),
    ):
        axes.plot(
            [max(entry.false_accepts.per_hour, zero_x) for entry in entries],
            [max(entry.misses.rate, zero_y) for entry in entries],
            ls="",
            marker=marker,
            color=color,
            ms=size,
            mec="white",
            zorder=5,
            label=label,
        )


def _name_axes(axes: Axes, across: tuple[float, float], up: tuple[float, float], hours: float) -> None:
    """Label the axes, from the places where a count of zero is drawn to their ends."""
    (zero_x, right), (zero_y, top) = across, up
    axes.set_xlabel(f"false accepts per hour of negatives ({hours:.3g} h)")
    axes.set_ylabel("miss rate")
    decades = 10.0 ** np.arange(np.floor(np.log10(zero_x)), np.ceil(np.log10(right)) + 1)
    steps = (1, 2, 5) if right < 200 * zero_x else (1,)
    ticks = [step * decade for decade in decades for step in steps if 1.6 * zero_x < step * decade <= right]
    axes.set_xticks([zero_x, *ticks], labels=["none", *(f"{tick:g}" for tick in ticks)])
    ticks = [
        tick
        for tick in (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
        if 1.4 * zero_y < tick <= top
    ]
    labels = ["none", *(f"{100 * tick:g} %" for tick in ticks)]
    axes.set_yticks([zero_y, *ticks], labels=labels)


def timeline(example: Example, waveform: np.ndarray, threshold: float) -> bytes:
    """Draw the score over time above the spectrogram of the same stretch; returns PNG.

    Args:
        example: what is shown.
        waveform: (samples,) float32 of the stretch.
        threshold: the stored one.
    """
    figure = Figure(
        figsize=(5.2, 2.9), dpi=DPI
    )  # a fixed layout: a computed one takes longer than the drawing
    figure.subplots_adjust(left=0.1, right=0.985, bottom=0.145, top=0.975, hspace=0.14)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(1, 1.25))
    above.axhline(threshold, color=GRAY, lw=1, ls="--")
    side, gap = ("top", -3) if threshold > 0.5 else ("bottom", 2)
    label = f"threshold {threshold:.3g}"
    above.annotate(
        label, (0, threshold), (4, gap), textcoords="offset points", fontsize=8, color=GRAY, va=side
    )
    above.plot(example.times_s, example.scores, color=BLUE, lw=1.6)
    above.fill_between(example.times_s, example.scores, color=BLUE, alpha=0.12, lw=0)
    above.set(ylim=(0, 1.04), ylabel="score", xlim=(0, max(example.length_s, 0.1)))
    window = signal.get_window("hann", SPECTROGRAM_SAMPLES)
    transform = signal.ShortTimeFFT(window, SPECTROGRAM_HOP, SAMPLE_RATE, scale_to="magnitude")
    padded = np.pad(waveform, (0, max(0, SPECTROGRAM_SAMPLES - len(waveform))))
    power_db = 20 * np.log10(
        np.abs(transform.stft(padded.astype(np.float64))) + 1e-8
    )  # (frequencies, windows)
    span = (transform.t(len(padded))[0], transform.t(len(padded))[-1], 0, SAMPLE_RATE / 2000)
    top_db = float(power_db.max())
    below.imshow(
        power_db,
        origin="lower",
        aspect="auto",
        extent=span,
        cmap="magma",
        vmin=top_db - DYNAMIC_RANGE_DB,
        vmax=top_db,
    )
    below.set(ylabel="kHz", xlabel="seconds", xlim=above.get_xlim())
    for axes, light in ((above, False), (below, True)):
        if example.speech_end_s is not None:
            axes.axvline(example.speech_end_s, color="white" if light else GRAY, lw=1.2, ls=":")
        if example.fired_s is not None:
            axes.axvline(example.fired_s, color=ORANGE, lw=1.6)
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    return _png(figure)


def _ask(figure: Figure, question: str) -> None:
    """Put the question that a picture answers above it, at the left, where a phone shows it."""
    figure.suptitle(question, x=0.01, ha="left", fontsize=12)


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
