"""A study as tables: a row per cell and a row per choice and number of recordings, as CSV and Markdown."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kws.audio import atomic_write
from kws.counts import counted
from kws.studies.compare import Gain, gain_over
from kws.studies.recipe import CONTROL
from kws.studies.results import StudyResults


def result_rows(study: StudyResults) -> Iterator[dict[str, Any]]:
    """Yield a row per finished cell."""
    for cell, result in study.cells.items():
        row: dict[str, Any] = {
            "choice": cell.choice,
            "keyword": cell.keyword,
            "recordings": cell.recordings,
            "seed": cell.seed,
            "policy": result.policy,
            "training_recordings": result.num_recordings,
        }
        for condition in study.conditions:
            for rate in study.rates:
                count = result.miss_count(condition, rate)
                place = f"{condition} at {rate:g}/h"
                row |= {
                    f"missed, {place}": len(count.missed),
                    f"clips, {place}": count.clips,
                    f"threshold, {place}": count.threshold,
                    f"false accepts, {place}": count.false_accepts,
                }
        yield row | {
            "negative_hours": result.negative_hours,
            "original_hours": result.original_hours,
            "stored_threshold": result.stored_threshold,
            "moving_parameters": result.moving_parameters,
            "parameters": result.parameters,
            "train_s": result.train_s,
            "wall_s": result.wall_s,
            "precision": result.precision,
            "config_hash": result.config_hash,
            "cell": result.identity,
        }


def summary_rows(study: StudyResults) -> Iterator[dict[str, Any]]:
    """Yield a row per choice and number of recordings: misses with intervals, and the gain over scratch."""
    for recordings in study.recordings():
        for choice in study.choices:
            members = list(study.members(choice, recordings).values())
            if not members:
                continue
            row: dict[str, Any] = {
                "recordings": recordings,
                "choice": choice,
                "cells": len(members),
                "policy": "/".join(sorted({member.policy for member in members})),
                "moving_parameters": round(sum(m.moving_parameters for m in members) / len(members)),
                "train_s": round(sum(member.train_s for member in members) / len(members), 1),
            }
            for condition in study.conditions:
                for rate in study.rates:
                    misses = study.misses(choice, recordings, condition, rate)
                    place = f"{condition} at {rate:g}/h"
                    row |= {
                        f"missed, {place}": misses.events,
                        f"clips, {place}": misses.trials,
                        f"miss rate, {place}": round(misses.rate, 5),
                        f"low, {place}": round(misses.low, 5),
                        f"high, {place}": round(misses.high, 5),
                    }
            for name in (None, *study.conditions):
                gain = None if choice == CONTROL else gain_over(study, choice, CONTROL, recordings, name)
                place = f"gain, {name or 'mean of conditions'} at {study.compared_at:g}/h"
                row |= {
                    f"{place}{part}": "" if gain is None else round(getattr(gain, field), 5)
                    for part, field in (("", "value"), (" low", "low"), (" high", "high"))
                }
            yield row


def write_csv(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    """Write rows that have the same keys, under a temporary name first."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    with atomic_write(path) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8")
    return path


def short_table(study: StudyResults) -> tuple[list[str], list[list[str]]]:
    """Return header and cells of misses in % at the compared rate, one condition a column."""
    rows = []
    for recordings in study.recordings():
        for choice in study.choices:
            members = study.members(choice, recordings)
            if members:
                found = [study.misses(choice, recordings, n, study.compared_at) for n in study.conditions]
                rows.append(
                    [
                        "none" if recordings == 0 else str(recordings),
                        study.labels.get(choice, choice),
                        str(len({seed for _, seed in members})),
                        *(f"{100 * misses.rate:.1f}" for misses in found),
                    ]
                )
    return ["recordings", "detector", "draws", *study.conditions], rows


def summary_table(study: StudyResults) -> tuple[list[str], list[list[str]]]:
    """Return header and cells of the summary: misses in % with exact intervals, and the gain in points."""
    header = ["recordings", "choice", "cells"]
    header += [f"{name}, {rate:g} FA/h" for name in study.conditions for rate in study.rates]
    rows = []
    for recordings in study.recordings():
        for choice in study.choices:
            members = study.members(choice, recordings)
            if not members:
                continue
            values = []
            for name in study.conditions:
                for rate in study.rates:
                    found = study.misses(choice, recordings, name, rate)
                    values.append(f"{100 * found.rate:.1f} ({100 * found.low:.1f}–{100 * found.high:.1f})")
            gain = None if choice == CONTROL else gain_over(study, choice, CONTROL, recordings)
            shown = [] if not study.has_control() else ["–" if gain is None else str(gain)]
            rows.append([str(recordings), choice, str(len(members)), *values, *shown])
    if study.has_control():
        header.append(f"gain over scratch, {study.compared_at:g} FA/h")
    return header, rows


def points_table(
    study: StudyResults, by_choice: Mapping[str, Mapping[int | str, Gain]]
) -> tuple[list[str], list[list[str]]]:
    """Return header and cells of gains by choice and number of recordings, in points.

    Where not all runs of both choices are finished, their number is in parentheses.
    """
    numbers = study.recordings()

    def told(gain: Gain | None) -> str:
        if gain is None:
            return "–"
        return str(gain) if gain.num_pairs == study.num_runs else f"{gain} ({gain.num_pairs})"

    rows = [[choice, *(told(found.get(number)) for number in numbers)] for choice, found in by_choice.items()]
    return ["choice", *(counted(number, "recording") for number in numbers)], rows


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]
