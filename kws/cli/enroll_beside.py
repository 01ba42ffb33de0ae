"""``kws enroll --beside RUN``: typed phrases beside what ``kws train`` made of recordings, in one model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kws.heads import PhraseWindowHead
    from kws.model import ModelConfig, WakeWordModel


@dataclass(frozen=True)
class TrainedRun:
    """A finished run of ``kws train`` on the encoder that ships.

    Attributes:
        folder: where it is.
        model: trained.
        config: what that is made of.
    """

    folder: Path
    model: WakeWordModel
    config: ModelConfig

    @property
    def negatives(self) -> Path:
        """Manifest of the speech that it was trained and held against."""
        return self.folder / "data" / "negatives.jsonl"

    @property
    def noise(self) -> tuple[Path, ...]:
        """Manifest of the noise that was mixed in; none where noise was made."""
        path = self.folder / "data" / "noise.jsonl"
        return (path,) if path.is_file() else ()

    def joined(self, typed: PhraseWindowHead, config: ModelConfig) -> tuple[WakeWordModel, ModelConfig]:
        """Return a model that hears the typed phrases in the layers of the run, beside its head.

        What the encoder's layers learnt of recordings helps the typed phrases, too, where they stayed near
        what ships.

        Args:
            typed: fitted on the layers that ship.
            config: what its model is made of.
        """
        from kws.encoders.truncate import truncate
        from kws.heads import BesideHead
        from kws.model import WakeWordModel

        encoder = self.model.encoder
        blocks = encoder.layers[config.depth : self.config.depth]
        head = BesideHead(encoder.info.dimension, config.pronunciations, blocks, self.model.head)
        own = {name: tensor for name, tensor in typed.state_dict().items() if not name.startswith("blocks.")}
        head.load_state_dict({**head.state_dict(), **own})
        made_of = replace(
            self.config,
            depth=config.depth,
            head_layers=len(blocks),
            pronunciations=config.pronunciations,
        )
        return WakeWordModel(truncate(encoder, config.depth), head, self.model.keywords).eval(), made_of

    def origin(self, provenance: dict[str, Any]) -> dict[str, Any]:
        """Return the provenance of the joined model, which names the run."""
        import json

        from kws.checkpoint import PROVENANCE

        earlier = json.loads((self.folder / PROVENANCE).read_text("utf-8"))
        kept = {name: earlier[name] for name in ("config_hash", "manifests") if name in earlier}
        return {**provenance, "beside": kept}


def open_trained(folder: Path, phrases: Sequence[str]) -> TrainedRun:
    """Open a finished run for phrases to be put beside it.

    Raises:
        CheckpointError: it is damaged, or no run of ``kws train``.
        ConfigError: it is of other phrases, of another encoder than ships, or already has typed ones.
    """
    from kws.checkpoint import load_model, load_model_config
    from kws.config import read_yaml
    from kws.encoders.sources.embedded_weights import load_recogniser
    from kws.enrollment.heard import DEPTH
    from kws.errors import ConfigError
    from kws.weights import CONFIG

    where = f"--beside {folder}"
    model, config = load_model(folder), load_model_config(folder)
    if tuple(phrases) != config.keywords:
        raise ConfigError(
            f"{where}: is of {', '.join(config.keywords)}; give the same phrases in the same order, or train "
            "a run of these"
        )
    if config.pronunciations:
        raise ConfigError(f"{where}: holds typed phrases already; give a run of `kws train`")
    policy = read_yaml(folder / CONFIG)["training"].get("transfer", {}).get("policy")
    shipped = load_recogniser().encoder.shape()
    if (
        config.encoder != "embedded"
        or config.weights
        or policy == "scratch"
        or model.encoder.shape() != shipped
    ):
        raise ConfigError(
            f"{where}: its layers are not those that ship, on which phrases are fitted; train it without "
            "--encoder, --weights and `--policy scratch`, with this version"
        )
    if config.depth != DEPTH:
        raise ConfigError(
            f"{where}: keeps {config.depth} layers, allowed: {DEPTH}; train it with --depth {DEPTH}"
        )
    return TrainedRun(folder, model, config)
