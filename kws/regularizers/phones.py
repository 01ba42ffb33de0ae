"""Keyword and phones at once: the kept layers go on telling phones apart while the keyword is learnt."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from kws.model import WakeWordModel
from kws.phones import BLANK, NUM_OUTPUTS
from kws.regularizers.base import Regularizer, Step, need_moving


class Phones(Regularizer):
    """CTC on the phones of transcribed speech, read from the highest kept layer.

    The phone output begins as the recogniser's for the nearest layer: on layer 6 the shipped one for layer 5
    misreads 38.8 % of the phones of unseen speakers (speechocean762, 60 utterances), on its own layer 39.7 %.
    Where the encoder comes without any it is new. In nats per phone.
    Source: CTC, Graves et al., ICML 2006; beside another task on shared layers, multi-task learning, Caruana,
    Machine Learning 28, 1997.

    Raises:
        ConfigError: nothing of the encoder moves.
    """

    needs_transcripts = True

    def __init__(self, model: WakeWordModel) -> None:
        super().__init__(model)
        need_moving(model, "phones")
        info, known = model.encoder.info, model.encoder.phone_outputs
        if known:
            nearest = min(known, key=lambda layer: (abs(layer - info.num_layers), layer))
            self.output = copy.deepcopy(known[nearest]).requires_grad_(True)
        else:
            self.output = nn.Sequential(nn.LayerNorm(info.dimension), nn.Linear(info.dimension, NUM_OUTPUTS))
        self.loss = nn.CTCLoss(blank=BLANK, zero_infinity=True)

    def forward(self, model: WakeWordModel, step: Step) -> Tensor:
        """See :meth:`Regularizer.forward`."""
        told = step.batch.transcribed
        assert told is not None  # the loop gives it where `needs_transcripts`
        features, frames = model.encoder(told.waveform, told.lengths)
        scores = torch.log_softmax(self.output(features).float(), dim=2)
        loss: Tensor = self.loss(scores.transpose(0, 1), told.phones, frames, told.num_phones)
        return loss
