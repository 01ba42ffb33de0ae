"""The network of a microcontroller: causal, foldable, and its int8 form in whole numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from kws.errors import ConfigError
from kws.student.features import FEATURE_ZERO
from kws.student.network import STRIDE, Student, StudentConfig
from kws.student.quantized import quantize, rescale
from tests.support.students import small_student, speech_features

SMALL = StudentConfig(channels=8, kernels=(2, 3), last_steps=2)


def test_a_logit_hears_its_receptive_field_and_nothing_later():
    torch.manual_seed(0)
    student = Student(SMALL).eval()
    features = speech_features(40 * STRIDE)
    logits = student(torch.from_numpy(features)[None])[0]
    changed = features.copy()
    changed[20 * STRIDE : 21 * STRIDE] = FEATURE_ZERO + 90
    apart = (student(torch.from_numpy(changed)[None])[0] - logits).abs() > 1e-7
    heard = np.flatnonzero(apart.numpy())
    assert heard.min() == 20
    # the first layer overlaps into the next step by what its kernel is longer than the stride
    assert heard.max() == 20 + SMALL.receptive_field - 1 + (SMALL.first_kernel > STRIDE)


def test_silence_before_is_what_came_before():
    torch.manual_seed(0)
    student = Student(SMALL).eval()
    features = speech_features(30 * STRIDE)
    silence = np.full((20 * STRIDE, features.shape[1]), FEATURE_ZERO, np.int8)
    alone = student(torch.from_numpy(features)[None])[0]
    after = student(torch.from_numpy(np.concatenate([silence, features]))[None])[0, 20:]
    # what the layers make of silence is not zero, as it is before a stream: the first logits differ
    torch.testing.assert_close(alone[SMALL.receptive_field + 1 :], after[SMALL.receptive_field + 1 :])


def test_folding_keeps_what_evaluation_computes():
    torch.manual_seed(0)
    student = Student(SMALL)
    batch = torch.from_numpy(speech_features(60 * STRIDE))[None]
    for _ in range(5):
        student.train()(batch)
    student.eval()
    before = student(batch)
    student.fold()
    torch.testing.assert_close(student(batch), before, atol=1e-5, rtol=0)


def test_rounded_network_and_whole_numbers_agree():
    student = small_student()
    features = speech_features(200 * STRIDE)
    rounded = torch.sigmoid(student(torch.from_numpy(features)[None])[0]).detach().numpy() * 256
    whole = quantize(student).probabilities(features)
    assert whole.min() < 100 < 150 < whole.max()  # it says something
    # half a step of the int8 logit is 2 of 256; a middle of two numbers may fall to either side
    assert np.mean(np.abs(whole - rounded) > 2.5) < 0.05
    assert np.abs(whole - rounded).max() < 8


def test_a_step_more_of_a_stream_changes_no_earlier_probability():
    whole, features = quantize(small_student()), speech_features(90 * STRIDE)
    longer = whole.probabilities(features)
    np.testing.assert_array_equal(whole.probabilities(features[: 50 * STRIDE + 2]), longer[:50])


@pytest.mark.parametrize(
    ("total", "factor", "computer", "chip"),
    [
        (3, 0.5, 2, 2),  # 1.5
        (5, 0.25, 2, 2),  # 2.5 becomes 3, and 1.5 becomes 2: they round twice
        (-1000, 0.123, -123, -123),
        (7, 2.0, 14, 14),
        (-6, 0.25, -1, -2),  # -1.5: up, or away from zero
    ],
)
def test_rescaling_rounds_as_the_kernels_do(total: int, factor: float, computer: int, chip: int):
    totals, factors = np.array([[total]], np.int64), np.array([factor])
    assert rescale(totals, factors, "computer")[0, 0] == computer
    assert rescale(totals, factors, "chip")[0, 0] == chip


@pytest.mark.parametrize(
    "wrong", [{"channels": 0}, {"first_kernel": 2}, {"kernels": ()}, {"kernels": (1,)}, {"last_steps": 0}]
)
def test_a_size_that_cannot_be_is_refused(wrong: dict[str, object]):
    with pytest.raises(ConfigError, match="student"):
        StudentConfig(**wrong)  # type: ignore[arg-type]
