from __future__ import annotations

import pytest
import torch
from torch import nn

from archsearch.errors import ArchitectureError
from archsearch.spaces.module import Choose
from archsearch.spaces.module.building import run


def huge(choose: Choose) -> nn.Module:
    width = choose.one("width", [200_000, 100_000])
    return nn.Sequential(nn.Linear(width, width), nn.BatchNorm1d(width))


def test_without_weights_a_module_takes_no_memory_and_keeps_its_shapes() -> None:
    built = run(huge, lambda choice: 1, {})  # 40 GB with weights
    assert all(tensor.is_meta for tensor in built.module.parameters())
    assert built.module[0].weight.shape == (100_000, 100_000)
    assert [(choice.name, number) for choice, number in built.asked] == [("width", 1)]


def rates(choose: Choose) -> nn.Module:
    """Reads the values of tensors, as networks with stochastic depth do; and one that has none on the meta device."""
    kept = [rate.item() for rate in torch.linspace(0, 0.2, choose.one("depth", [2, 3]))]
    assert kept[-1] == pytest.approx(0.2)
    assert torch.zeros(1).item() == 0
    return nn.Sequential(*map(nn.Dropout, kept), nn.Linear(2, 2))


def test_a_build_that_needs_values_is_run_with_weights_and_draws_no_random_numbers_of_others() -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    built = run(rates, lambda choice: 1, {})
    assert len(built.module) == 4
    assert built.module[3].weight.is_meta
    assert torch.equal(torch.rand(1), expected)


def test_an_error_of_the_build_names_the_choices() -> None:
    def build(choose: Choose) -> nn.Module:
        raise KeyError(choose.one("width", [1, 2]))

    with pytest.raises(ArchitectureError, match=r"build failed with width=2 \(KeyError: 2\)"):
        run(build, lambda choice: 1, {})
