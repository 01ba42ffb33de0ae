"""From recordings as people have them to a checked, split manifest with a report: what ``kws prep`` calls."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from data_prep import checks, manifests, report, splits
from data_prep.config import PrepConfig, SourceConfig
from kws.audio import atomic_write
from kws.config import config_hash, to_dict
from kws.errors import ManifestError
from kws.manifest import Recording

logger = logging.getLogger(__name__)

DONE_NAME = ".done"
"""Marker of a finished folder: hash of the configuration and of the recordings that went in."""

CACHE_NAME = "measurements.jsonl"
"""Measurements of each file, from which an interrupted preparation goes on."""


@dataclass(frozen=True, slots=True)
class Preparation:
    """What ``prepare`` leaves behind."""

    manifest: Path
    """The manifest, with a split for each recording."""
    report: dict[str, Any]
    """Contents of ``report.json``; ``report.md`` beside it is the same to read."""
    was_done: bool
    """The folder held the result already; nothing was computed."""


def prepare(config: PrepConfig, overwrite: bool = False, progress: bool | None = None) -> Preparation:
    """Read, check and split recordings; write the manifest and a report.

    A finished folder is returned as it is; an interrupted one goes on where it stopped.

    Args:
        config: sources, limits, split and output folder.
        overwrite: replace a manifest that was made from other settings or recordings.
        progress: show a bar; None shows it on a terminal only.
    Raises:
        ManifestError: a source cannot be read, too many recordings cannot be used, or the output folder holds
            another result and ``overwrite`` is false.
    """
    output = Path(config.output).absolute()
    manifest, done = output / "manifest.jsonl", output / DONE_NAME
    notes: list[str] = []
    recordings = _read(config.sources, notes)
    marker = {"config": _settings_hash(config), "recordings": manifests.fingerprint(recordings)}
    if manifest.exists():
        if _read_marker(done) == marker and (output / "report.json").exists():
            logger.info("%s: already prepared from the same settings and recordings", output)
            return Preparation(
                manifest, json.loads((output / "report.json").read_text(encoding="utf-8")), True
            )
        if not overwrite:
            raise ManifestError(
                f"{manifest}: exists and was made from other settings or recordings; add `overwrite=True`, "
                "or choose another `output`"
            )
    done.unlink(missing_ok=True)
    result = checks.check_all(recordings, config.checks, config.num_workers, progress, output / CACHE_NAME)
    outcome = splits.split(result.kept, config.split)
    manifests.validate(outcome.recordings, outcome.shared_speakers)
    provenance = {
        "config_hash": marker["config"],
        "recordings_hash": marker["recordings"],
        "config": to_dict(config),
    }
    summary = report.build(result, outcome.recordings, [*notes, *outcome.notes], provenance)
    report.write(summary, output)
    manifests.write(outcome.recordings, manifest)
    with atomic_write(done) as temporary:
        temporary.write_text(json.dumps(marker) + "\n", encoding="utf-8")
    return Preparation(manifest, summary, False)


def _read(sources: tuple[SourceConfig, ...], notes: list[str]) -> list[Recording]:
    """Read all sources; empty fields get the source's value, and what is passed by is noted."""
    found = []
    for source in sources:
        given: dict[str, Any] = {
            "label": source.label,
            "speaker": source.speaker,
            "split": source.split,
            "language": source.language,
            "source": source.name,
        }
        for recording in manifests.read(source.path, notes):
            fill = {
                name: value
                for name, value in given.items()
                if value is not None and getattr(recording, name) is None
            }
            found.append(replace(recording, **fill))
    return found


def _settings_hash(config: PrepConfig) -> str:
    """Hash what the result depends on: not the number of threads, nor where it is written."""
    settings = to_dict(config)
    return config_hash(
        {key: value for key, value in settings.items() if key not in ("num_workers", "output")}
    )


def _read_marker(path: Path) -> dict[str, str] | None:
    """Return the marker of a finished folder, or None."""
    try:
        marker = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        return None
    return marker if isinstance(marker, dict) else None
