"""Surgical fine-tuning: the parts that the data pull at most, and no others."""

from __future__ import annotations

import logging

import pytest

from kws.errors import ConfigError
from kws.transfer import TransferConfig, apply_policy
from tests.support.training import tiny_model


def moving(signals: list[float], num_layers: int) -> list[str]:
    config = TransferConfig("surgical", num_layers=num_layers)
    _, groups = apply_policy(tiny_model(depth=len(signals) - 1), config, lambda: signals)
    return [group.name for group in groups]


def test_the_parts_with_the_largest_signals_move_in_the_order_of_the_model():
    signals = [0.2, 0.1, 0.5, 0.05, 0.3]
    assert moving(signals, 1) == ["head", "layer 2"]
    assert moving(signals, 2) == ["head", "layer 2", "layer 4"]
    assert moving(signals, 3) == ["head", "stem", "layer 2", "layer 4"]
    assert moving(signals[::-1], 1) == ["head", "layer 2"]
    assert moving([1.0, 1.0, 1.0], 2) == ["head", "stem", "layer 1"]


def test_a_person_sees_which(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.INFO, logger="kws.transfer"):
        moving([0.2, 0.9, 0.1], 1)
    assert "policy surgical: " in caplog.text and "parameters move (head, layer 1)" in caplog.text


def test_the_data_are_needed_and_asked_by_no_other_policy():
    with pytest.raises(ConfigError, match="asks the data which layers to move; give `signals`"):
        apply_policy(tiny_model(), TransferConfig("surgical"))
    apply_policy(tiny_model(), TransferConfig("late"), lambda: pytest.fail("asked"))
