"""Where a trained model comes from: versions, manifests, encoder source and licence."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from kws.model import WakeWordModel

PACKAGES = ("kws", "torch", "torchaudio", "lightning", "numpy", "soundfile", "soxr")


def provenance(
    model: WakeWordModel, manifests: Sequence[Path], identity: str, languages: Sequence[str]
) -> dict[str, Any]:
    """Return plain values for ``provenance.json``.

    Args:
        model: whose encoder names its source and licence.
        manifests: files the run was trained on; their SHA-256 is stored.
        identity: hash of configuration and sources.
        languages: of the keywords, as eSpeak codes.
    """
    info = model.encoder.info
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "config_hash": identity,
        "languages": list(languages),
        "encoder": {"name": info.name, "source": info.source, "licence": info.license},
        "manifests": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in manifests},
        "packages": versions,
        "python": platform.python_version(),
    }
