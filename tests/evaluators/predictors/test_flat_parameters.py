"""Parameters in one tensor against an optimizer that has them one by one."""

from __future__ import annotations

import copy

import torch
from torch import nn

from archsearch.evaluators.predictors.stacked import FlatParameters


def test_steps_are_those_of_separate_parameters() -> None:
    separate = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 1))
    model = copy.deepcopy(separate)
    flat = FlatParameters(model)
    assert flat.whole.shape == (3 * 5 + 5 + 5 + 1,)
    values = torch.randn((8, 3), generator=torch.Generator().manual_seed(0))
    assert torch.equal(model(values), separate(values))
    optimizers = [torch.optim.Adam([flat.whole], lr=0.1), torch.optim.Adam(separate.parameters(), lr=0.1)]
    for _ in range(3):
        flat.derive(model(values).square().sum())
        optimizers[1].zero_grad()
        separate(values).square().sum().backward()
        for optimizer in optimizers:
            optimizer.step()
    for own, other in zip(model.parameters(), separate.parameters(), strict=True):
        assert torch.allclose(own, other, atol=1e-6)
