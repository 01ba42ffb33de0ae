"""What the service says about itself: its models, from the metadata inside their files."""

from __future__ import annotations

import json

from wyoming.info import Attribution, Info, WakeModel, WakeProgram

from kws.serve.library import Catalog, ServedModel
from kws.version import __version__

PROGRAM = "kws"
ABOUT = "Custom wake words by transfer from a pretrained speech recognizer"


def info_of(catalog: Catalog) -> Info:
    """Return the answer to ``describe``."""
    return Info(
        wake=[
            WakeProgram(
                name=PROGRAM,
                attribution=Attribution(name=PROGRAM, url=""),
                installed=True,
                description=ABOUT,
                version=__version__,
                models=[_described(model) for model in catalog.models.values()],
            )
        ]
    )


def _described(model: ServedModel) -> WakeModel:
    """Return one keyword: Home Assistant lists the description, and asks for the name."""
    metadata = model.file.detector.metadata
    encoder = metadata.get("encoder", "unknown")
    return WakeModel(
        name=model.name,
        phrase=model.keyword,
        description=model.name,
        languages=_languages(metadata.get("languages")),
        version=metadata.get("config_hash"),
        attribution=Attribution(
            name=f"{metadata.get('created_by', PROGRAM)}, encoder {encoder} ({model.file.detector.license})",
            url=metadata.get("url", ""),
        ),
        installed=True,
    )


def _languages(text: str | None) -> list[str]:
    """Return the languages that a file names; [] where it names none, which stands for any."""
    try:
        found = json.loads(text or "[]")
    except ValueError:
        return []
    return [name for name in found if isinstance(name, str)] if isinstance(found, list) else []
