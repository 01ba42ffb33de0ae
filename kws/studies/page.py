"""One HTML page with what a study found, its pictures inside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kws.counts import counted
from kws.pages import Picture, environment
from kws.studies.compare import all_gains, behind_best, savings
from kws.studies.recipe import CONTROL
from kws.studies.recommend import Recommendation
from kws.studies.results import StudyResults
from kws.studies.tables import points_table, summary_table


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
    table = recommendation.table
    return (
        environment()
        .get_template("study.html")
        .render(
            title=f"Study of {', '.join(f'“{keyword}”' for keyword in keywords)}",
            about=f"{counted(len(study.cells), 'cell')}, {result.negative_hours:.3g} h of negatives, of them "
            f"{result.original_hours:.3g} h distinct originals.",
            warnings=warnings,
            misses=Picture.of(misses, "misses by number of recordings, a panel per condition"),
            compared_at=f"{study.compared_at:g} false accept{'' if study.compared_at == 1 else 's'}",
            behind=_picture(behind, "misses beside the best choice, a panel per number of recordings"),
            behind_table=points_table(study, behind_best(study)) if behind else None,
            gains=_picture(gains, "gain over training from scratch, a panel per number of recordings"),
            gains_table=points_table(study, all_gains(study, CONTROL)) if gains else None,
            savings=list(map(str, savings(study))) if gains else [],
            against=[
                {"name": other, "table": points_table(study, all_gains(study, other))} for other in against
            ],
            compared="; ".join(compared),
            verdicts=[
                [str(said.recordings), said.choice or "none", said.reason] for said in recommendation.verdicts
            ],
            rule=table.rule if table else "",
            steps=[[str(step.recordings), str(step)] for step in table.policies] if table else [],
            summary=summary_table(study),
            provenance=[(key.replace("_", " "), str(value)) for key, value in provenance.items()],
        )
    )


def _picture(png: bytes | None, text: str) -> Picture | None:
    return None if png is None else Picture.of(png, text)
