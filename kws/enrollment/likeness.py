"""Does a recording sound like a phrase? Its phones are compared with the same phones in other orders.

Called by ``kws.workflows`` before recordings are learnt from, so that those of another word are noticed.
What a voice, a room and a microphone do to a score they do to that of every order.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from kws.audio import samples_to_seconds
from kws.encoders.ctc import PhoneRecognizer
from kws.enrollment.typed import TAIL_S
from kws.heads import PhraseHead
from kws.heads.phrase import OFFSET, SLOPE

ORDERS = 100
"""Other orders of the phones that a phrase is compared with."""
FEWEST_ORDERS = 10
"""With fewer, as of a phrase of three phones, its own score alone tells."""
LEAST_AHEAD, LEAST_NATS = 1.5, -3.7
"""A phrase that was said is so many deviations of the other orders ahead of their mean, and so well heard, in
nats per phone (``benchmarks/other_word.py`` counts how often that holds)."""
LEAST_AHEAD_ELSEWHERE, LEAST_NATS_ELSEWHERE = 1.0, -4.0
"""In other languages, whose phones the recogniser knows less well, both must be missed."""


class Likeness:
    """Tells recordings of a phrase from those of other words.

    Args:
        recognizer: in eval mode.
        pronunciations: of the phrase, phones between spaces.
        english: the language is that which the recogniser was taught.
    """

    def __init__(
        self, recognizer: PhoneRecognizer, pronunciations: Sequence[str], *, english: bool = True
    ) -> None:
        self.recognizer, self.english = recognizer, english
        orders = [[order] for order in other_orders(pronunciations[0], pronunciations)]
        self.head = PhraseHead(recognizer.encoder.info.dimension, [list(pronunciations), *orders]).eval()

    def sounds_like(self, waveform: np.ndarray) -> bool:
        """Return whether the phrase is heard in (samples,) float32."""
        ahead, nats = self.scores(waveform)
        if self.english:
            return ahead >= LEAST_AHEAD and nats >= LEAST_NATS
        return ahead >= LEAST_AHEAD_ELSEWHERE or nats >= LEAST_NATS_ELSEWHERE

    @torch.no_grad()
    def scores(self, waveform: np.ndarray) -> tuple[float, float]:
        """Return how far the phrase is ahead of the other orders, and how well it is heard.

        Args:
            waveform: (samples,) float32.
        Returns:
            Deviations of the other orders, infinity where there are few; and nats per phone, 0 at best.
        """
        lookahead_s = samples_to_seconds(self.recognizer.encoder.info.lookahead_samples)
        heard = self.recognizer.hear(waveform, lookahead_s + TAIL_S)[None]
        logits, _ = self.head.search(heard, self.head.initial_state(1)[0])
        own, *others = ((logits[0].amax(dim=0) - OFFSET) / SLOPE).tolist()
        if len(others) < FEWEST_ORDERS:
            return float("inf") if self.english else 0.0, own
        return (own - float(np.mean(others))) / max(float(np.std(others)), 1e-6), own


def other_orders(phones: str, known: Sequence[str]) -> list[str]:
    """Return up to :data:`ORDERS` orders of phones, none of them known; the same at each call."""
    generator = np.random.default_rng(0)
    given = phones.split()
    drawn = (" ".join(given[int(i)] for i in generator.permutation(len(given))) for _ in range(10 * ORDERS))
    return [order for order in dict.fromkeys(drawn) if order not in known][:ORDERS]
