"""The head that adds a fitted layer and phones: the surer of sum and phones, the same in pieces."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from kws.encoders.blocks.separable import SeparableBlock
from kws.heads.phrase_window import FLOOR, HELD_FRAMES, PhraseWindowHead, held
from tests.support.streams import in_pieces
from tests.tolerances import STREAMING

DIMENSION, WAYS = 12, [["K AH M"], ["JH AA", "JH AH"]]


def head_of(num_blocks: int = 2) -> PhraseWindowHead:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        blocks = [SeparableBlock(DIMENSION, 3, 2, 0.1, 0) for _ in range(num_blocks)]
        return PhraseWindowHead(DIMENSION, WAYS, blocks).eval()


def random_features(frames: int) -> Tensor:
    return torch.randn(1, frames, DIMENSION, generator=torch.Generator().manual_seed(0))


def test_the_best_of_the_last_frames_is_held():
    logits = torch.from_numpy(np.random.default_rng(0).normal(-8, 12, (2, 40, 3))).float()
    found, _ = held(logits)
    for frame in range(40):
        best = logits[:, max(0, frame - HELD_FRAMES + 1) : frame + 1].amax(dim=1).clamp(min=FLOOR)
        torch.testing.assert_close(found[:, frame], best)
    state, pieces = None, []
    for piece in logits.split([1, 2, 3, 14, 20], dim=1):
        best, state = held(piece, state)
        pieces.append(best)
    torch.testing.assert_close(torch.cat(pieces, dim=1), found, atol=0, rtol=0)


@torch.no_grad()
def test_it_is_the_sum_of_the_phones_below_and_the_layer_above_or_the_phones_alone():
    head, features = head_of(), random_features(60)
    head.scale = torch.tensor([[1.0, 0.5], [2.0, 1.0]])
    head.offset = torch.tensor([[1.0, 3.0], [4.0, -2.0]])
    found, _ = head(features, head.initial_state(1))
    phones, _ = head.phrase(features, head.phrase.initial_state(1))
    higher = features
    for block in head.blocks:
        higher, _ = block(higher, block.initial_state(1))
    seen, _ = head.window(higher, head.window.initial_state(1))
    assert found.shape == (1, 60, 2)
    surer = []
    for frame in range(60):
        best = phones[:, max(0, frame - HELD_FRAMES + 1) : frame + 1].amax(dim=1).clamp(min=FLOOR)
        both = (seen[:, frame] + best) * torch.tensor([1.0, 0.5]) + torch.tensor([1.0, 3.0])
        alone = best * torch.tensor([2.0, 1.0]) + torch.tensor([4.0, -2.0])
        torch.testing.assert_close(found[:, frame], torch.maximum(both, alone), atol=1e-4, rtol=0)
        surer.append(alone > both)
    assert 0 < torch.cat(surer).float().mean() < 1


@torch.no_grad()
def test_pieces_of_a_stream_give_what_the_whole_gives():
    for head in (head_of(), head_of(0)):
        features = random_features(50)
        whole, _ = head(features, head.initial_state(1))
        found = in_pieces(head, features, [1, 4, 2, 13, 30])
        torch.testing.assert_close(found, whole, atol=STREAMING, rtol=0)
        assert not any(tensor.any() for tensor in head.initial_state(1))
