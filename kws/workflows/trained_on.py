"""Which recordings of an evaluation a model was trained on: the manifests in the folder of its run tell."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from data_prep.copies import KnownRecordings
from kws.errors import ManifestError
from kws.manifest import Recording, from_row
from kws.weights import CONFIG

MANIFESTS = ("positives.jsonl", "recordings-*.jsonl", "negatives.jsonl")
"""What a run of `kws train` or `kws enroll` was trained on and chose its threshold by, in its ``data``."""
MADE_OF = ("added_to", "ensemble")
"""Keys of a provenance that name an earlier run."""


def copies_of(recordings: Sequence[Recording]) -> Callable[[Recording], bool]:
    """Return what tells whether a recording is one of these, by its file or by its samples."""
    return KnownRecordings(recordings).__contains__


def trained_on(model: Path) -> Callable[[Recording], bool] | None:
    """Return what tells whether a model was trained on a recording, or chosen by it.

    Args:
        model: the folder of a run, or an exported file in it.
    Returns:
        None where no run lies there.
    """
    folder = model if model.is_dir() else model.parent
    listed = _manifests(folder)
    if not listed or not (folder / CONFIG).is_file():
        return None
    listed += [path for run in _earlier_runs(folder) for path in _manifests(run)]
    return KnownRecordings(entry for path in listed for entry in _entries(path)).__contains__


def _manifests(folder: Path) -> list[Path]:
    """Return the manifests of a run that are there."""
    return [path for name in MANIFESTS for path in sorted((folder / "data").glob(name))]


def _earlier_runs(folder: Path) -> Iterator[Path]:
    """Yield the runs that a model was made of, as its provenance names them, and those that these were."""
    from kws.checkpoint import PROVENANCE

    path = folder / PROVENANCE
    stored = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    left = [stored]
    while left:
        for key in MADE_OF:
            earlier = left[0].get(key)
            if isinstance(earlier, dict):
                left.append(earlier)
                if "run" in earlier:
                    yield Path(earlier["run"])
        left.pop(0)


def _entries(path: Path) -> Iterator[Recording]:
    """Yield the recordings of a manifest that still can be read; their files may be gone."""
    for number, line in enumerate(path.read_text("utf-8").split("\n"), start=1):
        try:
            yield from_row(json.loads(line), path.parent, f"{path}, line {number}")
        except (json.JSONDecodeError, ManifestError):
            continue
