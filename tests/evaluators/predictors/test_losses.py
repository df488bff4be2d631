"""Losses against their formulas, pair by pair and place by place."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from archsearch.evaluators.predictors import losses
from archsearch.evaluators.predictors.pairs import all_gaps

SCORES = torch.tensor([[0.3, -0.2, 0.25, 1.5], [0.0, 0.1, 0.2, -3.0]])
TARGETS = torch.tensor([[0.1, 0.9, 0.5, 0.5], [0.1, 0.2, 0.3, 0.4]])


def over_pairs(scores: list[float], targets: list[float], of_gap: Callable[[float], float]) -> float:
    """Return the mean over all pairs with different targets of a function of the gap."""
    values = []
    for (s1, y1), (s2, y2) in itertools.combinations(zip(scores, targets, strict=True), 2):
        if y1 != y2:
            sign = 1 if y2 > y1 else -1
            values.append(of_gap(sign * (s2 - s1)))
    return sum(values) / len(values)


def rows() -> list[tuple[list[float], list[float]]]:
    return list(zip(SCORES.tolist(), TARGETS.tolist(), strict=True))


def test_hinge() -> None:
    found = losses.hinge(*all_gaps(SCORES, TARGETS), margin=0.1)
    assert found.tolist() == pytest.approx([over_pairs(s, y, lambda gap: max(0.0, 0.1 - gap)) for s, y in rows()], rel=1e-5)


def test_binary() -> None:
    found = losses.binary(*all_gaps(SCORES, TARGETS))
    expected = [over_pairs(s, y, lambda gap: -math.log(1 / (1 + math.exp(-gap)))) for s, y in rows()]
    assert found.tolist() == pytest.approx(expected, rel=1e-5)


def test_mse() -> None:
    expected = [sum((1 / (1 + math.exp(-s)) - y) ** 2 for s, y in zip(*row, strict=True)) / 4 for row in rows()]
    assert losses.mse(SCORES, TARGETS).tolist() == pytest.approx(expected, rel=1e-5)


def test_list_mle() -> None:
    expected = []
    for scores, targets in rows():
        order = sorted(range(4), key=lambda place: -targets[place])  # stable, as ties are
        ranked = [scores[place] for place in order]
        terms = [math.log(sum(math.exp(s) for s in ranked[i:])) - ranked[i] for i in range(4)]
        expected.append(sum(terms) / 4)
    assert losses.list_mle(SCORES, TARGETS).tolist() == pytest.approx(expected, rel=1e-5)


def test_list_mle_survives_large_scores() -> None:
    assert losses.list_mle(torch.tensor([[1e4, -1e4, 0.0]]), torch.tensor([[3.0, 1.0, 2.0]])).tolist() == [0.0]


@pytest.mark.parametrize("name", ["hinge", "bce", "listmle", "mse"])
def test_right_order_costs_least(name: str) -> None:
    targets = torch.tensor([[0.1, 0.4, 0.7, 0.9]])

    def cost(scores: Tensor) -> float:
        if name in ("hinge", "bce"):
            gaps = all_gaps(scores, targets)
            return float(losses.binary(*gaps) if name == "bce" else losses.hinge(*gaps, margin=0.1))
        return float((losses.mse if name == "mse" else losses.list_mle)(scores, targets))

    orders = list(itertools.permutations([-2.0, -0.5, 0.5, 2.0]))
    costs = [cost(torch.tensor([order])) for order in orders]
    assert orders[costs.index(min(costs))] == (-2.0, -0.5, 0.5, 2.0)
    assert costs.count(min(costs)) == 1
