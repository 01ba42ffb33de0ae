"""What many streams take of a core."""

from __future__ import annotations

import pytest

from export.streams import StreamsCost, streams_cost
from kws.errors import ConfigError
from tests.export.conftest import Exported


@pytest.mark.slow
def test_every_round_is_timed(exported: Exported):
    cost = streams_cost(exported("conv"), 3, seconds=0.5, rounds=2)
    assert len(cost.shares) == 2 and all(share > 0 for share in cost.shares)


def test_streams_a_core_follow_from_the_median_share():
    assert StreamsCost(100, (0.1, 0.2, 0.9)).streams_a_core == 500


def test_numbers_out_of_range_are_refused():
    with pytest.raises(ConfigError, match="`streams`: got 0, allowed: 1 to 10000"):
        streams_cost("any.onnx", 0)
