"""A step and an evaluation of pretraining: CTC on phones, a teacher's embeddings, the phone error rate.

Source of the loss: connectionist temporal classification, Graves et al., ICML 2006; of the agreement of two
masked copies: CR-CTC, Yao et al., arXiv:2410.05101.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import lightning
import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torchaudio.functional import edit_distance

from kws import phones
from kws.encoders.ctc import PhoneRecognizer
from kws.encoders.sources.embedded import SUBSAMPLING
from kws.errors import ConfigError
from kws.pretraining.batches import CtcBatch, evaluation_batches
from kws.pretraining.config import PretrainConfig
from kws.pretraining.corpus import SpeechCorpus
from kws.pretraining.optimizers import muon_and_adamw
from kws.pretraining.phone_ngrams import PhoneNgrams, search
from kws.pretraining.sources import SpeechSourceConfig
from kws.training.schedule import scheduled

Mask = Callable[[Tensor, Tensor, torch.Generator], Tensor]
"""``mask(features, lengths, generator) -> features`` on log-mel; ``data_prep.augmentation`` makes one."""


class CtcTask(lightning.LightningModule):
    """One step and one evaluation of CTC pretraining."""

    def __init__(
        self,
        model: PhoneRecognizer,
        config: PretrainConfig,
        mask: Mask | None = None,
        teacher_dimension: int = 0,
    ) -> None:
        super().__init__()
        self.model, self.config, self.mask = model, config, mask
        # every row has frames enough for its phones, so that no loss is infinite
        self.loss = nn.CTCLoss(blank=phones.BLANK)
        if teacher_dimension:
            dimension = model.encoder.info.dimension
            self.to_teacher = nn.Sequential(nn.LayerNorm(dimension), nn.Linear(dimension, teacher_dimension))
            self.register_load_state_dict_pre_hook(_with_names_of_now)  # type: ignore[no-untyped-call]
        self._edits: dict[str, list[int]] = defaultdict(lambda: [0, 0])

    def training_step(self, batch: CtcBatch, index: int) -> Tensor:
        """CTC on the last and the middle layer, the teacher's embeddings, the agreement of masked copies."""
        if self.config.consistency:
            batch = twice(batch)
        features = batch.features
        # masks and dropped blocks follow seed and step, so that a resumed run goes on alike
        generator = torch.manual_seed((self.config.seed + self.global_rank) * 1_000_003 + self.global_step)
        if self.mask is not None and self.global_step >= self.config.ramp * self.config.steps:
            features = self.mask(features, SUBSAMPLING * batch.lengths, generator)
        hidden = self.model.hidden(features)
        outputs = [self.model.logits(hidden, output) for output in range(1 + len(self.model.inventories))]
        losses = over_outputs(self.ctc, outputs, batch)
        loss = losses[0] + self.config.middle_weight * losses[1]
        if self.config.consistency:
            apart = over_outputs(self.disagreement, outputs, batch)
            loss = loss + self.config.consistency * (apart[0] + self.config.middle_weight * apart[1])
            self.log("apart", apart[0].detach(), prog_bar=True)
        if self.config.teacher is not None:
            error = self.teacher_error(hidden[self.config.teacher.layer - 1], batch)
            loss = loss + self.config.teacher.weight * error
            self.log("teacher", error.detach(), prog_bar=True)
        if not torch.isfinite(loss):
            raise ConfigError(
                f"step {self.global_step}: the loss is not finite; lower learning_rate or check the data"
            )
        self.log("loss", losses[0].detach(), prog_bar=True)
        return loss

    def ctc(self, logits: Tensor, batch: CtcBatch, output: int = 0) -> Tensor:
        """Return the CTC loss of an output on its rows, times their share of the rows with known phones."""
        told = batch.target_lengths > 0
        rows = told & batch.rows_of(output)
        if not rows.any():
            return 0 * logits.float().sum()
        mean = self.loss(
            logits[rows].float().log_softmax(2).transpose(0, 1),
            batch.targets[rows.repeat_interleave(batch.target_lengths)],
            batch.lengths[rows],
            batch.target_lengths[rows],
        )
        loss: Tensor = mean * (rows.sum() / told.sum())
        return loss

    def disagreement(self, logits: Tensor, batch: CtcBatch, output: int = 0) -> Tensor:
        """Return how far the two copies of an output's rows are apart, times their share of all rows."""
        rows = batch.rows_of(output)
        if not rows.any():
            return 0 * logits.float().sum()
        return disagreement(logits[rows], batch.lengths[rows]) * rows.float().mean()

    def teacher_error(self, features: Tensor, batch: CtcBatch) -> Tensor:
        """Return the mean squared error of the teacher's embeddings, read from a layer's valid frames."""
        assert batch.embeddings is not None
        frames = torch.arange(features.shape[1], device=features.device)
        valid = frames < batch.lengths[:, None]
        error: Tensor = (self.to_teacher(features).float() - batch.embeddings)[valid].square().mean()
        return error

    def on_validation_epoch_start(self) -> None:
        """Start the count of edits anew."""
        self._edits.clear()

    def validation_step(self, batch: CtcBatch, index: int) -> None:
        """Count edits between recognised and canonical phones."""
        for name, edits in zip(("per", "per_middle"), count_edits(self.model, batch), strict=True):
            self._edits[name][0] += sum(edit for edit, _ in edits)
            self._edits[name][1] += sum(length for _, length in edits)

    def on_validation_epoch_end(self) -> None:
        """Log the dev phone error rates of the last and the middle output."""
        for name, (edits, length) in self._edits.items():
            self.log(f"dev_{name}", edits / max(length, 1), prog_bar=True)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Muon and AdamW, warm-up, then cosine."""
        optimizer = muon_and_adamw(
            self,
            self.model.encoder,
            matrix_rate=self.config.matrix_rate,
            rate=self.config.learning_rate,
            weight_decay=self.config.weight_decay,
        )
        return scheduled(optimizer, self.config.steps, self.config.warmup)


def over_outputs(
    measure: Callable[[Tensor, CtcBatch, int], Tensor], outputs: list[tuple[Tensor, Tensor]], batch: CtcBatch
) -> list[Tensor]:
    """Return a measure of the last and of the middle layer, each the sum over the outputs with their rows."""
    return [
        torch.stack([measure(logits[place], batch, output) for output, logits in enumerate(outputs)]).sum()
        for place in (0, 1)
    ]


def twice(batch: CtcBatch) -> CtcBatch:
    """Return a batch with each row twice, the copies in the second half."""
    doubled = {
        name: torch.cat([tensor, tensor]) for name, tensor in batch._asdict().items() if tensor is not None
    }
    return batch._replace(**doubled)


def disagreement(logits: Tensor, lengths: Tensor) -> Tensor:
    """Return how far the two halves of a batch are apart: both Kullback-Leibler divergences, mean per frame.

    Each half learns from the other as it stands: no gradient flows to what it is compared with.

    Args:
        logits: (2 * batch, time, phone); row ``batch + i`` is the same utterance as row i.
        lengths: (2 * batch,) int64, valid frames per row.
    Source: consistency regularisation, Yao et al., arXiv:2410.05101, equation 5.
    """
    told = logits.float().log_softmax(2)
    other = torch.cat(told.chunk(2)[::-1]).detach()
    divergence = (other.exp() * (other - told)).sum(2)  # (2 * batch, time)
    valid = torch.arange(logits.shape[1], device=logits.device) < lengths[:, None]
    return divergence[valid].mean()


@torch.no_grad()
def recognize(
    model: PhoneRecognizer, batch: CtcBatch, ngrams: Sequence[PhoneNgrams] = ()
) -> tuple[list[list[int]], list[list[int]]]:
    """Return the phones heard in each row, by the last and by the middle layer, as indices of its output.

    Args:
        model: the recogniser.
        batch: transcribed speech; it says which output reads a row.
        ngrams: a language model of each output, which the last layer is read with; none takes the best phone
            of each frame.
    """
    hidden = model.hidden(batch.features)
    outputs = [0] * len(batch.lengths) if batch.outputs is None else batch.outputs.tolist()
    told = {
        output: [logits.float().log_softmax(2).cpu() for logits in model.logits(hidden, output)]
        for output in set(outputs)
    }
    heard: tuple[list[list[int]], list[list[int]]] = [], []
    for row, (output, length) in enumerate(zip(outputs, batch.lengths.tolist(), strict=True)):
        last, middle = (frames[row, :length] for frames in told[output])
        best = phones.collapse(last.argmax(1).tolist())
        heard[0].append(search(last, ngrams[output]) if ngrams else best)
        heard[1].append(phones.collapse(middle.argmax(1).tolist()))
    return heard


def count_edits(
    model: PhoneRecognizer, batch: CtcBatch, ngrams: Sequence[PhoneNgrams] = ()
) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Return (edits, reference length) per row, for the last and the middle output.

    Args:
        model: the recogniser.
        batch: transcribed speech.
        ngrams: as in :func:`recognise`.
    """
    references = [row.tolist() for row in torch.split(batch.targets, batch.target_lengths.tolist())]
    last, middle = (
        [(int(edit_distance(r, h)), len(r)) for r, h in zip(references, heard, strict=True)]
        for heard in recognize(model, batch, ngrams)
    )
    return last, middle


