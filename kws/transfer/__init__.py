"""Transfer policies: which borrowed layers may move, and how fast (DESIGN §6)."""

from kws.transfer.apply import apply_policy, open_groups
from kws.transfer.auto import describe, load_auto
from kws.transfer.base import ParameterGroup, Policy
from kws.transfer.config import TransferConfig
from kws.transfer.registry import AUTO, available_policies, build_policy, check_policy

__all__ = [
    "AUTO",
    "ParameterGroup",
    "Policy",
    "TransferConfig",
    "apply_policy",
    "available_policies",
    "build_policy",
    "check_policy",
    "describe",
    "load_auto",
    "open_groups",
]
