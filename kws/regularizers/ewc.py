"""Elastic weight consolidation: the weights that phone recognition depends on most move least."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.functional import ctc_loss

from kws.errors import ConfigError
from kws.model import WakeWordModel
from kws.phones import BLANK
from kws.regularizers.base import Resources
from kws.regularizers.fisher import diagonal_fisher
from kws.regularizers.l2_sp import L2SP

NUM_BATCHES = 4
"""Batches whose negatives are heard, the first of training."""
SEED = 0
"""Of the phones that are drawn."""


class EWC(L2SP):
    """L2-SP with each weight's squared distance times its Fisher information in recognising phones.

    The source's task is P(phones | audio) as its CTC output gives it. Its Fisher information is taken on
    negatives, speech like the source's, without transcripts: phones are drawn from the source's own
    distribution, which makes it the Fisher information and not the empirical one. It is stated per frame, so
    that the term is, to second order and as far as a diagonal can tell, the divergence from the source's
    distribution over phone sequences in nats per frame, however long the windows are. That is little: freely
    fine-tuned on 50 recordings 0.001 to 0.007, where distillation is 0.2 to 1, so its weight has to
    be some hundred times as large to hold as much.

    Source: Kirkpatrick et al., arXiv:1612.00796, equation 3.
    """

    needs_phones = True

    def __init__(self, model: WakeWordModel) -> None:
        super().__init__(model)
        for name, parameter in model.encoder.named_parameters():
            if parameter.requires_grad:
                self.register_buffer(_buffer(name), torch.zeros_like(parameter))

    def prepare(self, model: WakeWordModel, resources: Resources) -> None:
        """See :meth:`Regularizer.prepare`; costs a forward and a backward pass for each negative."""
        if resources.batch is None:
            raise ConfigError("train.regularizers.ewc: needs audio, got none; give `batch`, or take `l2_sp`")
        moving = {n: p for n, p in model.encoder.named_parameters() if p.requires_grad}
        if not moving:
            return
        mode = model.training
        model.eval()
        fisher = diagonal_fisher(_log_likelihoods(model, resources), list(moving.values()))
        model.train(mode)
        for name, values in zip(moving, fisher, strict=True):
            self.get_buffer(_buffer(name)).copy_(values)

    def importance(self, name: str) -> Tensor:
        """See :meth:`L2SP.importance`."""
        return self.get_buffer(_buffer(name))


def _buffer(name: str) -> str:
    return f"fisher of {name}".replace(".", "/")


def _log_likelihoods(model: WakeWordModel, resources: Resources) -> Iterator[Tensor]:
    """Yield that of drawn phones for each negative, so scaled that its squared gradient is per frame."""
    recognizer, batch = resources.recognizer, resources.batch
    assert recognizer is not None and batch is not None
    generator, depth = torch.Generator().manual_seed(SEED), len(model.encoder.layers)
    for step in range(NUM_BATCHES):
        windows = batch(step)
        for row in (windows.targets.sum(dim=1) == 0).nonzero():
            features, frames = model.encoder(windows.waveform[row], windows.lengths[row])
            logits = recognizer.above(features, depth)[0, : int(frames)]  # (time, phone)
            yield drawn_log_likelihood(logits.float(), generator) / math.sqrt(int(frames))


def drawn_log_likelihood(logits: Tensor, generator: torch.Generator) -> Tensor:
    """Draw a phone sequence from the distribution of a CTC output and return its log-likelihood.

    A path is drawn frame by frame; with repeats merged and blanks dropped it is a draw of a sequence.

    Args:
        logits: (time, phone) of one utterance, the blank first.
        generator: draws.
    Returns:
        Scalar, with the gradient of the sequence's likelihood over all its paths.
    """
    log_probabilities = logits.log_softmax(dim=1)
    path = torch.multinomial(log_probabilities.detach().exp(), 1, generator=generator)[:, 0]
    merged = torch.unique_consecutive(path)
    sequence = merged[merged != BLANK]
    time, length = torch.tensor([len(logits)]), torch.tensor([len(sequence)])
    return -ctc_loss(log_probabilities[:, None], sequence[None], time, length, BLANK, reduction="sum")
