"""One HTML page with what a study found, its pictures inside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from kws.counts import counted
from kws.evaluation import page
from kws.studies.compare import all_gains, behind_best, savings
from kws.studies.recipe import CONTROL
from kws.studies.recommend import Recommendation
from kws.studies.results import StudyResults
from kws.studies.tables import points_table, summary_table

READING = """
<h2>How to read this</h2>
<p><b>Missed</b>: a clip of the keyword in which nothing fired, at the lowest threshold that keeps to the rate
of false accepts on <i>these</i> negatives: for comparing choices, and a little too good for a forecast. A
cell is <code>kws train</code>, <code>kws export</code> and <code>kws.Detector</code> on people, noise and
rooms that training never met.</p>
<p><b>Intervals</b> of misses are exact (Clopper-Pearson, 95 %) over all keywords and seeds together, and
suppose that clips are independent. The same clips are heard in every cell, so the truth is less certain.</p>
<p><b>Gain</b>: how many points fewer are missed than by the control, the common settings from random weights.
Both heard the same clips after training on the same recordings, and are subtracted clip by clip. The interval
is a bootstrap over two crossed factors, the people heard and the runs (Owen, arXiv:0712.1111; Bisani and Ney,
ICASSP 2004). It does not hold for other keywords.</p>
"""


def render(
    study: StudyResults,
    misses: bytes,
    gains: bytes | None,
    behind: bytes | None,
    *,
    against: Sequence[str] = (),
    warnings: Sequence[str],
    recommendation: Recommendation,
    compared: Sequence[str],
    provenance: Mapping[str, object],
) -> str:
    """Return the page.

    Args:
        study: what is finished.
        misses: PNG of the misses by number of recordings.
        gains: PNG of the gains over the control, where there is one.
        behind: PNG of how far each choice is behind the best, where there are choices.
        against: choices that every other one is held against.
        warnings: sentences that a reader must not miss.
        recommendation: what is recommended for each number of recordings, and the table for ``auto``.
        compared: sentences on which choices were compared for it.
        provenance: where the numbers come from.
    """
    result = next(iter(study.cells.values()))
    keywords = sorted({cell.keyword for cell in study.cells})
    title = f"Study of {', '.join(f'“{keyword}”' for keyword in keywords)}"
    notes = f"<p class=note>{'<br>'.join(map(escape, warnings))}</p>" if warnings else ""
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        '<meta name=viewport content="width=device-width,initial-scale=1">',
        f"<title>{escape(title)}</title><style>{page.STYLE}main{{max-width:1500px}}</style><main>",
        f"<h1>{escape(title)}</h1>",
        f"<p>{counted(len(study.cells), 'cell')}, {result.negative_hours:.3g} h of negatives, of them "
        f"{result.original_hours:.3g} h distinct originals.</p>",
        notes,
        "<h2>Misses by number of recordings</h2><figure>",
        page.image(misses, "misses by number of recordings, a panel per condition"),
        f"<figcaption>At {study.compared_at:g} false accepts per hour, with exact 95 % intervals; choices "
        "stand a little apart.</figcaption></figure>",
        *_behind(study, behind),
        *_gains(study, gains),
        *(part for other in against for part in _against(study, other)),
        *_recommendation(recommendation, compared),
        "<h2>All numbers</h2>",
        "<p class=dim>Misses in % with exact 95 % intervals, over keywords and seeds.</p>",
        page.table(*summary_table(study)),
        READING,
        "<h2>Where the numbers come from</h2>",
        page.table((), [(key.replace("_", " "), str(value)) for key, value in provenance.items()], "facts"),
        "</main></html>",
    ]
    return "\n".join(parts)


def _behind(study: StudyResults, picture: bytes | None) -> list[str]:
    """Return how much more each choice misses than the best."""
    if picture is None:
        return []
    return [
        "<h2>Behind the best choice</h2><p class=dim>Points more missed than by the choice that misses least "
        "with as many recordings, the mean of conditions, with the 95 % interval.</p>",
        "<figure>",
        page.image(picture, "misses beside the best choice, a panel per number of recordings"),
        "<figcaption>Blue: the interval holds zero, so the two are not told apart.</figcaption></figure>",
        page.table(*points_table(study, behind_best(study))),
    ]


def _gains(study: StudyResults, picture: bytes | None) -> list[str]:
    """Return what transfer gains, in points, by choice and number of recordings, and what it saves."""
    if picture is None:
        return ["<p class=dim>There is no control, so nothing is said about what transfer gains.</p>"]
    saved = "".join(f"<li>{escape(str(saving))}</li>" for saving in savings(study))
    return [
        "<h2>Gain over training from scratch</h2><p class=dim>Points fewer missed, the mean of conditions, "
        "with the 95 % interval; below zero is more missed.</p>",
        "<figure>",
        page.image(picture, "gain over training from scratch, a panel per number of recordings"),
        "<figcaption>Orange: the interval holds zero or less.</figcaption></figure>",
        page.table(*points_table(study, all_gains(study, CONTROL))),
        "<h2>Recordings saved</h2><p class=dim>Miss rates are the mean of conditions.</p>",
        f"<ul>{saved}</ul>",
    ]


def _against(study: StudyResults, other: str) -> list[str]:
    """Return what each choice gains over one of them."""
    return [
        f"<h2>Gain over {escape(other)}</h2><p class=dim>Points fewer missed, the mean of conditions, with "
        "the 95 % interval; below zero is more missed.</p>",
        page.table(*points_table(study, all_gains(study, other))),
    ]


def _recommendation(found: Recommendation, compared: Sequence[str]) -> list[str]:
    """Return what is recommended for each number of recordings and why, and the table for ``auto``."""
    rows = [[str(said.recordings), said.choice or "none", said.reason] for said in found.verdicts]
    parts = [
        f"<h2>Recommended policy</h2><p class=dim>{escape('; '.join(compared))}.</p>",
        page.table(["recordings", "recommended", "why"], rows),
    ]
    if found.table is None:
        return [*parts, "<p>No policy is recommended; <code>auto</code> stays as it is.</p>"]
    steps = [[str(step.recordings), str(step)] for step in found.table.policies]
    return [
        *parts,
        f"<p class=dim>For <code>auto</code>. Rule: {escape(found.table.rule)}.</p>",
        page.table(["from recordings", "policy"], steps),
    ]
