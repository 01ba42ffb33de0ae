"""Sets a model up as a policy asks: what is frozen, and what moves in which group."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from torch import nn

from kws.errors import ConfigError
from kws.model import WakeWordModel
from kws.transfer.base import ParameterGroup, Policy, Signals, borrowed
from kws.transfer.config import TransferConfig
from kws.transfer.registry import build_policy

logger = logging.getLogger(__name__)


def apply_policy(
    model: WakeWordModel, config: TransferConfig, signals: Signals | None = None
) -> tuple[Policy, list[ParameterGroup]]:
    """Freeze what the policy holds still and return what moves.

    Frozen parts get ``requires_grad=False`` and stay in eval mode through every later ``model.train()``.
    Parts that open later have ``requires_grad=True`` here, so that whoever looks before training knows them.

    Args:
        model: its ``frozen`` list and ``requires_grad`` flags are set; a policy may add adapters to it.
        config: a resolved policy (not ``auto``).
        signals: see :data:`kws.transfer.base.Signals`; for policies that ask the data.
    Returns:
        The policy, whose ``finish`` is to be called after training, and the groups for the optimiser:
        ``head`` first, without what is finished of it, then the encoder parts that move some time;
        :func:`open_groups` says which do so now.
    Raises:
        ConfigError: the policy is ``auto``, or asks the data and no ``signals`` are given.
    """
    policy = build_policy(config.policy)
    for parameter in model.parameters():
        parameter.requires_grad_(True)
    policy.prepare(model, config)
    parts = borrowed(model)
    plan = policy.plan(len(parts), config, signals or _no_signals)
    frozen: list[nn.Module] = list(model.head.finished)
    for module in frozen:
        module.requires_grad_(False)
    new = tuple(parameter for parameter in model.head.parameters() if parameter.requires_grad)
    groups = [ParameterGroup("head", model.head, new, 1.0)]
    opens = plan.opens or (0.0,) * len(parts)
    for (name, module), rate, opening in zip(parts, plan.rates, opens, strict=True):
        moving = tuple(policy.moving(module)) if rate else ()
        for parameter in module.parameters():
            parameter.requires_grad_(False)
        for parameter in moving:
            parameter.requires_grad_(True)
        if moving:
            groups.append(ParameterGroup(name, module, moving, rate, opening))
        else:
            frozen.append(module)
    model.frozen = tuple(frozen)
    model.train(model.training)
    moves = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    total = sum(parameter.numel() for parameter in model.parameters())
    names = ", ".join(group.name for group in groups)
    logger.info("policy %s: %d of %d parameters move (%s)", config.policy, moves, total, names)
    return policy, groups


def open_groups(
    model: WakeWordModel, groups: Sequence[ParameterGroup], progress: float
) -> list[ParameterGroup]:
    """Let move what moves by now; parts whose time has not come stand still as frozen ones do.

    They take no gradient, so an optimiser holds no moments of them that could be stale when they open, and
    they count for nothing when gradients are clipped.

    Args:
        model: its ``frozen`` list and ``requires_grad`` flags are set.
        groups: what :func:`apply_policy` returned.
        progress: share of the training that is done.
    Returns:
        The groups that move.
    """
    waiting = [group.part for group in groups if group.opens > progress]
    parts = [group.part for group in groups]
    frozen = (*(module for module in model.frozen if module not in parts), *waiting)
    if frozen != model.frozen:
        model.frozen = frozen
        for group in groups:
            for parameter in group.parameters:
                parameter.requires_grad_(group.opens <= progress)
        model.train(model.training)
    return [group for group in groups if group.opens <= progress]


def _no_signals() -> list[float]:
    raise ConfigError("policy: asks the data which layers to move; give `signals` to apply_policy")
