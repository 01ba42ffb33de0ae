"""What the process of a cell is told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kws.workflows.enroll.request import EnrollRequest
from kws.workflows.train.request import TrainRequest


@dataclass(frozen=True)
class PeerCall:
    """A detector of others, and what it may read; see :class:`kws.studies.peers.PeerRequest`."""

    name: str
    """``module:function``."""
    positives: Path | None
    """Manifest of the drawn recordings; None where there are none."""
    negatives: tuple[Path, ...]
    noise: tuple[Path, ...]
    files: Path | None
    """Folder of its own files."""
    cache: Path


@dataclass(frozen=True)
class CellRequest:
    """All that the process is told: ``trainings``, ``enrollment`` or ``peer``, and how it is tested."""

    folder: Path
    """Of the study."""
    identity: str
    """Hash of all that determines the cell."""
    keyword: str
    """The one that is read."""
    num_recordings: int
    """Of it."""
    seed: int
    policy: str
    """As resolved, of the first run; or what is done in place of training."""
    test: Path
    """Folder of the test audio."""
    clips: str
    """Name of the keyword's clips there."""
    rates: tuple[float, ...]
    keep_run: bool
    """Leave the folder of the run."""
    trainings: tuple[TrainRequest, ...] = ()
    """Each but the first adds its keywords to the one before; the last is read. The process that runs the
    cell makes their folders."""
    enrollment: EnrollRequest | None = None
    peer: PeerCall | None = None
