from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from archsearch import spaces
from archsearch.evaluators.ngae.model import Losses
from archsearch.evaluators.ngae.settings import Settings


def test_losses_are_those_written_out(made: Callable[..., object], small: Settings) -> None:
    model, grammar, graphs = made(spaces.get("enas"), small, 6)  # type: ignore[misc]
    targets = torch.tensor([[0.5, 1.0], [float("nan"), 2.0]] * 3, dtype=torch.float64)
    losses = model.losses(graphs, targets, grammar, torch.Generator().manual_seed(0))
    mean, log_variance = model.encoder(graphs)
    expected = torch.distributions.kl_divergence(
        torch.distributions.Normal(mean, torch.exp(0.5 * log_variance)), torch.distributions.Normal(0.0, 1.0)
    )
    assert losses.divergence.item() == pytest.approx(expected.sum(1).mean().item())
    assert losses.performance.item() == pytest.approx((model.performance(mean)[::2] - 0.5).square().mean().item())
    assert losses.complexity.item() == pytest.approx((model.complexity(mean) - targets[:, 1]).square().mean().item())
    assert losses.reconstruction > 0


def test_the_objective_is_the_weighted_sum(made: Callable[..., object], small: Settings) -> None:
    settings = small.with_changes(divergence_weight=2.0, performance_weight=3.0, complexity_weight=4.0)
    model, _, _ = made(spaces.get("enas"), settings, 2)  # type: ignore[misc]
    assert float(model.objective(Losses(*map(torch.tensor, (1.0, 10.0, 100.0, 1000.0))))) == 1 + 20 + 300 + 4000
