from __future__ import annotations

import pytest
import torch
from torch import nn

from archsearch.errors import ConfigurationError
from archsearch.evaluators.training.initial_weights import begin_with, identity


def test_named_parameters_are_taken_and_others_kept() -> None:
    network = nn.Linear(3, 2)
    own = network.bias.detach().clone()
    begin_with(network, {"weight": torch.full((2, 3), 7.0)})
    assert torch.equal(network.weight, torch.full((2, 3), 7.0))
    assert torch.equal(network.bias, own)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"wieght": torch.zeros(2, 3)}, "names of the network's parameters; got 'wieght'"),
        ({"weight": torch.zeros(2, 4)}, r"weight with the shape \(2, 3\); got \(2, 4\)"),
    ],
)
def test_weights_of_another_network_change_nothing(weights: dict[str, torch.Tensor], message: str) -> None:
    network = nn.Linear(3, 2)
    own = network.weight.detach().clone()
    with pytest.raises(ConfigurationError, match=message):
        begin_with(network, weights)
    assert torch.equal(network.weight, own)


def test_identity_depends_on_names_and_values() -> None:
    weights = {"weight": torch.zeros(2, 3)}
    assert identity(weights) == identity({"weight": torch.zeros(2, 3)})
    assert identity(weights) != identity({"weight": torch.ones(2, 3)})
    assert identity(weights) != identity({"bias": torch.zeros(2, 3)})
    assert identity({}) == identity(None) == {}
