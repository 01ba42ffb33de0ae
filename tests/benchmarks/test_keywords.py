"""The table of the keyword benchmark: rows of a changed setting stand by themselves."""

from __future__ import annotations

from benchmarks import corpora, keywords


def row(change: str, missed: int) -> dict[str, object]:
    misses = {
        condition: {str(rate): [missed, 100] for rate in keywords.RATES} for condition in corpora.CONDITIONS
    }
    return {
        "count": None,
        "policy": keywords.DEFAULT,
        "change": change,
        "misses": misses,
        "negative_hours": 4.0,
        "original_hours": 2.0,
    }


def test_rows_of_a_changed_setting_are_not_added_to_the_others():
    rows = {"usual": row("", 1), "again": row("", 3), "changed": row("train.epochs=4", 8)}
    _, _, _, _, usual, changed = keywords.table(rows)
    assert usual.startswith("| all | auto (default) | 2 | 2.0 (")
    assert changed.startswith("| all | auto (default), train.epochs=4 | 1 | 8.0 (")
