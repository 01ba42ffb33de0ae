"""The phone language model by hand, and the search beside the sum over every alignment."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from kws.phones import NUM_OUTPUTS
from kws.pretraining.phone_ngrams import PhoneNgrams, search


def test_witten_bell_by_hand():
    ngrams = PhoneNgrams([[1, 2], [1, 3]], order=2)
    uniform = 1 / 39
    # unigrams: four phones, three kinds; after 1: two phones, two kinds
    of_2 = (1 + 3 * uniform) / 7
    assert ngrams.probability(2, ()) == pytest.approx(of_2)
    assert ngrams.probability(2, (1,)) == pytest.approx((1 + 2 * of_2) / 4)
    assert ngrams.probability(2, (9,)) == pytest.approx(of_2)  # never seen: the shorter history
    assert ngrams.probability(1, (0,)) == pytest.approx((2 + (2 + 3 * uniform) / 7) / 3)  # first phone


@pytest.mark.parametrize("history", [(), (1,), (0, 1), (4, 4)])
def test_probabilities_sum_to_one(history: tuple[int, ...]):
    ngrams = PhoneNgrams([[1, 2, 1], [3, 1, 2, 2]], order=3)
    total = sum(ngrams.probability(phone, history) for phone in range(1, NUM_OUTPUTS))
    assert total == pytest.approx(1)


@pytest.mark.parametrize("order", [1, 2, 4])
def test_a_history_is_as_long_as_the_order_asks(order: int):
    ngrams = PhoneNgrams([[1, 2]], order)
    assert ngrams.after([]) == (0,) * (order - 1)
    assert ngrams.after([5, 6, 7]) == (0, 5, 6, 7)[4 - order + 1 :]


def exhaustive(frames: torch.Tensor, ngrams: PhoneNgrams, weight: float, bonus: float) -> tuple[int, ...]:
    """Sum the alignments of every sentence and take the best sentence."""
    totals: dict[tuple[int, ...], float] = {}
    for path in itertools.product(range(frames.shape[1]), repeat=len(frames)):
        merged = [p for n, p in enumerate(path) if p and (n == 0 or p != path[n - 1])]
        likelihood = math.exp(sum(float(frames[n, p]) for n, p in enumerate(path)))
        totals[tuple(merged)] = totals.get(tuple(merged), 0.0) + likelihood

    def value(sentence: tuple[int, ...]) -> float:
        language = sum(
            weight * ngrams.log_probability(phone, ngrams.after(sentence[:n])) + bonus
            for n, phone in enumerate(sentence)
        )
        return math.log(totals[sentence]) + language

    return max(totals, key=value)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("weight", "bonus"), [(0.0, 0.0), (0.3, 0.4), (1.0, 0.2)])
def test_search_finds_the_best_sentence(seed: int, weight: float, bonus: float):
    generator = torch.Generator().manual_seed(seed)
    frames = (1.5 * torch.randn(5, 4, generator=generator)).log_softmax(1)
    ngrams = PhoneNgrams([[1, 2, 3], [1, 1, 2], [3, 2]], order=3)
    found = search(frames, ngrams, weight, bonus, width=200)
    assert tuple(found) == exhaustive(frames, ngrams, weight, bonus)


def test_the_language_model_decides_where_the_sound_does_not():
    blank, one, two, three = 0, 1, 2, 3
    frames = torch.full((3, NUM_OUTPUTS), -20.0)
    frames[0, one] = frames[1, blank] = 0.0
    frames[2, two], frames[2, three] = -0.70, -0.69  # 3 sounds a little likelier
    ngrams = PhoneNgrams([[one, two]] * 20, order=2)
    assert search(frames, ngrams, weight=0.0, bonus=0.0) == [one, three]
    assert search(frames, ngrams) == [one, two]


def test_nothing_heard_is_no_phones():
    frames = torch.full((4, NUM_OUTPUTS), -30.0)
    frames[:, 0] = 0.0
    assert search(frames, PhoneNgrams([[1, 2]])) == []
