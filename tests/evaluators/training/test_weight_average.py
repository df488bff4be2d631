"""Moving averages of weights against the formula."""

from __future__ import annotations

import torch
from torch import nn

from archsearch.evaluators.training.weight_average import WeightAverage


def steps(network: nn.Linear, average: WeightAverage, values: list[float]) -> None:
    for value in values:
        nn.init.constant_(network.weight, value)
        average.update()


def test_the_average_follows_the_formula() -> None:
    network = nn.Linear(1, 1, bias=False)
    nn.init.constant_(network.weight, 1.0)
    average = WeightAverage(network, 0.25)
    steps(network, average, [2.0, 3.0, 5.0])
    expected = 1.0
    for step, value in enumerate([2.0, 3.0, 5.0], start=1):
        decay = min(0.25, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * value
    average.swap()
    torch.testing.assert_close(network.weight.item(), expected)
    average.swap()
    assert network.weight.item() == 5.0


def test_a_saved_average_goes_on_the_same() -> None:
    first, second = nn.Linear(2, 2), nn.Linear(2, 2)
    before, after = WeightAverage(first, 0.9), WeightAverage(second, 0.9)
    steps(first, before, [1.0, 2.0])
    after.load(before.state())
    for network, average in ((first, before), (second, after)):
        steps(network, average, [4.0])
        average.swap()
    assert torch.equal(first.weight, second.weight)


def test_whole_numbers_are_not_averaged() -> None:
    network = nn.BatchNorm1d(2)
    average = WeightAverage(network, 0.5)
    network.num_batches_tracked += 3
    average.update()
    average.swap()
    assert int(network.num_batches_tracked) == 3