def ngrams_of(corpus: SpeechCorpus, sources: Iterable[SpeechSourceConfig]) -> list[PhoneNgrams]:
    """Return a language model of the sentences in a corpus, for each output of the recogniser.

    Args:
        corpus: what was read from the sources.
        sources: of which those with ``sentences`` are counted.
    """
    spoken = {source.manifest.as_posix() for source in sources if source.sentences}
    counted = [utterance.extra.get("corpus") in spoken for utterance in corpus.utterances]
    sizes = [phones.NUM_OUTPUTS - 1, *map(len, corpus.inventories.values())]
    return [
        PhoneNgrams(
            (
                said
                for said, own, count in zip(corpus.targets, corpus.outputs, counted, strict=True)
                if count and own == output
            ),
            num_phones=size,
        )
        for output, size in enumerate(sizes)
    ]


def phone_error_rate(
    model: PhoneRecognizer, corpus: SpeechCorpus, by: Iterable[str] = (), ngrams: Sequence[PhoneNgrams] = ()
) -> dict[str, float]:
    """Phone error rate of a corpus, whole and by the values of manifest fields.

    Args:
        model: the recogniser; put into eval mode.
        corpus: transcribed speech.
        by: names of columns, such as ``gender``, or the ``corpus`` and ``language`` that
            :func:`kws.pretraining.sources.read_sources` adds; ``age`` is grouped into child (below 16)
            and adult. An utterance without the field is in no group of it.
        ngrams: as in :func:`recognise`.
    Returns:
        ``{"all": 0.3, "gender=f": 0.28, ...}``.
    """
    model.eval()
    totals: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for batch, utterances in evaluation_batches(corpus, 120.0, model.encoder):
        for (edits, length), utterance in zip(count_edits(model, batch, ngrams)[0], utterances, strict=True):
            groups = ["all"]
            for name in by:
                value = utterance.column(name)
                if value is None:
                    continue
                if name == "age":
                    value = _age_group(value)
                groups.append(f"{name}={value}")
            for group in groups:
                totals[group][0] += edits
                totals[group][1] += length
    return {group: edits / max(length, 1) for group, (edits, length) in sorted(totals.items())}


def _age_group(age: Any) -> Any:
    """Return ``child`` or ``adult``, or what a manifest says where that is no number."""
    try:
        return "child" if float(age) < 16 else "adult"
    except (TypeError, ValueError):
        return age


def _with_names_of_now(module: nn.Module, tensors: dict[str, Tensor], prefix: str, *_: object) -> None:
    """Rename tensors in the checkpoint of an earlier version."""
    old = f"{prefix}lesson."
    for name in [name for name in tensors if name.startswith(old)]:
        tensors[f"{prefix}to_teacher.{name.removeprefix(old)}"] = tensors.pop(name)
