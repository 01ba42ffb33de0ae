"""The diagonal of the Fisher information of any model whose log-likelihoods torch can differentiate."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor


def diagonal_fisher(log_likelihoods: Iterable[Tensor], parameters: Sequence[Tensor]) -> list[Tensor]:
    """Return the mean square of the gradients of log-likelihoods.

    Args:
        log_likelihoods: a scalar for each example, made when it is asked for. Of labels drawn from the
            model's own distribution they give an unbiased estimate of the Fisher information; of true labels,
            the "empirical Fisher", which is something else (Kunstner et al., arXiv:1905.12558).
        parameters: what to differentiate by; one that a scalar does not depend on has gradient 0.
    Returns:
        For each parameter a tensor of its shape.
    Raises:
        ValueError: there is no log-likelihood.
    """
    totals, count = [torch.zeros_like(parameter) for parameter in parameters], 0
    for log_likelihood in log_likelihoods:
        gradients = torch.autograd.grad(log_likelihood, parameters, materialize_grads=True)
        for total, gradient in zip(totals, gradients, strict=True):
            total += gradient.square()
        count += 1
    if not count:
        raise ValueError("no log-likelihoods: the Fisher information needs at least one example")
    return [total / count for total in totals]
