"""What every evaluator knows without evaluating."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from archsearch import spaces
from archsearch.errors import ArchitectureError
from archsearch.evaluators import Evaluation, Evaluator
from archsearch.spaces import Architecture


class Free(Evaluator):
    """Scores nothing; its networks are small."""

    @property
    def task(self) -> str:
        return "nothing"

    @property
    def cost_arguments(self) -> Mapping[str, Any]:
        return {"input_shape": (1, 8, 8), "num_classes": 3, "channels": 4}

    def settings(self) -> Mapping[str, Any]:
        return {}

    def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        return [self.failed(architecture, "nothing is scored") for architecture in architectures]


def test_costs_are_those_of_the_networks_that_are_scored() -> None:
    space = spaces.get("nasbench201")
    architecture = space.from_genotype([3, 0, 1, 4, 2, 3])
    evaluator = Free(space)
    cost = space.cost(architecture, input_shape=(1, 8, 8), num_classes=3, channels=4)
    assert evaluator.costs(architecture) == {"params": cost.params, "macs": cost.macs}
    assert evaluator.cost_names == ("params", "macs")
    assert cost.params == sum(weight.numel() for weight in space.build(architecture, 3, 1, channels=4).parameters())


def test_an_architecture_of_another_space_has_no_costs() -> None:
    [other] = [spaces.get("enas").from_genotype([0] * len(spaces.get("enas").choices))]
    with pytest.raises(ArchitectureError, match="expected one of nasbench201; got one of enas"):
        Free(spaces.get("nasbench201")).costs(other)
