"""A language model over phones and the search that reads a recogniser's output with it.

Phone recognisers are commonly read so (Kaldi's TIMIT recipe with a phone bigram):
:mod:`kws.pretraining.task` states the phone error rate with it and without.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache

from torch import Tensor

from kws.phones import BLANK, NUM_OUTPUTS

LIKELIEST = 8
"""Outputs of a frame that the search goes on with, at most, and none below this log-probability:"""
LEAST = -6.0


class PhoneNgrams:
    """Interpolated n-grams with Witten-Bell smoothing.

    Args:
        sentences: phone indices of each, without blanks.
        order: n, at least 1.
        num_phones: in the inventory that the indices are of.
    Source: Witten and Bell, IEEE Transactions on Information Theory 37 (4), 1991.
    """

    def __init__(
        self, sentences: Iterable[Sequence[int]], order: int = 6, num_phones: int = NUM_OUTPUTS - 1
    ) -> None:
        self.order, self.num_phones = order, num_phones
        self._counts: dict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
        for sentence in sentences:
            padded = [BLANK] * (order - 1) + list(sentence)
            for end in range(order - 1, len(padded)):
                for length in range(order):
                    self._counts[tuple(padded[end - length : end])][padded[end]] += 1
        self._totals = {history: sum(counted.values()) for history, counted in self._counts.items()}
        self.log_probability = lru_cache(maxsize=1 << 20)(self._log_probability)

    def probability(self, phone: int, history: tuple[int, ...]) -> float:
        """Return P(phone | history); ``BLANK`` in the history stands for what is before the sentence."""
        shorter = 1 / self.num_phones if not history else self.probability(phone, history[1:])
        if history not in self._totals:
            return shorter
        seen, total = self._counts[history], self._totals[history]
        return (seen[phone] + len(seen) * shorter) / (total + len(seen))

    def _log_probability(self, phone: int, history: tuple[int, ...]) -> float:
        return math.log(self.probability(phone, history))

    def after(self, phones: Sequence[int]) -> tuple[int, ...]:
        """Return the history of what follows some phones."""
        padded = [BLANK] * (self.order - 1) + list(phones)
        return tuple(padded[len(padded) - self.order + 1 :])


def search(
    log_probabilities: Tensor, ngrams: PhoneNgrams, weight: float = 0.4, bonus: float = 1.2, width: int = 24
) -> list[int]:
    """Return the likeliest phones of an utterance by prefix beam search.

    Args:
        log_probabilities: (frames, output), of blank and phones.
        ngrams: the language model.
        weight: of its log-probabilities; the recogniser's have 1.
        bonus: added for each phone, against the short sentences that a language model prefers. It,
            ``weight`` and the order were chosen on the dev speakers with ``benchmarks/phone_errors.py`` and
            the encoder before the one that ships: 40.0 % phone errors without a language model, 33.5 with.
        width: prefixes that are kept.
    Source: Hannun et al., arXiv:1408.2873, algorithm 1.
    """
    # of each prefix: log-probability of ending in a blank and in its last phone, and the language model's
    beam: dict[tuple[int, ...], tuple[float, float, float]] = {(): (0.0, -math.inf, 0.0)}
    for frame in log_probabilities.tolist():
        likely = [
            p for p in heapq.nlargest(LIKELIEST, range(1, len(frame)), frame.__getitem__) if frame[p] > LEAST
        ]
        grown: dict[tuple[int, ...], list[float]] = defaultdict(lambda: [-math.inf, -math.inf, 0.0])
        for prefix, (blank, phone, language) in beam.items():
            either = _log_add(blank, phone)
            same = grown[prefix]
            same[0], same[2] = _log_add(same[0], either + frame[BLANK]), language
            if prefix:
                same[1] = _log_add(same[1], phone + frame[prefix[-1]])
            history = ngrams.after(prefix)
            for output in likely:
                longer = grown[(*prefix, output)]
                # a phone twice needs a blank between
                before = blank if prefix and output == prefix[-1] else either
                longer[1] = _log_add(longer[1], before + frame[output])
                longer[2] = language + weight * ngrams.log_probability(output, history) + bonus
        best = sorted(grown.items(), key=lambda entry: -_log_add(entry[1][0], entry[1][1]) - entry[1][2])
        beam = {prefix: (values[0], values[1], values[2]) for prefix, values in best[:width]}
    return list(next(iter(beam)))


def _log_add(first: float, second: float) -> float:
    """Return log(exp(first) + exp(second)), many times faster than numpy for two numbers."""
    low, high = (first, second) if first < second else (second, first)
    return high if low == -math.inf else high + math.log1p(math.exp(low - high))
