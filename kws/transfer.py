"""Transfer policies: which borrowed layers may move, and how fast (DESIGN §6)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

from torch import nn

from kws.errors import ConfigError
from kws.model import WakeWordModel

logger = logging.getLogger(__name__)

Policy = Literal["head", "early", "late", "all", "discriminative", "scratch", "auto"]
POLICIES: tuple[str, ...] = get_args(Policy)


@dataclass(frozen=True, slots=True)
class TransferConfig:
    """Which parts of the model training may change."""

    policy: Policy = "auto"
    """head: new layers only; early: also the first encoder layers; late: also the last ones; all: everything;
    discriminative: everything, the lower the slower; scratch: everything, from random weights (the control);
    auto: chosen by the number of recordings."""
    num_layers: int = 3
    """Encoder layers that move under ``early`` and ``late``."""
    encoder_rate: float = 0.3
    """Learning rate of borrowed layers, as a share of the head's."""
    decay: float = 0.8
    """Under ``discriminative``, each layer's rate as a share of the next higher one's."""
    auto_late_from: int = 10
    """Under ``auto``, the last layers move from this many recordings on, only the head below (RESULTS.md)."""

    def __post_init__(self) -> None:
        if self.policy not in POLICIES:
            raise ConfigError(f"policy: got {self.policy!r}, allowed: {', '.join(POLICIES)}")
        if self.num_layers < 1:
            raise ConfigError(f"transfer.num_layers: got {self.num_layers}, allowed: 1 or more")
        if not 0 < self.encoder_rate <= 1 or not 0 < self.decay <= 1:
            raise ConfigError("transfer.encoder_rate and transfer.decay: allowed: above 0, at most 1")


@dataclass(frozen=True, slots=True)
class ParameterGroup:
    """Parameters that share a learning rate."""

    name: str
    parameters: tuple[nn.Parameter, ...]
    rate: float
    """Share of the configured learning rate."""


def choose(config: TransferConfig, num_recordings: int) -> tuple[Policy, str]:
    """Resolve ``auto``.

    Args:
        config: the wish.
        num_recordings: distinct recordings of the keyword with the fewest.
    Returns:
        The policy to apply and the reason, to be shown to the person.
    """
    if config.policy != "auto":
        return config.policy, "asked for"
    if num_recordings < config.auto_late_from:
        few = f"{num_recordings or 'no'} recordings are fewer than {config.auto_late_from}"
        return "head", f"{few}: the borrowed layers stay (RESULTS.md)"
    return "late", f"{num_recordings} recordings: the last {config.num_layers} layers move (RESULTS.md)"


def _borrowed(model: WakeWordModel) -> list[tuple[str, nn.Module]]:
    """Parts of the encoder with weights, from the waveform upwards."""
    return [
        ("stem", model.encoder.stem),
        *((f"layer {n}", layer) for n, layer in enumerate(model.encoder.layers, 1)),
    ]


def _rates(model: WakeWordModel, config: TransferConfig) -> list[float]:
    """Return a rate per borrowed part; 0 is frozen."""
    parts, moving = len(_borrowed(model)), config.num_layers
    rate = config.encoder_rate
    by_policy: dict[str, Callable[[], list[float]]] = {
        "head": lambda: [0.0] * parts,
        "early": lambda: [rate if part <= moving else 0.0 for part in range(parts)],
        "late": lambda: [rate if part >= parts - moving else 0.0 for part in range(parts)],
        "all": lambda: [rate] * parts,
        "discriminative": lambda: [rate * config.decay ** (parts - 1 - part) for part in range(parts)],
        "scratch": lambda: [1.0] * parts,
    }
    return by_policy[config.policy]()


def apply_policy(model: WakeWordModel, config: TransferConfig) -> list[ParameterGroup]:
    """Freeze what the policy holds still and return what moves.

    Frozen parts get ``requires_grad=False`` and stay in eval mode through every later ``model.train()``.

    Args:
        model: its ``frozen`` list and ``requires_grad`` flags are set.
        config: a resolved policy (not ``auto``; see :func:`choose`).
    Returns:
        Groups for the optimiser: ``head`` first, then the moving encoder parts.
    Raises:
        ConfigError: the policy is ``auto``.
    """
    if config.policy == "auto":
        raise ConfigError("policy `auto` must be resolved with kws.transfer.choose first")
    groups = [ParameterGroup("head", tuple(model.head.parameters()), 1.0)]
    frozen: list[nn.Module] = []
    for parameter in model.parameters():
        parameter.requires_grad_(True)
    for (name, module), rate in zip(_borrowed(model), _rates(model, config), strict=True):
        if rate:
            groups.append(ParameterGroup(name, tuple(module.parameters()), rate))
            continue
        frozen.append(module)
        for parameter in module.parameters():
            parameter.requires_grad_(False)
    model.frozen = tuple(frozen)
    model.train(model.training)
    moving = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    total = sum(parameter.numel() for parameter in model.parameters())
    logger.info(
        "policy %s: %d of %d parameters move (%s)",
        config.policy,
        moving,
        total,
        ", ".join(g.name for g in groups),
    )
    return groups
