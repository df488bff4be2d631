"""The controller of paths."""

from __future__ import annotations

import math

import torch

from archsearch.evaluators.controller.path_policy import PathPolicy


def test_probabilities_are_those_of_the_draws() -> None:
    policy = PathPolicy([2, 3], torch.Generator().manual_seed(0), hidden=8)
    drawn = policy.draw(4000, torch.Generator().manual_seed(1))
    shares = torch.zeros(2, 3)
    for first, second in drawn.genotypes.tolist():
        shares[first, second] += 1 / 4000
    for genotype, log in zip(drawn.genotypes.tolist(), drawn.log_probabilities.tolist(), strict=True):
        assert abs(float(shares[tuple(genotype)]) - math.exp(log)) < 0.05
    # Initial weights are small, so that the first distribution is nearly uniform.
    assert abs(float(drawn.entropies.detach().mean()) - math.log(6)) < 0.01


def test_no_alternative_becomes_impossible() -> None:
    policy = PathPolicy([4], torch.Generator().manual_seed(0))
    with torch.no_grad():
        policy.heads[0][0] += 1e3
        policy.start += 1.0
    entropies = policy.draw(2, torch.Generator().manual_seed(1)).entropies
    assert float(entropies.detach().min()) > 0.05


def test_the_most_probable_is_found() -> None:
    policy = PathPolicy([3, 3], torch.Generator().manual_seed(0))
    optimizer = torch.optim.Adam(policy.parameters(), lr=0.05)
    generator = torch.Generator().manual_seed(1)
    for _ in range(60):
        drawn = policy.draw(16, generator)
        rewards = (drawn.genotypes == torch.tensor([2, 1])).float().mean(1)
        optimizer.zero_grad()
        (-(rewards - rewards.mean()) * drawn.log_probabilities).mean().backward()
        optimizer.step()
    assert policy.best() == [2, 1]
