"""Distillation: a student learns to give its teacher's scores from micro features.

Where the phrase is said, the mean over the sliding window has to reach the teacher's score at some step soon
after the teacher has heard it; everywhere else each step has to be as low as the teacher is. The logits of
the teacher, not its decisions, are learnt: how much other speech resembles the phrase is most of what it
knows.

Source: Hinton, Vinyals and Dean, arXiv:1503.02531; the surest frame of a clip as in Sun et al.,
arXiv:1705.02411.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from kws.audio import atomic_write
from kws.errors import ConfigError
from kws.student.features import FEATURE_ZERO, NUM_CHANNELS
from kws.student.network import WINDOW, Student, StudentConfig
from kws.student.pretrained import load_pretrained
from kws.student.quantized import QuantizedStudent, quantize
from kws.student.rows import Rows

TEMPERATURE = 3.0
"""A logit of the student is one of the teacher divided by this: the teacher's reach 15, those of int8 8, and
above 6 a probability in 256ths is at its end."""

LOGIT_RANGE = (-4.0, 5.0)
"""Logits outside count as the ends: what is far below a threshold needs no further push."""

SAID_FROM = -2.0
"""Least logit of the teacher, at its surest step, in a row that counts as one in which the phrase is said."""

HEARD = 4.0
"""Least logit that is asked for where the phrase is said: the teacher is sure of some voices, not of all."""

SUREST = 4.5
"""Logit that the surest tenth of the rows with the phrase get at last: a probability of 0.99, below the end
of its 256 steps, so that the highest scores keep their order."""

SOON, LATE = 1, 10
"""The student may be surest so many steps before the teacher is sure, and so many after, of 30 ms."""

AROUND = 8, 16
"""Steps before and after that moment in which it may rise and fall as it likes."""

SURE = 0.9
"""Part of the highest logit from which on the teacher is sure."""

REAL = 0.5
"""Share of the rows with the phrase that real people say, where some do."""

NUM_HARD = 600
"""Rows of other speech that half of those in a batch are drawn from: the ones hardest when last heard."""

HARDEST = 5
"""Steps of a row, those farthest above the teacher, that count by themselves."""


TEMPO, TRACT = (0.87, 1.15), (0.88, 1.12)
"""Least and greatest factor of the speed of a row, and of its frequencies on the mel scale."""

LEVEL = (-25.0, 12.0)
"""Steps of int8 that are added to a row, as at another level."""

SPLICED = 0.6
"""Share of rows of other speech that begin as another one."""

MIXED, BEHIND = 0.25, (30.0, 100.0)
"""Share of rows with another row behind, and by how many steps of int8 that is softer."""


@dataclass(frozen=True, slots=True)
class DistillConfig:
    """How a student is trained."""

    steps: int = 1500
    """Updates of the weights."""
    said: int = 40
    """Rows of a batch in which the phrase is said, half of them by real people where there are some."""
    alike: int = 24
    """Rows of a batch with words like it."""
    other: int = 64
    """Rows of a batch of other speech and noise."""
    learning_rate: float = 2e-3
    """Highest step of AdamW; it falls to nothing along a cosine."""
    rounded: float = 0.1
    """Share of the steps, the last ones, that are trained with the rounding of int8."""
    pretrained: bool = True
    """Begin from the weights that ship, which know speech; else from random ones."""
    frozen: int = 3
    """Layers of the pretrained weights that stay as they are: the first one, and then blocks."""
    seed: int = 0
    """Of weights and draws."""

    def __post_init__(self) -> None:
        if self.steps < 10 or min(self.said, self.alike, self.other) < 1 or not 0 < self.rounded < 1:
            raise ConfigError(
                f"student: got {self}; `steps` is at least 10, `said`, `alike` and `other` 1, `rounded` "
                "a share"
            )


def distillation_loss(logits: Tensor, teacher: Tensor, said: Tensor) -> tuple[Tensor, Tensor]:
    """Return how far a student is from its teacher, and by how much it is surer at some step of each row.

    Args:
        logits: (batch, steps) of the student.
        teacher: (batch, steps) logits of the teacher.
        said: (batch,) bool, the phrase is in the row.
    """
    low, high = LOGIT_RANGE
    wished = (teacher / TEMPERATURE).clamp(low, high)
    peak = teacher.amax(1)
    said = said & (peak > SAID_FROM)
    steps = torch.arange(logits.shape[1], device=logits.device)[None]
    begin = (teacher >= peak[:, None] - (1 - SURE) * peak[:, None].abs()).float().argmax(1)[:, None]
    window = (steps >= begin - SOON) & (steps <= begin + LATE) & said[:, None]
    around = (steps >= begin - AROUND[0]) & (steps <= begin + AROUND[1]) & said[:, None]

    surest = smoothed(logits).masked_fill(~window, -math.inf).amax(1)[said]
    missed = functional.softplus(HEARD - surest).sum() / max(1, len(surest))

    apart = functional.smooth_l1_loss(logits.clamp(min=low), wished, reduction="none").masked_fill(around, 0)
    above = functional.softplus(logits) - functional.softplus(wished)
    hardest = above.masked_fill(around, 0).clamp(min=0).topk(HARDEST, 1).values.mean(1)
    return missed + apart.mean() + hardest.mean(), hardest.detach()


class Batches:
    """Draws rows.

    Args:
        kinds: rows by kind: ``said`` by voices, ``real`` by people, ``alike``, ``other``; the first and the
            last must be there.
        config: how many of each.
    """

    def __init__(self, kinds: Mapping[str, Rows], config: DistillConfig) -> None:
        self.kinds = {name: rows for name, rows in kinds.items() if len(rows)}
        said = {"said": config.said}
        if "real" in self.kinds:
            real = round(REAL * config.said)
            said = {"real": real, "said": config.said - real}
        counts = {**said, "alike": config.alike, "other": config.other}  # `other` is the last
        self.counts = {name: count for name, count in counts.items() if name in self.kinds}
        self.hardness = torch.zeros(len(self.kinds["other"]))
        self.drawn = np.zeros(0, np.int64)

    def learn(self, hardness: Tensor) -> None:
        """Remember how hard the rows of other speech of the last batch were; they are the last ones of it.

        Args:
            hardness: (batch,).
        """
        self.hardness[torch.from_numpy(self.drawn)] = hardness[-len(self.drawn) :]

    def _choose(self, name: str, count: int, rng: np.random.Generator) -> np.ndarray:
        """Return rows of a kind; half of those of other speech are among the hardest."""
        chosen = rng.integers(0, len(self.kinds[name]), count)
        if name == "other":
            hard = torch.topk(self.hardness, min(NUM_HARD, len(self.hardness))).indices.numpy()
            chosen[: count // 4] = hard[rng.integers(0, len(hard), count // 4)]
            self.drawn = chosen
        return chosen

    def draw(self, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Return features (batch, time, channels) int8, the teacher's logits (batch, steps), and said."""
        features, targets, said = [], [], []
        for name, count in self.counts.items():
            rows = self.kinds[name]
            chosen = self._choose(name, count, rng)
            features.append(rows.features[chosen])
            targets.append(rows.targets[chosen].astype(np.float32))
            said.append(np.full(count, name in ("real", "said")))
        heard, wished = splice(
            torch.from_numpy(np.concatenate(features)).float(),
            torch.from_numpy(np.concatenate(targets)),
            self.counts["other"],
            rng,
        )
        heard, wished = vary(heard, wished, self.counts["other"], rng)
        return heard, wished, torch.from_numpy(np.concatenate(said))


