"""The objectives of policy gradients, number by number."""

from __future__ import annotations

import math

import pytest
import torch

from archsearch.evaluators.controller.policy_gradient import proximal, reinforce


def test_reinforce_is_the_mean_of_advantage_times_log_probability() -> None:
    assert reinforce(torch.tensor([-1.0, -2.0]), torch.tensor([0.5, -1.0])).item() == pytest.approx((-0.5 + 2.0) / 2)


@pytest.mark.parametrize(
    ("ratio", "advantage", "expected"),
    [(1.1, 1.0, 1.1), (1.5, 1.0, 1.2), (0.5, 1.0, 0.5), (0.5, -1.0, -0.8), (1.5, -1.0, -1.5), (0.9, -2.0, -1.8)],
)
def test_proximal_is_equation_7(ratio: float, advantage: float, expected: float) -> None:
    logs = torch.tensor([-3.0 + math.log(ratio)])
    assert proximal(logs, torch.tensor([-3.0]), torch.tensor([advantage]), 0.2).item() == pytest.approx(expected)


def test_ratios_that_would_overflow_stay_finite() -> None:
    logs = torch.tensor([0.0], requires_grad=True)
    gain = proximal(logs, torch.tensor([-500.0]), torch.tensor([-1.0]), 0.2)
    gain.backward()
    assert torch.isfinite(gain)
    assert torch.isfinite(logs.grad).all()
