from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch

from archsearch import spaces
from archsearch.evaluators.ngae.model import Losses
from archsearch.evaluators.ngae.settings import Settings

WEIGHTS = {"default": (0.005, 0.01), "paper": (1.0, 1.0), "authors": (0.005, 0.01)}  # of the divergence; scale of the noise


def test_the_objective_is_equation_6_for_one_graph_at_a_time(
    preset: Settings, request: pytest.FixtureRequest, made: Callable[..., Any], one: ModuleType
) -> None:
    space, rows = spaces.get("enas"), 3
    model, grammar, graphs = made(space, preset, rows)
    targets = torch.tensor([[0.7, 0.2], [0.1, 0.9], [0.5, 0.4]], dtype=torch.float64)
    objective = model.objective(model.losses(graphs, targets, grammar, torch.Generator().manual_seed(5)))
    noise = torch.randn(rows, preset.latent, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    kind = request.node.callspec.params["preset"]
    weight, scale = WEIGHTS[kind]
    total = 0.0
    for row, (performance, complexity) in enumerate(targets.tolist()):
        mean, log_variance = one.one_encoding(model, graphs, row, space.num_inputs, preset)
        sample = mean + scale * torch.exp(log_variance / 2) * noise[row]
        read = sample if kind == "paper" else mean
        total += one.one_reconstruction(model, grammar, graphs, sample, row, preset).item()
        total += weight * one.one_divergence(mean, log_variance)
        total += (one.one_prediction(model.performance, read).item() - performance) ** 2
        total += (one.one_prediction(model.complexity, read).item() - complexity) ** 2
    assert objective.item() == pytest.approx(total / rows, rel=1e-10)
    objective.backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in model.parameters())


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
