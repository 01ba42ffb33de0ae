"""The keyword benchmark: no recordings are not all of them."""

from __future__ import annotations

from pathlib import Path

from benchmarks import corpora, keywords
from benchmarks.keywords import Cell, cells, parse_cell, plot, shown, table


def row(count: int | None, policy: str, missed: int) -> dict[str, object]:
    cell = Cell("computer", count, policy, 0)
    misses = {name: {str(rate): [missed, 50] for rate in keywords.RATES} for name in corpora.CONDITIONS}
    hours = {"negative_hours": 4.0, "original_hours": 2.0}
    return {"cell": cell.name, **cell._asdict(), "misses": misses, **hours}


def test_every_cell_has_a_name_of_its_own_that_reads_back():
    wanted = cells(with_peer=True, with_choices=True)
    names = [cell.name for cell in wanted]
    assert len(set(names)) == len(names) and [parse_cell(name) for name in names] == wanted
    assert {"computer-0-head-0", "computer-0-late-1", "jarvis-0-late-0", "jarvis-all-late-0"} <= set(names)
    assert not any(cell.count == 0 and cell.policy in ("peer", "scratch") for cell in wanted)
    assert (shown(0), shown(None), shown(10)) == ("0", "all", "10")
    assert {"computer-0-auto-0", "jarvis-10-auto-1", "jarvis-all-auto-0"} <= set(names)


def test_the_table_begins_with_no_recordings_and_ends_with_all(tmp_path: Path):
    rows = {str(row["cell"]): row for row in (row(None, "all", 1), row(10, "all", 3), row(0, "all", 20))}
    lines = [line.split(" | ") for line in table(rows) if " | all | " in line]
    assert [line[0] for line in lines] == ["| 0", "| 10", "| all"]
    assert [line[3].split()[0] for line in lines] == ["40.0", "6.0", "2.0"]
    (default,) = [line for line in table({"cell": row(10, "auto", 2)}) if " | auto" in line]
    assert default.startswith("| 10 | auto (default) | 1 | 4.0 ")
    plot(rows, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 10_000
