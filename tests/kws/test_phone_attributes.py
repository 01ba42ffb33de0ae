"""Places of words: parts are averaged fairly, and what is made alike is near."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from kws.errors import ManifestError
from kws.phone_attributes import _MADE, ATTRIBUTES, DIMENSION, SEGMENTS, embed, segment_means
from kws.phones import PHONES


def near(left: str, right: str) -> float:
    return float(embed(left) @ embed(right))


def test_every_phone_is_made_in_its_own_way():
    assert set(_MADE) == set(PHONES)
    assert len({frozenset(made.split()) for made in _MADE.values()}) == len(PHONES)


@pytest.mark.parametrize("num_items", [1, 2, 3, 4, 5, 7, 12])
def test_parts_are_equal_stretches_of_the_items(num_items: int):
    weights = segment_means(num_items)
    assert weights.shape == (SEGMENTS, num_items)
    torch.testing.assert_close(weights.sum(1), torch.ones(SEGMENTS))
    torch.testing.assert_close(weights.sum(0), torch.full((num_items,), SEGMENTS / num_items))
    # against a fine grid on which each part is cut out plainly
    fine = np.repeat(np.eye(num_items), 840 // num_items, axis=0).reshape(SEGMENTS, -1, num_items).mean(1)
    np.testing.assert_allclose(weights.numpy(), fine, atol=1e-6)


def test_words_that_are_made_alike_are_near_and_order_counts():
    assert embed("K AH M P Y UW T ER").shape == (DIMENSION,) == (SEGMENTS * len(ATTRIBUTES),)
    assert near("K AE T", "K AE T") == pytest.approx(1, abs=1e-6)
    assert near("K AE T", "K AE1 T") == pytest.approx(1, abs=1e-6)  # stress does not count
    assert near("B AE T", "P AE T") > near("B AE T", "S AE T") > near("B AE T", "N OW IY")
    assert near("T AE K", "K AE T") < near("K AE T", "K AE P") < 1
    # the mean over phones is taken off, so that words that share nothing are not near
    assert near("SH IY", "G AA") < 0.2


def test_an_unknown_phone_is_named():
    with pytest.raises(ManifestError, match="unknown phone 'QQ'"):
        embed("K QQ")
