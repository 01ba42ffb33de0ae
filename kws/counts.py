"""Numbers in the sentences that people read. Needs the standard library only."""

from __future__ import annotations


def counted(number: int | str, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun, such as ``1 detection`` and ``0 detections``.

    Args:
        number: how many; a word such as ``all`` is more than one.
        noun: of one.
        plural: of any other number; None adds an s.
    """
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"
