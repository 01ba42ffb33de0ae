"""What a program may know of an exported file without opening it: the manifest beside it, ``model.json``."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from kws.audio import atomic_write
from kws.detector import Detector
from kws.json_text import parse_json

SCHEMA = 1
"""Version of the keys below."""


def manifest_path(model: Path) -> Path:
    """Return where the manifest of a file lies: ``model.json`` beside ``model.onnx``."""
    return model.with_suffix(".json")


def write_manifest(model: Path) -> Path:
    """Write the manifest of an exported file beside it; returns its path.

    Raises:
        CheckpointError: the file is no exported model.
    """
    path = manifest_path(model)
    with atomic_write(path) as temporary:
        text = json.dumps(manifest(model), indent=2, ensure_ascii=False) + "\n"
        temporary.write_text(text, encoding="utf-8")
    return path


def manifest(model: Path) -> dict[str, Any]:
    """Return the manifest of an exported file.

    Raises:
        CheckpointError: the file is no exported model.
    """
    detector = Detector(model)
    facts = detector.metadata
    return {
        "schema": SCHEMA,
        "name": model.name,
        "sha256": hashlib.sha256(model.read_bytes()).hexdigest(),
        "bytes": model.stat().st_size,
        "keywords": list(detector.keywords),
        "thresholds": detector.thresholds,
        "false_accepts_per_hour": float(facts["false_accepts_per_hour"])
        if "false_accepts_per_hour" in facts
        else None,
        "languages": parse_json(facts.get("languages", "[]")),
        "license": detector.license,
        "encoder": facts.get("encoder"),
        "sample_rate": detector.sample_rate,
        "chunk_samples": detector.chunk_samples,
        "hop_samples": detector.hop_samples,
        "lookahead_ms": detector.lookahead_ms,
        "streams": "several" if detector.takes_several_streams else "one",
        "format_version": facts["format_version"],
        "created_by": facts.get("created_by"),
        "config_hash": facts.get("config_hash"),
    }
