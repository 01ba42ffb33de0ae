"""Distillation: what the loss asks for, what rows become, and a training that goes on where it stopped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from kws.errors import ConfigError
from kws.student.features import FEATURE_ZERO, NUM_CHANNELS
from kws.student.network import STRIDE, Student, StudentConfig
from kws.student.quantized import quantize
from kws.student.rows import NUM_STEPS, Rows
from kws.student.training import (
    Batches,
    DistillConfig,
    distill,
    distillation_loss,
    smoothed,
    splice,
    train_student,
    vary,
)

SHORT = DistillConfig(steps=60, said=8, alike=4, other=12)


def toy_rows(count: int, said: bool, seed: int) -> Rows:
    """Return rows of noise; the phrase is a band that rises at step 60, which the teacher hears."""
    rng = np.random.default_rng(seed)
    features = rng.integers(-128, -60, (count, NUM_STEPS * STRIDE, NUM_CHANNELS)).astype(np.int8)
    targets = np.full((count, NUM_STEPS), -14.0, np.float16)
    if said:
        for band in range(3):
            features[:, (60 + 4 * band) * STRIDE : (64 + 4 * band) * STRIDE, 6 * band : 6 * band + 6] = 60
        targets[:, 70:78] = 12.0
    return Rows(features, targets)


KINDS = {
    "said": toy_rows(60, True, 0),
    "real": toy_rows(30, True, 1),
    "alike": toy_rows(30, False, 2),
    "other": toy_rows(120, False, 3),
}


def test_the_loss_falls_when_the_phrase_is_surer_and_the_rest_is_lower():
    teacher = torch.from_numpy(KINDS["said"].targets[:2].astype(np.float32))
    said = torch.tensor([True, True])
    flat = torch.full((2, NUM_STEPS), -4.0)
    heard = flat.clone()
    heard[:, 70:80] = 4.0
    late = flat.clone()
    late[:, 90:99] = 4.0
    losses = [distillation_loss(logits, teacher, said)[0].item() for logits in (heard, flat, late)]
    assert losses[0] < losses[1] < losses[2]


def test_the_loss_tells_which_rows_are_hard():
    teacher = torch.full((2, NUM_STEPS), -14.0)
    logits = torch.full((2, NUM_STEPS), -4.0)
    logits[1, 30:40] = 3.0
    _, hardness = distillation_loss(logits, teacher, torch.tensor([False, False]))
    assert hardness[0] < 0.1 < 2.0 < hardness[1]


def test_rows_in_which_the_teacher_hears_nothing_do_not_count_as_said():
    teacher = torch.full((1, NUM_STEPS), -14.0)
    logits = torch.full((1, NUM_STEPS), -4.0)
    silent = distillation_loss(logits, teacher, torch.tensor([True]))[0]
    assert silent.item() == distillation_loss(logits, teacher, torch.tensor([False]))[0].item()


def test_smoothing_is_the_mean_of_the_last_five():
    logits = torch.arange(10.0)[None]
    np.testing.assert_allclose(smoothed(logits)[0, 4:], np.arange(2.0, 8.0))


def test_other_speech_is_spliced_with_its_targets():
    features = torch.arange(32.0)[:, None, None].expand(32, 300, NUM_CHANNELS)
    targets = torch.arange(32.0)[:, None].expand(32, NUM_STEPS)
    heard, wished = splice(features, targets, 30, np.random.default_rng(0))
    torch.testing.assert_close(heard[:2], features[:2])
    assert (heard[2:, -1, 0] == torch.arange(2.0, 32.0)).all()  # a row keeps its end
    np.testing.assert_array_equal(heard[:, ::STRIDE, 0], wished)  # both are of the same row at each step
    assert (heard[2:] >= 2).all() and (heard[2:, 0, 0] != heard[2:, -1, 0]).any()


def test_varied_rows_stay_int8_and_keep_their_end():
    rows = KINDS["said"]
    features, targets = torch.from_numpy(rows.features[:20]).float(), torch.from_numpy(rows.targets[:20])
    changed, moved = vary(features, targets.float(), 10, np.random.default_rng(0))
    assert changed.shape == features.shape and moved.shape == targets.shape
    assert changed.min() >= FEATURE_ZERO and changed.max() <= 127
    # the teacher hears the phrase for 8 steps, which become 7 to 9, anchored at the end of the row
    lengths = (moved > 0).sum(1)
    assert lengths.min() >= 6 and lengths.max() <= 10 and len(lengths.unique()) > 1
    assert ((changed - features).abs().amax((1, 2)) > 0).all()


def test_a_batch_holds_each_kind_and_the_hard_rows_more_often():
    batches = Batches(KINDS, replace(SHORT, other=40))
    assert batches.counts == {"real": 4, "said": 4, "alike": 4, "other": 40}
    hard = torch.zeros(120)
    hard[7] = 5.0
    batches.hardness = hard
    features, teacher, said = batches.draw(np.random.default_rng(0))
    assert features.shape == (52, NUM_STEPS * STRIDE, NUM_CHANNELS) and teacher.shape == (52, NUM_STEPS)
    assert said.tolist() == [True] * 8 + [False] * 44
    batches.learn(torch.arange(52.0))
    assert batches.hardness[batches.drawn[-1]] == 51.0


@pytest.mark.slow
def test_a_student_learns_the_phrase_and_its_int8_form_too():
    student = train_student(KINDS, replace(SHORT, steps=260))
    unheard = toy_rows(20, True, 9), toy_rows(20, False, 10)
    said, other = ([student.probabilities(row).max() for row in rows.features] for rows in unheard)
    assert min(said) > 150 and max(other) < 100


@pytest.mark.slow
@pytest.mark.parametrize("stop_at", [20, 55], ids=["before rounding", "after"])
def test_a_stopped_training_goes_on_to_the_same_bits(
    stop_at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("kws.student.training.SAVED_EVERY", 5)
    size = StudentConfig(channels=8, kernels=(2, 3), last_steps=2)

    def run(checkpoint: Path, stop: int | None) -> Student:
        torch.manual_seed(0)

        def on_step(step: int, _: float) -> None:
            if step == stop:
                raise KeyboardInterrupt

        return distill(Student(size), KINDS, SHORT, checkpoint, on_step)

    whole = run(tmp_path / "whole.pt", None)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "stopped.pt", stop_at)
    went_on = run(tmp_path / "stopped.pt", None)
    for first, second in zip(quantize(whole).layers, quantize(went_on).layers, strict=True):
        np.testing.assert_array_equal(first.weight, second.weight)
        assert (first.output_scale, first.output_zero) == (second.output_scale, second.output_zero)


@pytest.mark.parametrize("wrong", [{"steps": 5}, {"said": 0}, {"rounded": 1.0}])
def test_a_training_that_cannot_be_is_refused(wrong: dict[str, float]):
    with pytest.raises(ConfigError, match="student"):
        DistillConfig(**wrong)  # type: ignore[arg-type]


def test_a_loss_that_is_no_number_ends_the_training():
    broken = {**KINDS, "said": Rows(KINDS["said"].features, np.full((60, NUM_STEPS), np.nan, np.float16))}
    with pytest.raises(ConfigError, match=r"the loss is nan at step 0; lower `learning_rate`"):
        distill(Student(StudentConfig(channels=8, kernels=(2,))), broken, SHORT)


def test_frozen_layers_stay_as_they_are_and_the_others_move():
    torch.manual_seed(0)
    student = Student(StudentConfig(channels=8, kernels=(2, 3, 2)))
    student.freeze(2)  # the first convolution and the first block
    before = {name: tensor.clone() for name, tensor in student.state_dict().items()}

    def stop_before_rounding(step: int, _: float) -> None:
        if step == 15:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        distill(student, KINDS, replace(SHORT, steps=20), on_step=stop_before_rounding)
    after = student.state_dict()
    kept = {name for name in before if torch.equal(before[name], after[name])}
    assert kept == {name for name in before if name.startswith(("first", "block_list.0."))}
