"""Options of ``kws train`` that stand for one key of its configuration; nothing heavy is imported here."""

from __future__ import annotations

OPTION_KEYS = {
    "false_accepts_per_hour": "train.decision.false_accepts_per_hour",
    "seed": "train.seed",
    "policy": "train.transfer.policy",
    **{name: f"model.{name}" for name in ("depth", "head", "encoder", "weights")},
}
"""Name of the option -> key."""
