"""``kws enroll --ensemble RUN``: typed phrases beside what ``kws train`` made of recordings, in one model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from kws.weights import METRICS

if TYPE_CHECKING:
    from kws.heads import PhraseWindowHead
    from kws.model import ModelConfig, WakeWordModel
    from kws.workflows.train.add_keywords import EarlierRun


def open_trained(folder: Path, phrases: Sequence[str]) -> EarlierRun:
    """Open a finished run for phrases to be put beside it.

    Raises:
        CheckpointError: it is damaged, or no run of ``kws train``.
        ConfigError: it is of other phrases, of another encoder than ships, or already has typed ones.
    """
    from kws.config import read_yaml
    from kws.encoders.sources.embedded_weights import load_recognizer
    from kws.enrollment.heard import DEPTH
    from kws.errors import ConfigError
    from kws.heads import TypedOptions
    from kws.weights import CONFIG
    from kws.workflows.train.add_keywords import open_earlier

    where = f"`ensemble` {folder}"
    run = open_earlier(folder)
    config = run.config
    if tuple(phrases) != config.keywords:
        raise ConfigError(
            f"{where}: is of {', '.join(config.keywords)}; give the same phrases in the same order, or train "
            "a run of these"
        )
    if isinstance(config.options, TypedOptions):
        raise ConfigError(f"{where}: holds typed phrases already; give a run of `kws train`")
    policy = read_yaml(folder / CONFIG)["training"].get("transfer", {}).get("policy")
    shape, shipped = run.model.encoder.shape(), load_recognizer().encoder.shape()
    if config.encoder != "embedded" or config.weights or policy == "scratch" or shape != shipped:
        raise ConfigError(
            f"{where}: its layers are not those that ship, on which phrases are fitted; train it without "
            "`model.encoder`, `model.weights` and policy scratch, with this version"
        )
    if config.depth != DEPTH:
        raise ConfigError(
            f"{where}: keeps {config.depth} layers, allowed: {DEPTH}; train it with `model.depth={DEPTH}`"
        )
    return run


def speech_of(run: EarlierRun) -> Path:
    """Return the manifest of the speech that a run was trained and, split ``dev``, held against."""
    return run.folder / "data" / "negatives.jsonl"


def noise_of(run: EarlierRun) -> tuple[Path, ...]:
    """Return the manifest of the noise that was mixed in; none where noise was made."""
    path = run.folder / "data" / "noise.jsonl"
    return (path,) if path.is_file() else ()


def recordings_of(run: EarlierRun) -> int:
    """Return how many recordings of each phrase a run has learnt from."""
    metrics = json.loads((run.folder / METRICS).read_text(encoding="utf-8"))
    return int(metrics.get("recordings", 0))


def build_ensemble(
    run: EarlierRun, typed: PhraseWindowHead, config: ModelConfig
) -> tuple[WakeWordModel, ModelConfig]:
    """Return a model that hears typed phrases in the layers of a run, beside its head.

    What the encoder's layers learnt of recordings helps the typed phrases, too, where they stayed near what
    ships.

    Args:
        run: as :func:`open_trained` returns it.
        typed: fitted on the layers that ship.
        config: what its model is made of.
    """
    from kws.config import to_dict
    from kws.encoders.truncate import truncate
    from kws.heads import ENSEMBLE, EnsembleHead, EnsembleOptions, TypedOptions
    from kws.model import WakeWordModel

    encoder = run.model.encoder
    blocks = encoder.layers[config.depth : run.config.depth]
    assert isinstance(config.options, TypedOptions)
    spoken = config.options.pronunciations
    options = EnsembleOptions(spoken, len(blocks), run.config.head, run.config.head_options)
    head = EnsembleHead(encoder.info.dimension, spoken, blocks, run.model.head)
    own = {name: tensor for name, tensor in typed.state_dict().items() if not name.startswith("blocks.")}
    head.load_state_dict({**head.state_dict(), **own})
    whole = replace(run.config, depth=config.depth, head=ENSEMBLE, head_options=to_dict(options))
    return WakeWordModel(truncate(encoder, config.depth), head, run.model.keywords).eval(), whole
