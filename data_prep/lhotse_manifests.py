"""Manifests from Lhotse, whose recipes prepare corpora."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kws.errors import DependencyError, ManifestError
from kws.manifest import Recording, from_row

SAVE_FIRST = "save the audio first (`CutSet.save_audios`)"
"""What to do about audio that exists only while Lhotse reads it."""


def is_lhotse(row: dict[str, Any]) -> bool:
    """Tell whether the object of a JSONL line is one of Lhotse's."""
    return str(row.get("type", "")).endswith("Cut") or "sources" in row or "recording_id" in row


def from_lhotse(row: dict[str, Any], folder: Path, where: str) -> Recording:
    """Turn one Lhotse cut or recording into ours.

    Args:
        row: the object of one line.
        folder: folder of the Lhotse manifest; relative audio paths start there.
        where: file and line, for messages.
    Raises:
        ManifestError: the cut is not one stretch of one file, all channels, read as it is, of one speaker.
        DependencyError: lhotse is not installed.
    """
    _lhotse()
    from lhotse.serialization import deserialize_item

    if row.get("type") in {"MixedCut", "PaddingCut"}:
        raise ManifestError(f"{where}: a {row['type']} is no single audio file; {SAVE_FIRST}")
    if "recording_id" in row:
        raise ManifestError(f"{where}: Lhotse supervisions name no audio; give cuts (`lhotse cut simple`)")
    try:
        item = deserialize_item(dict(row))
    except Exception as error:  # reading a foreign object fails in many ways
        raise ManifestError(
            f"{where}: not a Lhotse cut or recording ({error!r}); write it again with lhotse"
        ) from error
    is_cut = hasattr(item, "supervisions")
    audio = item.recording if is_cut else item
    if audio is None or len(audio.sources) != 1 or audio.sources[0].type != "file":
        raise ManifestError(f"{where}: the audio is not one file on disk; {SAVE_FIRST}")
    if audio.transforms:
        raise ManifestError(f"{where}: the audio is changed while it is read (speed, volume); {SAVE_FIRST}")
    if is_cut and item.num_channels < audio.num_channels:
        raise ManifestError(
            f"{where}: takes {item.num_channels} of {audio.num_channels} channels, all are averaged here; "
            f"{SAVE_FIRST}"
        )
    return from_row(
        {**_labels(item if is_cut else None, where), **_place(item, audio, is_cut)}, folder, where
    )


def _lhotse() -> Any:
    """Import lhotse where it is needed."""
    try:
        import lhotse
    except ImportError as error:
        raise DependencyError(
            "Lhotse manifests and recipes need it: `pip install 'kws[train]'`, or give JSONL with `path`"
        ) from error
    return lhotse


def _place(item: Any, audio: Any, is_cut: bool) -> dict[str, Any]:
    """Return which stretch of which file an item is."""
    return {
        "path": audio.sources[0].source,
        "duration_s": item.duration,
        "sample_rate": audio.sampling_rate,
        "offset_s": item.start if is_cut else 0.0,
    }


def _labels(cut: Any | None, where: str) -> dict[str, Any]:
    """Return text, speaker and custom fields of a cut; the first supervision wins where several differ."""
    if cut is None:
        return {}
    values = dict(cut.custom or {})
    for supervision in reversed(cut.supervisions):
        values.update(supervision.custom or {})
    speakers = sorted({supervision.speaker for supervision in cut.supervisions if supervision.speaker})
    if len(speakers) > 1:
        raise ManifestError(
            f"{where}: {len(speakers)} speakers in one cut; cut it by speaker (`CutSet.trim_to_supervisions`)"
        )
    values["text"] = " ".join(supervision.text for supervision in cut.supervisions if supervision.text)
    values["speaker"] = speakers[0] if speakers else None
    values["language"] = cut.supervisions[0].language if cut.supervisions else None
    return values
