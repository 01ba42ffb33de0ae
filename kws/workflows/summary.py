"""How a command tells what it made: what was made, notes, warnings, the next command, in this order."""

from __future__ import annotations

from collections.abc import Sequence


def summary_lines(made: Sequence[str], notes: Sequence[str], following: Sequence[str]) -> list[str]:
    """Return the lines to print.

    Args:
        made: what there is now.
        notes: sentences for the person; one that begins with ``WARNING`` comes last, as it is.
        following: what to do with it.
    """
    from kws.evaluation.thresholds import WARNING

    kept = list(dict.fromkeys(notes))
    warnings = [note for note in kept if note.startswith(WARNING)]
    return [*made, *(f"note: {note}" for note in kept if note not in warnings), *warnings, *following]
