"""What is known of audio that people may fetch: which files, what they are for, and under which terms."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from data_prep.corpora.base import PublicCorpus
from data_prep.fetching import RemoteFile
from kws.manifest import Recording

ROLES = ("negatives", "noise", "rooms")
"""Arguments of training that fetched audio can stand for."""
ROLE_OF_LABEL = {"rir": "rooms", "noise": "noise", "background_noise": "noise"}
"""Label in a corpus's manifest -> role; what has another label, or none, are negatives."""
ARCHIVES = (".tar.gz", ".tgz", ".zip")
"""Endings of files that are unpacked; others are taken as they are."""


@dataclass(frozen=True, slots=True)
class CorpusFile:
    """One file of a corpus: an archive, or a table beside it."""

    file: RemoteFile
    unpacked_mb: int = 0
    """What the kept files of an archive take, about; twice as much is refused."""
    into: str = ""
    """Folder that it is unpacked or put into, below that of the audio."""
    keep: tuple[str, ...] = ("*",)
    """Patterns of the names in the archive that are wanted."""

    @property
    def is_archive(self) -> bool:
        """Return whether it is unpacked."""
        return self.file.name.endswith(ARCHIVES)

    def wants(self, name: str) -> bool:
        """Tell whether a file of the archive is unpacked."""
        return any(fnmatchcase(name, pattern) for pattern in self.keep)


@dataclass(frozen=True, slots=True)
class PublicData:
    """Audio that can be fetched by one name."""

    name: str
    """On the command line."""
    corpus: PublicCorpus
    """Recipe that reads the unpacked files, with license, address and citation."""
    what: str
    """What it holds, for a person."""
    roles: tuple[str, ...]
    """What it is for, of :data:`ROLES`."""
    hours: str
    """How much audio there is, about."""
    download_mb: int
    """What is fetched, in MB; about, where the publisher does not say."""
    root: str
    """Folder below that of the audio which the recipe reads."""
    parts: tuple[CorpusFile, ...] = ()
    """Files; where there are none, the publisher lists them."""
    is_commercial: bool = True
    """It may be used for business."""

    @property
    def is_size_known(self) -> bool:
        """Return whether the size of the download is known exactly."""
        return bool(self.parts) and all(part.file.size is not None for part in self.parts)

    @property
    def folder(self) -> str:
        """Return the name of its folder."""
        return self.name.replace(":", "-")


def role_of(recording: Recording) -> str:
    """Return what a recording of a corpus is for."""
    return ROLE_OF_LABEL.get(recording.label or "", "negatives")
