"""The report of a preparation: what is there, what was left out and why, in JSON and as a page to read."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data_prep import manifests
from data_prep.checks import CheckResult, count_kinds
from kws.audio import atomic_write
from kws.manifest import SPLITS, Recording
from kws.text import normalize, shown

LENGTH_EDGES_S = (0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 60.0, 600.0, 3600.0)
"""Upper edges of the histogram of lengths, in seconds; what is longer is in a last bar."""

BAR_WIDTH = 40
"""Characters of the longest bar."""

LISTED_MAX = 200
"""Recordings listed by name on the page for each level; the JSON file holds all."""


def build(
    result: CheckResult, recordings: Sequence[Recording], notes: Sequence[str], provenance: dict[str, Any]
) -> dict[str, Any]:
    """Collect the report.

    Args:
        result: what the checks found.
        recordings: what is kept, with splits.
        notes: sentences about what was read and how it was split.
        provenance: configuration, its hash and the sources.
    Returns:
        Values that JSON can hold.
    """
    findings = [
        {
            "path": str(check.recording.path),
            "offset_s": check.recording.offset_s,
            "kind": finding.kind,
            "level": finding.level,
            "message": finding.message,
        }
        for check in result.checks
        for finding in check.findings
    ]
    return {
        "provenance": provenance,
        "num_found": len(result.checks),
        "num_kept": len(recordings),
        "num_left_out": len(result.left_out),
        "left_out_by_kind": count_kinds(result.left_out, "reject"),
        "warnings_by_kind": count_kinds(result.checks, "warning"),
        "notes_by_kind": count_kinds(result.checks, "note"),
        "notes": list(notes),
        "splits": _splits(recordings),
        "hours": manifests.hours(recordings),
        "lengths": _histogram([recording.duration_s or 0.0 for recording in recordings]),
        "findings": findings,
    }


def to_markdown(report: dict[str, Any]) -> str:
    """Return the report as a page to read."""
    lines = ["# Data report", ""]
    lines.append(
        f"{report['num_kept']} of {report['num_found']} recordings kept, {report['num_left_out']} left out. "
        f"Configuration {report['provenance'].get('config_hash', 'unknown')}."
    )
    lines += [
        "",
        "## Splits",
        "",
        "| split | recordings | speakers | without speaker | hours |",
        "|---|---|---|---|---|",
    ]
    for name, row in report["splits"].items():
        lines.append(
            f"| {name} | {row['num_recordings']} | {row['num_speakers']} | {row['num_without_speaker']} "
            f"| {row['hours']:.3f} |"
        )
    if report["notes"]:
        lines += ["", *(f"- {note}" for note in report["notes"])]
    names = list(report["splits"])
    lines += [
        "",
        "## Hours by label",
        "",
        f"| label | {' | '.join(names)} |",
        "|---" * (len(names) + 1) + "|",
    ]
    for label in sorted({label for labels in report["hours"].values() for label in labels}):
        hours = [report["hours"].get(name, {}).get(label) for name in names]
        cells = " | ".join("-" if value is None else f"{value:.3f}" for value in hours)
        lines.append(f"| {_cell(label)} | {cells} |")
    lines += ["", "## Lengths", "", "```"]
    most = max(report["lengths"].values(), default=0)
    for name, count in report["lengths"].items():
        bar = "#" * max(round(BAR_WIDTH * count / most), 1) if count else ""
        lines.append(f"{name:>14}  {count:>8}  {bar}".rstrip())
    lines.append("```")
    for level, title in (("reject", "Left out"), ("warning", "Kept, but look at these")):
        lines += _section(report, level, title)
    if report["notes_by_kind"]:
        counts = ", ".join(f"{count} {kind}" for kind, count in report["notes_by_kind"].items())
        lines += ["", "## Converted on reading", "", f"{counts} (report.json names them)."]
    return "\n".join(lines) + "\n"


def write(report: dict[str, Any], folder: Path) -> None:
    """Write ``report.json`` and ``report.md`` into a folder."""
    texts = {
        "report.json": json.dumps(report, ensure_ascii=False, indent=1) + "\n",
        "report.md": shown(to_markdown(report)),
    }
    for name, text in texts.items():
        with atomic_write(folder / name) as temporary:
            temporary.write_bytes(text.encode("utf-8", "backslashreplace"))  # in JSON an escape of its own


def _splits(recordings: Sequence[Recording]) -> dict[str, dict[str, Any]]:
    """Count recordings, speakers and hours of each split, train first."""
    groups: dict[str, list[Recording]] = defaultdict(list)
    for recording in recordings:
        groups[recording.split or "unsplit"].append(recording)
    return {
        name: {
            "num_recordings": len(groups[name]),
            "num_speakers": len({item.speaker for item in groups[name] if item.speaker is not None}),
            "num_without_speaker": sum(item.speaker is None for item in groups[name]),
            "hours": sum(item.duration_s or 0.0 for item in groups[name]) / 3600,
        }
        for name in (*SPLITS, "unsplit")
        if name in groups
    }


def _histogram(lengths_s: Sequence[float]) -> dict[str, int]:
    """Count lengths by ``LENGTH_EDGES_S``; empty bars at either end are left out."""
    edges = (0.0, *LENGTH_EDGES_S, float("inf"))
    counts = {}
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        name = f"{low:g} - {high:g} s" if high != float("inf") else f"over {low:g} s"
        counts[name] = sum(low < length <= high for length in lengths_s)
    filled = [index for index, count in enumerate(counts.values()) if count]
    return dict(list(counts.items())[filled[0] : filled[-1] + 1]) if filled else {}


def _section(report: dict[str, Any], level: str, title: str) -> list[str]:
    """List findings of a level, grouped by kind."""
    found = [finding for finding in report["findings"] if finding["level"] == level]
    if not found:
        return []
    lines = ["", f"## {title}", ""]
    for finding in sorted(found, key=lambda finding: finding["kind"])[:LISTED_MAX]:
        lines.append(f"- **{finding['kind']}** {normalize(finding['message'])}")
    if len(found) > LISTED_MAX:
        lines.append(f"- and {len(found) - LISTED_MAX} more (report.json names them)")
    return lines


def _cell(text: str) -> str:
    """Keep a label from breaking its table."""
    return text.replace("|", "\\|").replace("\n", " ")
