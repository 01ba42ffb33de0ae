"""Which run a command asks for: its settings, its identity, and the folder that is its own."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kws.errors import ConfigError
from kws.model import ModelConfig
from kws.training.config import TrainConfig
from kws.workflows import folders
from kws.workflows.recordings import Synthesis
from kws.workflows.train.fetched import TakenAudio
from kws.workflows.written_files import RUN

if TYPE_CHECKING:
    from kws.workflows.train.add_keywords import EarlierRun

IDENTITY = "run.json"
OF_DECISION = ("false_accepts_per_hour", "smoothing_frames", "refractory_s")
"""Keys that lay in ``train`` itself in earlier versions, and lie in ``train.decision``."""
AUDIO_OPTIONS = ("positives", "negatives", "noise", "rooms", "target_audio", "recordings")
"""Arguments that name recordings."""


@dataclass(frozen=True)
class RunConfig:
    """Contents of ``--config``, before the command line is laid over it."""

    model: dict[str, Any] = field(default_factory=dict)
    """Keys of :class:`kws.model.ModelConfig`; the keywords come from the command line."""
    train: dict[str, Any] = field(default_factory=dict)
    """Keys of :class:`kws.training.config.TrainConfig`."""

    def given(self) -> tuple[str, ...]:
        """Return the keys that an earlier run may fix; see :class:`TrainRequest`."""
        decision = self.train.get("decision", {})
        return (*(f"model.{key}" for key in self.model), *(f"train.decision.{key}" for key in decision))


@dataclass(frozen=True)
class TrainRequest:
    """One call of ``kws train``; :func:`kws.workflows.train.train` says what the other fields are."""

    keywords: tuple[str, ...]
    positives: tuple[Path, ...]
    negatives: tuple[Path, ...]
    output: Path
    model: ModelConfig
    """What is trained; with ``add_to`` the model is that of the earlier run."""
    train: TrainConfig
    """How, with policy ``auto`` as it is."""
    given: tuple[str, ...] = ()
    """Keys of ``model`` and ``train.decision`` that a person gave, such as ``model.depth``: with ``add_to``
    they must be those of the earlier run."""
    noise: tuple[Path, ...] = ()
    rooms: tuple[Path, ...] = ()
    target_audio: tuple[Path, ...] = ()
    synthesis: Synthesis = field(default_factory=Synthesis)
    cache: Path | None = None
    num_workers: int = 2
    add_to: Path | None = None
    overwrite: bool = False
    taken: tuple[TakenAudio, ...] = ()
    """Fetched audio among the sources, which nobody named."""

    def sources(self) -> dict[str, Sequence[Path | None]]:
        """Return all that the run reads, by argument."""
        return {
            "positives": self.positives,
            "negatives": self.negatives,
            "noise": self.noise,
            "rooms": self.rooms,
            "target_audio": self.target_audio,
            "weights": (self.model.weights,),
            "add_to": (self.add_to,),
            "train.transfer.auto_table": (self.train.transfer.auto_table,),
        }


@dataclass(frozen=True)
class ResolvedRun:
    """What a request comes to."""

    model: ModelConfig
    train: TrainConfig
    identity: str
    """Hash of all that determines the run, its sources by their paths."""
    earlier: EarlierRun | None
    """The run that a keyword is added to."""
    notes: tuple[str, ...]
    """Sentences for the person: what was asked for and means nothing here."""


def read_overrides(config: Path | None, overrides: Sequence[str]) -> RunConfig:
    """Return what ``--config`` and ``--set`` ask for, unchecked but for the two sections."""
    from kws.config import load_config, merge, parse_overrides, read_yaml

    values = merge(read_yaml(config) if config else {}, parse_overrides(list(overrides)))
    given = load_config(RunConfig, values, "config")
    return replace(given, train=with_decision(given.train))


def with_decision(train: Mapping[str, Any]) -> dict[str, Any]:
    """Return keys of ``train`` with those of earlier versions where they lie now; the latter win."""
    moved = {key: train[key] for key in OF_DECISION if key in train}
    rest = {key: value for key, value in train.items() if key not in moved}
    return {**rest, "decision": {**moved, **rest.get("decision", {})}} if moved else rest


def read_settings(keywords: Sequence[str], overrides: RunConfig) -> tuple[ModelConfig, TrainConfig]:
    """Return the settings of a run; see :func:`train`.

    Raises:
        ConfigError: a key is unknown or a value out of range.
    """
    from kws.config import load_config

    model = load_config(ModelConfig, {**overrides.model, "keywords": list(keywords)}, "model")
    return model, load_config(TrainConfig, overrides.train, "train")


def resolve(request: TrainRequest) -> ResolvedRun:
    """Read the settings of a run; nothing is written.

    Raises:
        KwsError: a key is unknown, a value out of range, or the run of ``add_to`` cannot be extended.
    """
    from kws.config import config_hash, to_dict
    from kws.regularizers import from_scratch, need_domains
    from kws.workflows.train.add_keywords import open_earlier

    settings = request.train
    earlier = None if request.add_to is None else open_earlier(request.add_to)
    if earlier is not None:
        settings = earlier.resolved(request.keywords, request.given, settings)
    if request.target_audio and not need_domains(settings.regularizers):
        raise ConfigError(
            "`target_audio`: nothing compares it; add `train.regularizers.dann=0.1`, or leave it out"
        )
    given = {"positives": request.positives, "negatives": request.negatives, "noise": request.noise}
    given |= {"rooms": request.rooms} if request.rooms else {}
    given |= {"target": request.target_audio} if request.target_audio else {}
    facts: dict[str, Any] = {
        "model": to_dict(request.model),
        "train": to_dict(settings),
        "sources": {name: [str(path.absolute()) for path in paths] for name, paths in given.items()},
        "synthesis": to_dict(request.synthesis),
    }
    if request.taken:
        facts["fetched"] = [each.facts() for each in request.taken]
    if earlier is not None:
        facts["add_to"] = earlier.identity()
    notes: list[str] = []
    if settings.transfer.policy == "scratch":
        kept = from_scratch(settings.regularizers)
        notes += [
            f"policy scratch: {name} is left out, as there is no source to stay near"
            for name in settings.regularizers
            if name not in kept
        ]
        settings = replace(settings, regularizers=kept)
    return ResolvedRun(request.model, settings, config_hash(facts), earlier, tuple(notes))


def claim_folder(
    output: Path, identity: str, overwrite: bool, sources: Mapping[str, Sequence[Path | None]] | None = None
) -> None:
    """Mark ``output`` as the folder of this run; refuse one that holds what another run has trained.

    Args:
        output: folder of the run.
        identity: hash of all that determines it.
        overwrite: remove what a finished run, or one of other settings, has left.
        sources: argument -> what is read, which must lie elsewhere.
    Raises:
        KwsError: the folder holds a run of other settings or sources, or no run at all; or a source lies in
            it or holds it, or cannot be read in place of what would be removed.
    """
    from kws.weights import METRICS, write_json

    sources = sources or {}
    folders.keep_apart(output, sources)
    folders.claim(output, RUN)
    marker, finished = output / IDENTITY, (output / METRICS).exists()
    begun = marker.exists() and (finished or (output / "checkpoints").exists())
    other = _identity(marker) != identity
    if begun and other and not overwrite:
        raise ConfigError(
            f"{output}: holds a run of other settings; choose another `output` or add `overwrite=True`"
        )
    if (begun and other) or (finished and overwrite):
        _read_first(sources)
        folders.clear(output)
    elif other:  # nothing was trained, or a removal was cut short
        folders.clear(output, names=[name for name in RUN.files if not name.startswith("cache/")])
    write_json(marker, {"identity": identity})


def _identity(marker: Path) -> str | None:
    """Return the identity of the run that a folder holds; None where there is none, or it is damaged."""
    try:
        values = json.loads(marker.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return values.get("identity") if isinstance(values, dict) else None


def _read_first(sources: Mapping[str, Sequence[Path | None]]) -> None:
    """Raise what is wrong with recordings while the run that they replace is still there."""
    from data_prep import manifests

    for option in AUDIO_OPTIONS:
        manifests.read_all(path for path in sources.get(option, ()) if path is not None)
