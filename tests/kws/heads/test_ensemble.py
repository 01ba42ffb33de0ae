"""A trained head and typed phrases on the same layers: the mean of both, the same in pieces."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from kws.encoders.blocks.base import initial_states, run_blocks
from kws.encoders.blocks.separable import SeparableBlock
from kws.errors import ConfigError
from kws.heads import COLUMNS, ENSEMBLE, EnsembleHead, EnsembleOptions, available_heads, build_head
from kws.model import ModelConfig
from tests.support.streams import in_pieces
from tests.tolerances import STREAMING

DIMENSION, WAYS = 12, [["K AH M"], ["JH AA", "JH AH"]]


def head_of(trained: str) -> EnsembleHead:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        blocks = [SeparableBlock(DIMENSION, 3, 2, 0.1, 0) for _ in range(2)]
        own = {"sizes": [1, 1]} if trained == COLUMNS else {}
        options = EnsembleOptions(tuple(map(tuple, WAYS)), len(blocks), trained, own)
        head = build_head(ENSEMBLE, DIMENSION, len(WAYS), options, blocks)
    assert isinstance(head, EnsembleHead)
    return head.eval()


def random_features(frames: int) -> Tensor:
    return torch.randn(1, frames, DIMENSION, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
@pytest.mark.parametrize("trained", [*available_heads(), COLUMNS])
def test_it_is_the_mean_of_the_trained_head_and_of_the_typed_phrases(trained: str):
    head, features = head_of(trained), random_features(60)
    head.offset[:] = torch.tensor([[1.0, 3.0], [4.0, -2.0]])
    found, _ = head(features, head.initial_state(1))
    typed = super(EnsembleHead, head)
    expected, _ = typed.forward(features, typed.initial_state(1))
    higher, _ = run_blocks(head.blocks, features, initial_states(head.blocks, 1))
    own, _ = head.trained(higher, head.trained.initial_state(1))
    assert found.shape == (1, 60, 2) and own.std() > 0 and expected.std() > 0
    torch.testing.assert_close(found, (own + expected) / 2, atol=1e-5, rtol=0)


@torch.no_grad()
def test_pieces_of_a_stream_give_what_the_whole_gives():
    head, features = head_of("conv"), random_features(50)
    whole, _ = head(features, head.initial_state(1))
    torch.testing.assert_close(in_pieces(head, features, [1, 4, 2, 13, 30]), whole, atol=STREAMING, rtol=0)


def test_options_are_those_of_the_head():
    with pytest.raises(ConfigError, match="head_options: unknown key `pronunciations`; known keys: none"):
        ModelConfig(("computer",), head_options={"pronunciations": [["K AH M"]]})
    with pytest.raises(ConfigError, match="head: got 'phrase', allowed: attention, conv"):
        ModelConfig(("computer",), head="phrase")
    with pytest.raises(ConfigError, match="head_options.pronunciations: got 1, allowed: one list for each"):
        ModelConfig(("a", "b"), head="phrase", head_options={"pronunciations": [["K AH M"]]})
    with pytest.raises(
        ConfigError, match="head_options.sizes: got .1, 1., allowed: numbers above 0 that sum"
    ):
        ModelConfig(("a", "b", "c"), head="columns", head_options={"sizes": [1, 1]})