def vary(features: Tensor, targets: Tensor, count: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Change rows as other voices, other tempos, other levels and other people behind would.

    Args:
        features: (batch, time, channels) float of int8.
        targets: (batch, steps) of the teacher, moved along with the features.
        count: of the rows at the end, which hold other speech: these are what is heard behind.
        rng: draws all of it.
    Source: vocal tract length perturbation, Jaitly and Hinton, ICML 2013 workshop; SpecAugment, Park et al.,
        arXiv:1904.08779.
    """
    batch, time, channels = features.shape
    tempo = torch.from_numpy(rng.uniform(*TEMPO, batch).astype(np.float32))
    tract = torch.from_numpy(rng.uniform(*TRACT, batch).astype(np.float32))
    when = 1 - (1 - torch.linspace(-1, 1, time))[None] * tempo[:, None]  # anchored at the end
    where = (torch.linspace(0, 2, channels)[None] * tract[:, None]) - 1
    grid = torch.stack(
        [where[:, None].expand(-1, time, -1), when[:, :, None].expand(-1, -1, channels)], dim=-1
    )
    moved = functional.grid_sample(features[:, None], grid, padding_mode="border", align_corners=True)[:, 0]
    steps = targets.shape[1]
    place = (steps - 1) - (steps - 1 - torch.arange(steps))[None] * tempo[:, None]
    targets = targets.gather(1, place.round().long().clamp(0, steps - 1))
    moved = moved + torch.from_numpy(rng.uniform(*LEVEL, (batch, 1, 1)).astype(np.float32))
    behind = moved[torch.from_numpy(batch - 1 - rng.integers(0, count, batch))]
    softer = torch.from_numpy(rng.uniform(*BEHIND, (batch, 1, 1)).astype(np.float32))
    mixed = torch.from_numpy(rng.random(batch) < MIXED)[:, None, None]
    moved = torch.where(mixed, torch.maximum(moved, behind - softer), moved)
    return mask(moved.clamp(FEATURE_ZERO, -FEATURE_ZERO - 1), rng), targets


def splice(features: Tensor, targets: Tensor, count: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Put the beginnings of some rows of other speech before the ends of others: more orders of sounds.

    Args:
        features: (batch, time, channels), of which the last ``count`` rows hold other speech.
        targets: (batch, steps) of the teacher.
        count: of them; ``SPLICED`` of these are changed.
        rng: draws rows and places.
    Returns:
        Both, in new tensors.
    """
    first = len(features) - count
    steps = targets.shape[1]
    others = torch.from_numpy(first + rng.permutation(count))
    at = torch.from_numpy(rng.integers(steps // 5, steps, count))
    at = torch.where(torch.from_numpy(rng.random(count) < SPLICED), at, torch.zeros_like(at))[:, None]
    early = torch.arange(steps)[None] < at
    spliced = torch.where(early, targets[others], targets[first:])
    early = early.repeat_interleave(features.shape[1] // steps, 1)[:, :, None]
    heard = torch.where(early, features[others], features[first:])
    return torch.cat([features[:first], heard]), torch.cat([targets[:first], spliced])


def mask(features: Tensor, rng: np.random.Generator) -> Tensor:
    """Silence a band of channels in some rows, and a stretch of time in others; writes to ``features``."""
    batch, time, _ = features.shape
    width, length = int(rng.integers(1, 6)), int(rng.integers(3, 20))
    channel, start = int(rng.integers(0, NUM_CHANNELS - width)), int(rng.integers(0, time - length))
    features[torch.from_numpy(rng.random(batch) < 0.4), :, channel : channel + width] = FEATURE_ZERO
    features[torch.from_numpy(rng.random(batch) < 0.3), start : start + length] = FEATURE_ZERO
    return features


def distill(
    student: Student,
    kinds: Mapping[str, Rows],
    config: DistillConfig,
    checkpoint: Path | None = None,
    on_step: Callable[[int, float], None] | None = None,
) -> Student:
    """Train a student, at last with the rounding of int8, and return the running mean of its weights.

    Args:
        student: with normalisation, not folded.
        kinds: see :class:`Batches`.
        config: how.
        checkpoint: file from which a stopped training goes on, to the same bits.
        on_step: called with the number of each finished step and its loss.
    Raises:
        ConfigError: the loss is not finite.
    """
    batches, state = Batches(kinds, config), _Training(student, config)
    if checkpoint is not None and checkpoint.exists():
        state.load(checkpoint, batches)
    while state.step < config.steps:
        if state.step == state.fold_at:
            state.begin_rounding(batches)
        student.train()
        features, teacher, said = batches.draw(np.random.default_rng((config.seed, state.step)))
        loss, hardness = distillation_loss(student(features), teacher, said)
        batches.learn(hardness)
        if not torch.isfinite(loss):
            raise ConfigError(
                f"student: the loss is {loss.item()} at step {state.step}; lower `learning_rate`"
            )
        state.update(loss)
        if checkpoint is not None and state.step % SAVED_EVERY == 0:
            state.save(checkpoint, batches)
        if on_step is not None:
            on_step(state.step, loss.item())
    return state.mean


def train_student(
    kinds: Mapping[str, Rows], config: DistillConfig, checkpoint: Path | None = None
) -> QuantizedStudent:
    """Train a new student under a progress bar, and return its int8 form.

    Args:
        kinds: see :class:`Batches`.
        config: how.
        checkpoint: see :func:`distill`.
    Raises:
        ConfigError: the loss is not finite.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        student = Student(StudentConfig())
    if config.pretrained:
        load_pretrained(student)
        student.freeze(config.frozen)
    with tqdm(total=config.steps, desc="student", unit="step", disable=None) as bar:

        def show(step: int, loss: float) -> None:
            bar.update(step - bar.n)
            bar.set_postfix(loss=f"{loss:.3f}", refresh=False)

        trained = distill(student, kinds, config, checkpoint, show)
    trained.sharpen(SUREST / sureness(trained, kinds))
    return quantize(trained)


@torch.no_grad()
def sureness(student: Student, kinds: Mapping[str, Rows]) -> float:
    """Return the logit that the surest tenth of the rows with the phrase reach."""
    rows = kinds.get("real", kinds["said"])
    heard = [
        smoothed(student(torch.from_numpy(rows.features[start : start + 100]))).amax(1)
        for start in range(0, min(len(rows), 1000), 100)
    ]
    return max(1.0, torch.quantile(torch.cat(heard), 0.9).item())


def smoothed(logits: Tensor) -> Tensor:
    """Return the mean of the last ``WINDOW`` logits at each step, (batch, steps)."""
    return functional.avg_pool1d(functional.pad(logits, (WINDOW - 1, 0))[:, None], WINDOW, 1)[:, 0]


SAVED_EVERY = 250
"""Steps from one checkpoint to the next."""

WARM_UP = 200
"""Steps in which the learning rate rises."""

ROUNDED_RATE = 0.01
"""Part of the learning rate with which the rounded weights are trained."""

OBSERVED = 8
"""Batches that the ranges of int8 are set from."""


class _Training:
    """What one training holds: weights, their running mean, and the optimiser."""

    def __init__(self, student: Student, config: DistillConfig) -> None:
        self.student, self.config, self.step = student, config, 0
        self.fold_at = config.steps - max(1, round(config.rounded * config.steps))
        self.mean = copy.deepcopy(student).eval()
        moving = [each for each in student.parameters() if each.requires_grad]
        self.optimizer = torch.optim.AdamW(moving, config.learning_rate, weight_decay=1e-2)

    def begin_rounding(self, batches: Batches) -> None:
        """Fold normalisation into the mean weights, set ranges, and go on from them."""
        self.mean.fold()
        rng = np.random.default_rng((self.config.seed, self.config.steps))
        self.mean.observe([batches.draw(rng)[0] for _ in range(OBSERVED)])
        self._take_mean()

    def _take_mean(self) -> None:
        """Give the student the weights and the form of the mean."""
        self.student.load_state_dict(self.mean.state_dict())
        self.student.folded, self.student.ranges = self.mean.folded, list(self.mean.ranges)
        rate = ROUNDED_RATE * self.config.learning_rate
        moving = [each for each in self.student.parameters() if each.requires_grad]
        self.optimizer = torch.optim.AdamW(moving, rate, weight_decay=0.0)

    def rate(self) -> float:
        """Return the learning rate of the coming step."""
        if self.step < self.fold_at:
            done, rate = self.step / self.fold_at, self.config.learning_rate
            rate *= min(1.0, (self.step + 1) / WARM_UP)
        else:
            done = (self.step - self.fold_at) / (self.config.steps - self.fold_at)
            rate = ROUNDED_RATE * self.config.learning_rate
        return rate * (0.02 + 0.49 * (1 + math.cos(math.pi * done)))

    def update(self, loss: Tensor) -> None:
        """Take one step, and follow it with the mean."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate()
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.student.parameters(), 1.0)
        self.optimizer.step()
        self.step += 1
        kept = min(0.998, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            pairs = zip(self.mean.state_dict().values(), self.student.state_dict().values(), strict=True)
            for mean, new in pairs:
                if mean.dtype.is_floating_point:
                    mean.mul_(kept).add_(new, alpha=1 - kept)

    def save(self, path: Path, batches: Batches) -> None:
        """Write all of it."""
        held: dict[str, Any] = {
            "step": self.step,
            "student": self.student.state_dict(),
            "mean": self.mean.state_dict(),
            "ranges": self.mean.ranges,
            "hardness": batches.hardness,
            "optimizer": self.optimizer.state_dict(),
        }
        with atomic_write(path) as temporary:
            torch.save(held, temporary)

    def load(self, path: Path, batches: Batches) -> None:
        """Go on from what :meth:`save` wrote."""
        held = torch.load(path, weights_only=True)
        self.step, batches.hardness = held["step"], held["hardness"]
        if self.step > self.fold_at:
            self.mean.folded, self.mean.ranges = True, [tuple(pair) for pair in held["ranges"]]
            self._take_mean()
        self.student.load_state_dict(held["student"])
        self.mean.load_state_dict(held["mean"])
        self.optimizer.load_state_dict(held["optimizer"])
