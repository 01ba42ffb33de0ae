"""The weights of a student that ship: made once from any speech, by :mod:`kws.student.pretraining`."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from kws.errors import CheckpointError
from kws.student.network import Student
from kws.weights import load_strictly, read_weights


def load_pretrained(student: Student, path: Path | None = None) -> None:
    """Give a new student the weights that ship, or those of another file of the same size.

    Raises:
        CheckpointError: the file is damaged, or of another size.
    """
    shipped = resources.files("kws") / "assets" / "student" / "weights.safetensors"
    with resources.as_file(shipped) as place:
        source = path or place
        if not source.is_file():
            raise CheckpointError(f"{source}: no such file; install the package again")
        load_strictly(student, read_weights(source), source)
