"""A finished run that keywords are added to: what it fixes, the model with a new column, and both joined.

Called by :mod:`kws.workflows.train` for ``--add-to``, and by :mod:`kws.workflows.enroll.ensemble`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kws.checkpoint import (
    PROVENANCE,
    OperatingPoint,
    load_model,
    load_model_config,
    load_operating_point,
)
from kws.errors import CheckpointError, ConfigError
from kws.heads import COLUMNS, ColumnsHead, TypedOptions, add_column
from kws.model import ModelConfig, WakeWordModel
from kws.training.config import TrainConfig
from kws.transfer import AUTO
from kws.weights import WEIGHTS


@dataclass(frozen=True)
class EarlierRun:
    """A finished run of ``kws train``.

    Attributes:
        folder: where it is.
        model: trained.
        config: what that is made of.
        point: its thresholds.
        provenance: contents of ``provenance.json``.
    """

    folder: Path
    model: WakeWordModel
    config: ModelConfig
    point: OperatingPoint
    provenance: dict[str, Any]

    def resolved(self, keywords: Sequence[str], given: Sequence[str], settings: TrainConfig) -> TrainConfig:
        """Return the settings with what the run fixes.

        Args:
            keywords: to add.
            given: keys of ``model`` and ``train.decision`` that a person gave. One decision holds for all
                keywords of a file, so it is that which the earlier thresholds were chosen with.
            settings: all of ``train``.
        Raises:
            ConfigError: both say otherwise, or the run holds one of the keywords already.
        """
        where = f"`add_to` {self.folder}"
        if isinstance(self.config.options, TypedOptions):
            raise ConfigError(
                f"{where}: is made from typed phrases; add the keyword to a run of `kws train`, and put "
                "typed phrases beside the result with `enroll(ensemble=RUN)`"
            )
        known = [keyword for keyword in keywords if keyword in self.config.keywords]
        if known:
            raise ConfigError(f"{where}: holds {known[0]!r} already; name another one")
        for key in given:
            if key.startswith("model."):
                raise ConfigError(f"{key}: with {where} the model is that of the run; leave it out")
        policy = settings.transfer.policy
        if policy not in (AUTO, "head"):
            raise ConfigError(
                f"train.transfer.policy: got {policy!r}, allowed with {where}: head, as what the earlier "
                "keywords hear must stay; leave it out"
            )
        for name in (key.removeprefix("train.decision.") for key in given):
            value, asked = getattr(self.point.decision, name), getattr(settings.decision, name)
            if asked != value:
                raise ConfigError(
                    f"train.decision.{name}: got {asked!r}, allowed with {where}: {value!r}, for which the "
                    "earlier thresholds were chosen; leave it out"
                )
        transfer = replace(settings.transfer, policy="head")
        return replace(settings, decision=self.point.decision, transfer=transfer)

    def extended(self, keywords: Sequence[str]) -> tuple[WakeWordModel, ModelConfig]:
        """Return a model with a new column, that gives its keywords alone, and the config of the whole."""
        head = add_column(self.model.head, self.model.encoder.info.dimension, len(keywords))
        head.newest_only = True
        names = (*self.config.keywords, *keywords)
        config = replace(self.config, keywords=names, head=COLUMNS, head_options={"sizes": list(head.sizes)})
        return WakeWordModel(self.model.encoder, head, keywords), config

    def joined(self, model: WakeWordModel, point: OperatingPoint) -> tuple[WakeWordModel, OperatingPoint]:
        """Return the model of all keywords with all thresholds.

        Args:
            model: what :meth:`extended` gave, trained.
            point: thresholds of the new keywords.
        """
        assert isinstance(model.head, ColumnsHead)
        model.head.newest_only = False
        whole = WakeWordModel(model.encoder, model.head, (*self.config.keywords, *model.keywords))
        both = replace(
            point,
            thresholds={**self.point.thresholds, **point.thresholds},
            floored=(*self.point.floored, *point.floored),
            dev_hours=min(self.point.dev_hours, point.dev_hours),
        )
        return whole.eval(), both

    def origin(self, provenance: dict[str, Any]) -> dict[str, Any]:
        """Return the provenance of the whole: the encoder is the earlier run's, which is named."""
        encoder = self.provenance.get("encoder", provenance["encoder"])
        languages = list(dict.fromkeys([*self.provenance.get("languages", []), *provenance["languages"]]))
        return {**provenance, "encoder": encoder, "languages": languages, "added_to": self.named()}

    def named(self) -> dict[str, Any]:
        """Return what names it in the provenance of a model that is made of it."""
        kept = ("config_hash", "manifests", "added_to")
        named = {name: self.provenance[name] for name in kept if name in self.provenance}
        return {**named, "run": str(self.folder.absolute())}

    def identity(self) -> str:
        """Return a hash of its weights."""
        return hashlib.sha256((self.folder / WEIGHTS).read_bytes()).hexdigest()


def open_earlier(folder: Path) -> EarlierRun:
    """Open a finished run.

    Raises:
        CheckpointError: it is damaged, or no run of ``kws train``.
    """
    model = load_model(folder)
    try:
        provenance = json.loads((folder / PROVENANCE).read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise CheckpointError(
            f"{folder / PROVENANCE}: cannot be read ({error}); train the run again"
        ) from error
    return EarlierRun(folder, model, load_model_config(folder), load_operating_point(folder), provenance)
