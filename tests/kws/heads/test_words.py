"""Heads that place windows among words: what a window holds, and streaming as offline."""

from __future__ import annotations

import pytest
import torch

from kws.heads import OPTIONS, TypedOptions, WordSpaceHead, build_head
from kws.heads.words import KNOWN_WORDS, MIDDLE, SLOPE, SPACES, WordSpace, window_frames
from kws.phone_attributes import embed, segment_means
from tests.support.streams import in_pieces
from tests.tolerances import STREAMING

DIMENSION = 6
WAYS = [["K AH M P Y UW T ER", "K AH M P Y UW T AH"], ["S AH N"]]


def head_of(space: str) -> WordSpaceHead:
    torch.manual_seed(0)
    head = build_head(space, DIMENSION, 2, TypedOptions(tuple(map(tuple, WAYS))))
    assert isinstance(head, WordSpaceHead)
    if isinstance(head.space, WordSpace):
        head.space.places.copy_(torch.nn.functional.normalize(torch.randn(head.space.places.shape), dim=1))
    return head.eval()


@pytest.mark.parametrize("space", SPACES)
def test_a_score_is_the_nearness_of_the_last_frames_to_the_phrase(space: str):
    head, features = head_of(space), torch.randn(1, 30, DIMENSION)
    with torch.no_grad():
        logits, _ = head(features, head.initial_state(1))
    expected = []
    for ways in WAYS:
        nearness = []
        for way in ways:
            length = window_frames(len(way.split()))
            parts = segment_means(length) @ features[0, -length:]
            nearness.append(float((head.space(parts) @ embed(way)).detach()))
        expected.append(SLOPE * (max(nearness) - MIDDLE))
    torch.testing.assert_close(logits[0, -1], torch.tensor(expected), atol=1e-4, rtol=0)


@pytest.mark.parametrize("space", SPACES)
def test_a_stream_in_pieces_gives_what_the_whole_gives(space: str):
    head, features = head_of(space), torch.randn(2, 41, DIMENSION)
    with torch.no_grad():
        whole, _ = head(features, head.initial_state(2))
    found = in_pieces(head, features, [1, 5, 30, 2, 3])
    torch.testing.assert_close(found, whole, atol=STREAMING, rtol=0)


def test_a_combination_of_known_words_is_as_long_as_they_are_likely():
    space = WordSpace(DIMENSION)
    space.places.copy_(torch.nn.functional.normalize(torch.randn(space.places.shape), dim=1))
    parts = torch.randn(4, DIMENSION)
    with torch.no_grad():
        space.classify.weight.zero_()
        space.classify.bias.zero_()
        torch.testing.assert_close(space(parts).norm(), torch.tensor(KNOWN_WORDS / (KNOWN_WORDS + 1)))
        space.classify.bias[7] = 50.0
        torch.testing.assert_close(space(parts), space.places[7], atol=1e-5, rtol=0)
        space.classify.bias[-1] = 100.0  # anything else
        assert float(space(parts).norm()) < 1e-3


def test_they_are_not_heads_to_train():
    assert set(SPACES) < set(OPTIONS)
