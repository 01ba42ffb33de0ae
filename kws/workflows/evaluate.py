"""Measure a model on recordings: misses, false accepts per hour and latency; what ``kws eval`` does."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from kws.workflows import folders
from kws.workflows.notices import quiet_libraries
from kws.workflows.written_files import REPORT

if TYPE_CHECKING:
    from kws.evaluation.protocol import TestProtocol
    from kws.evaluation.result import EvaluationResult
    from kws.manifest import Recording


logger = logging.getLogger(__name__)


Split = Literal["train", "dev", "test", "all"]


def default_output(model: Path) -> Path:
    """Return the folder of the report of a model: inside its folder, or beside its file."""
    return model / "evaluation" if model.is_dir() else model.with_name(f"{model.stem}-evaluation")


@folders.leaves_nothing(REPORT)
@quiet_libraries()
def evaluate(
    model: Path,
    positives: Sequence[Path],
    negatives: Sequence[Path],
    output: Path | None = None,
    *,
    noise: Sequence[Path] = (),
    rooms: Sequence[Path] = (),
    keyword: str | None = None,
    split: Split = "test",
    false_accepts_per_hour: Sequence[float] = (0.1, 0.5, 1.0),
    protocol: TestProtocol | Path | None = None,
    overrides: Sequence[str] = (),
    overwrite: bool = False,
    progress: bool = False,
    command: str = "kws.evaluate",
) -> EvaluationResult:
    """Evaluate a model on anything that ``kws prep`` reads.

    Args:
        model: an exported ``.onnx`` or a folder of ``kws train``.
        positives: sources of clips of the keyword.
        negatives: sources of audio without it.
        output: folder of the report; None writes none.
        noise: sources of noise, for the conditions and among the negatives.
        rooms: sources of recorded room impulse responses, for the conditions with a room; without noise they
            add the condition `room`.
        keyword: judge this one only.
        split: of recordings that have a split, those of this one count.
        false_accepts_per_hour: rates of false accepts to report misses at.
        protocol: how it is tested, or the YAML file that says so; None is the default one, without noise
            where none is given.
        overrides: ``key=value`` changes of it.
        overwrite: replace an earlier report.
        progress: show bars.
        command: what was called, for the report.
    Raises:
        KwsError: as :func:`kws.evaluation.evaluate.evaluate` and :func:`data_prep.manifests.read`.
    """
    from kws.config import parse_overrides
    from kws.evaluation import evaluate as evaluation
    from kws.evaluation.protocol import changed_protocol
    from kws.workflows.protocol_audio import open_audio
    from kws.workflows.trained_on import copies_of, trained_on

    if output is not None:
        read = {"model": (model,), "positives": positives, "negatives": negatives, "noise": noise}
        read["rooms"] = rooms
        folders.keep_apart(output, read, above=False)  # a report beside a model or recordings harms neither
        folders.claim(output, REPORT)
    provenance = {
        "command": command,
        "split": split,
        "positives": ", ".join(map(str, positives)),
        "negatives": ", ".join(map(str, negatives)),
    }
    if noise:
        provenance["noise"] = ", ".join(map(str, noise))
    if rooms:
        provenance["rooms"] = ", ".join(map(str, rooms))
    given = parse_overrides(list(overrides))
    used = changed_protocol(protocol, given)
    if protocol is None and not noise and "conditions" not in given:
        used = used.without_noise()
        if rooms:
            used = replace(used, conditions={**used.conditions, "room": {"room": True}})
    clips, other = read_utterances(positives, split), read_utterances(negatives, split)
    heard = open_audio(
        used, read_utterances(noise, split) if noise else (), rooms, _without(other, clips, keyword)
    )
    return evaluation.evaluate(
        model,
        clips,
        other,
        output,
        heard=heard,
        copies_of=copies_of,
        trained_on=trained_on(model),
        keyword=keyword,
        false_accepts_per_hour=false_accepts_per_hour,
        provenance=provenance,
        overwrite=overwrite,
        progress=progress,
    )


def _without(speech: Sequence[Recording], clips: Sequence[Recording], keyword: str | None) -> list[Recording]:
    """Return speech in which nothing is said that a clip is of."""
    from kws.text import is_said

    words = {word for clip in clips for word in (keyword, clip.label, clip.text) if word}
    return [entry for entry in speech if not any(is_said(word, entry.text, entry.label) for word in words)]


def read_utterances(sources: Sequence[Path], split: Split) -> list[Recording]:
    """Read recordings of a split, and those without one.

    Raises:
        ManifestError: a source cannot be read, or nothing of the split is there.
    """
    from data_prep import manifests
    from kws.errors import ManifestError

    notes: list[str] = []
    recordings = manifests.read_all(sources, notes)
    for note in notes:
        logger.warning("%s", note)
    chosen = [entry for entry in recordings if split == "all" or entry.split in (None, split)]
    if not chosen:
        found = ", ".join(sorted({entry.split for entry in recordings if entry.split}))
        raise ManifestError(
            f"{', '.join(map(str, sources))}: no recordings of split {split}; there are {found}; give `split`"
        )
    return [entry.with_length() for entry in chosen]
