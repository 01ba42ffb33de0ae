"""The detection loss against values worked by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from kws.errors import ConfigError
from kws.losses import available_losses, build_loss
from kws.losses.max_pooling import NEGATIVE_FRAMES, POSITIVE_FRAMES, max_pooling_loss
from kws.structs import Batch
from kws.training.config import TrainConfig


def batch(targets: list[list[float]], first: list[int], last: list[int]) -> Batch:
    empty = torch.zeros(len(targets), 1)
    lengths = torch.ones(len(targets), dtype=torch.int64)
    return Batch(empty, lengths, torch.tensor(targets), torch.tensor(first), torch.tensor(last))


def miss(logit: float) -> float:
    """Cross-entropy of a frame that should fire."""
    return math.log1p(math.exp(-logit))


def alarm(logit: float) -> float:
    """Cross-entropy of a frame that should not."""
    return math.log1p(math.exp(logit))


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def frames(*values: float) -> Tensor:
    """(1, time, 1)."""
    return torch.tensor(values)[None, :, None]


def test_a_positive_pays_for_its_best_frames_in_the_span_and_its_worst_before():
    #              before        span              after: free
    logits = frames(1.0, -2.0, 3.0, -1.0, 2.0, 0.5, 9.0)
    assert (POSITIVE_FRAMES, NEGATIVE_FRAMES) == (3, 8)
    expected = mean([miss(3.0), miss(2.0), miss(0.5)]) + 0.5 * mean([alarm(1.0), alarm(-2.0)])
    assert float(max_pooling_loss(logits, batch([[1.0]], [2], [5]))) == pytest.approx(expected, rel=1e-6)


def test_a_negative_pays_for_its_eight_worst_frames_wherever_they_are():
    values = [0.1 * number for number in range(12)]
    logits = frames(*values[::2], *values[1::2])
    expected = mean([alarm(value) for value in values[4:]])
    assert float(max_pooling_loss(logits, batch([[0.0]], [3], [5]))) == pytest.approx(expected, rel=1e-6)


def test_spans_and_rows_shorter_than_the_number_of_frames_are_averaged_over_what_is_there():
    one = frames(-1.0, 2.0)
    assert float(max_pooling_loss(one, batch([[1.0]], [1], [9]))) == pytest.approx(
        miss(2.0) + 0.5 * alarm(-1.0), rel=1e-6
    )
    assert float(max_pooling_loss(one, batch([[0.0]], [0], [0]))) == pytest.approx(
        mean([alarm(-1.0), alarm(2.0)]), rel=1e-6
    )


def test_positives_and_negatives_weigh_alike_whatever_their_number():
    row = [0.3, -0.7, 1.1]
    positive, negative = frames(*row), frames(*row)
    expected = mean([miss(value) for value in row]) + mean([alarm(value) for value in row])
    for count in (1, 5):
        logits = torch.cat([positive, *[negative] * count])
        loss = max_pooling_loss(
            logits, batch([[1.0], *[[0.0]] * count], [0] * (count + 1), [2] * (count + 1))
        )
        assert float(loss) == pytest.approx(expected, rel=1e-6)


def test_another_keyword_must_stay_low_in_the_whole_row_of_a_positive():
    logits = torch.tensor([[[2.0, -1.0], [1.0, 0.5]]])  # (1, 2 frames, 2 keywords)
    expected = mean([miss(2.0), miss(1.0)]) + mean([alarm(-1.0), alarm(0.5)])
    assert float(max_pooling_loss(logits, batch([[1.0, 0.0]], [0], [1]))) == pytest.approx(expected, rel=1e-6)


def test_only_the_frames_that_count_get_a_gradient_of_the_right_sign():
    positive = [0.4, 0.1, 3.0, 2.0, 1.0, -4.0, -4.0, 5.0, 6.0]  # span 2 to 6: frames 2, 3, 4 are the best
    logits = torch.tensor([positive, [0.0] * 9])[:, :, None].requires_grad_()
    max_pooling_loss(logits, batch([[1.0], [0.0]], [2, 0], [6, 0])).backward()
    gradient = logits.grad
    assert gradient is not None and torch.isfinite(gradient).all()
    assert [round(float(value), 6) for value in gradient[0, [5, 6, 7, 8], 0]] == [0, 0, 0, 0]
    assert (gradient[0, 2:5, 0] < 0).all() and (gradient[0, :2, 0] > 0).all()
    assert int((gradient[1] > 0).sum()) == NEGATIVE_FRAMES and float(gradient[1].min()) == 0


def test_a_span_beyond_the_frames_gives_no_nan():
    logits = frames(1.0, 2.0).requires_grad_()
    loss = max_pooling_loss(logits, batch([[1.0]], [5], [7]))
    loss.backward()
    assert float(loss.detach()) == pytest.approx(0.5 * mean([alarm(1.0), alarm(2.0)]), rel=1e-6)
    assert torch.isfinite(logits.grad).all()


ROWS = [[0.4, 0.1, 3.0, 2.0, 1.0, -4.0, -4.0, 5.0, 6.0], [0.5, -1.0, 2.0, 0.0, -3.0, 1.5, 0.2, -0.7, 0.9]]


def test_every_loss_is_built_by_name_and_is_a_scalar_with_a_gradient():
    for name in available_losses():
        logits = torch.tensor(ROWS)[:, :, None].requires_grad_()
        loss = build_loss(name)(logits, batch([[1.0], [0.0]], [2, 0], [6, 0]))
        loss.backward()
        assert loss.shape == () and float(loss.detach()) > 0 and logits.grad.abs().sum() > 0


def test_focal_loss_with_gamma_0_is_max_pooling_to_the_last_bit():
    found = []
    for loss in (build_loss("focal", {"gamma": 0}), build_loss("max_pooling")):
        logits = torch.tensor(ROWS)[:, :, None].requires_grad_()
        value = loss(logits, batch([[1.0], [0.0]], [2, 0], [6, 0]))
        value.backward()
        found.append((value.detach(), logits.grad))
    assert torch.equal(found[0][0], found[1][0]) and torch.equal(found[0][1], found[1][1])


def test_focal_loss_by_hand():
    """(1 - p) ** 2 * -log(p), derivative (1 - p) ** 2 (2 p log(p) + p - 1): Lin et al., appendix B."""

    def focal(cost: float) -> float:
        right = math.exp(-cost)
        return (1 - right) ** 2 * cost

    def slope(logit: float) -> float:
        """Of a frame that should fire, by its logit."""
        right = 1 / (1 + math.exp(-logit))
        return (1 - right) ** 2 * (2 * right * math.log(right) + right - 1)

    logits = torch.tensor(ROWS)[:, :, None].requires_grad_()
    loss = build_loss("focal")(logits, batch([[1.0], [0.0]], [2, 0], [6, 0]))
    loss.backward()
    hit = mean([focal(miss(value)) for value in (3.0, 2.0, 1.0)])
    early = mean([focal(alarm(value)) for value in (0.4, 0.1)])
    wrong = mean([focal(alarm(value)) for value in sorted(ROWS[1])[1:]])
    assert float(loss.detach()) == pytest.approx(hit + 0.5 * early + wrong, rel=1e-5)
    expected = [[-0.5 * slope(-0.4) / 2, -0.5 * slope(-0.1) / 2, *(slope(v) / 3 for v in (3.0, 2.0, 1.0))]]
    expected[0] += [0.0] * 4
    expected.append([0.0 if value == -3.0 else -slope(-value) / 8 for value in ROWS[1]])
    torch.testing.assert_close(logits.grad[:, :, 0], torch.tensor(expected), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_focal_loss_is_finite_for_any_logit(gamma: float):
    logits = torch.tensor([[-200.0, 200.0, 0.0], [200.0, -200.0, 0.0]])[:, :, None].requires_grad_()
    loss = build_loss("focal", {"gamma": gamma})(logits, batch([[1.0], [0.0]], [0, 0], [0, 0]))
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(logits.grad).all()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("hinge", {}, "train.loss: got 'hinge', allowed: focal, max_pooling"),
        ("focal", {"gama": 1}, "train.loss_options: unknown key `gama`; did you mean `gamma`"),
        ("focal", {"gamma": -1}, r"train.loss_options.gamma: got -1.0, allowed: 0 or more"),
        ("max_pooling", {"gamma": 1}, "train.loss_options: unknown key `gamma`; known keys: none"),
    ],
)
def test_settings_that_cannot_be_are_refused(name: str, options: dict, message: str):
    with pytest.raises(ConfigError, match=message):
        TrainConfig(loss=name, loss_options=options)
