"""Audio that is given in two roles: recordings of a keyword are kept out of negatives and noise.

Called where a command reads several roles. Copies are found by their file, by whatever path, before anything
is read, and by their samples where the audio is measured anyway.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from data_prep import manifests
from data_prep.checks import CheckResult
from data_prep.copies import KnownRecordings, with_hashes
from kws.errors import ManifestError
from kws.manifest import Recording


class OwnRecordings:
    """Recordings of the keywords, looked for among what is given as something else.

    Args:
        option: that names them, for messages.
        recordings: all of them, those too that cannot be used.
    """

    def __init__(self, option: str, recordings: Iterable[Recording] = ()) -> None:
        self.option = option
        self.known = KnownRecordings(recordings)
        self._left_out: Counter[str] = Counter()

    def read_others(
        self, role: str, sources: Sequence[Path], notes: list[str] | None = None
    ) -> list[Recording]:
        """Read sources of another role, without the files of the keywords.

        Args:
            role: ``negatives`` or ``noise``.
            sources: folders, manifests or cuts.
            notes: gets what a folder holds that is no audio.
        Raises:
            ManifestError: a source cannot be read, or holds nothing else.
        """
        kept = []
        for source in sources:
            found = manifests.read(source, notes)
            other = [entry for entry in found if not self.known.has_file(entry)]
            if not other:
                raise ManifestError(self._nothing_left(f"`{role}` {source}", len(found), role))
            self._left_out[role] += len(found) - len(other)
            kept += other
        return kept

    def kept(self, role: str, result: CheckResult) -> list[Recording]:
        """Return the usable recordings of a check with the hashes of their samples.

        Those of ``positives`` are added to what is looked for; those of ``negatives`` and ``noise`` are
        without copies.

        Raises:
            ManifestError: nothing but copies is there.
        """
        found = with_hashes(result)
        if role == "positives":
            self.known.add(found)
        return self.without_samples(role, found) if role in ("negatives", "noise") else found

    def without_samples(self, role: str, found: Sequence[Recording]) -> list[Recording]:
        """Return recordings of another role that have not the samples of one of a keyword.

        Raises:
            ManifestError: none has others.
        """
        other = [entry for entry in found if not self.known.has_samples(entry)]
        if not other:
            raise ManifestError(self._nothing_left(f"`{role}`", len(found), role))
        self._left_out[role] += len(found) - len(other)
        return other

    def notes(self) -> list[str]:
        """Say how many recordings were left out."""
        return [
            f"{role}: {number} recordings are given as `{self.option}` as well and were left out"
            for role, number in self._left_out.items()
            if number
        ]

    def _nothing_left(self, where: str, number: int, role: str) -> str:
        what = "speech without the keyword" if role == "negatives" else "noise"
        return (
            f"{where}: all {number} recordings are given as `{self.option}` as well; give {what}, and as "
            f"`{self.option}` a folder that holds the keyword alone"
        )


def noise_by_role(
    noise: Sequence[Recording], negatives: Sequence[Recording]
) -> tuple[list[Recording], list[Recording], list[str]]:
    """Return what noise adds to the negatives, what of it is mixed in, and what to say of copies.

    Noise that is among the negatives as well counts once and keeps their split, so that nothing held out is
    trained on.

    Args:
        noise: with splits.
        negatives: the same.
    """
    trained, held_out = (
        KnownRecordings(entry for entry in negatives if (entry.split == "train") is train)
        for train in (True, False)
    )
    further = [entry for entry in noise if entry not in trained and entry not in held_out]
    mixed = [
        entry for entry in noise if entry not in held_out and (entry.split == "train" or entry in trained)
    ]
    twice = len(noise) - len(further)
    notes = [f"noise: {twice} recordings are given as `negatives` as well and count once"] if twice else []
    return further, mixed, notes
