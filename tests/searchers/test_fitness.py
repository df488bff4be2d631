"""One objective is its own order; several are ordered by front and crowding distance."""

from __future__ import annotations

import math

import numpy as np

from archsearch.searchers.fitness import fitness


def dominates(one: np.ndarray, other: np.ndarray) -> bool:
    return bool((one >= other).all() and (one > other).any())


def ranks_by_hand(values: np.ndarray) -> list[int]:
    """Peel the fronts off one after the other."""
    ranks, left, rank = [0] * len(values), set(range(len(values))), 0
    while left:
        front = {at for at in left if not any(dominates(values[other], values[at]) for other in left)}
        for at in front:
            ranks[at] = rank
        left, rank = left - front, rank + 1
    return ranks


def test_one_objective_is_its_own_order() -> None:
    assert fitness([[0.5], [0.1]]) == [(0.5,), (0.1,)]
    assert fitness([]) == []


def test_lower_fronts_come_first() -> None:
    values = np.random.default_rng(0).random((60, 3))
    assert [-rank for rank, _ in fitness(values.tolist())] == ranks_by_hand(values)


def test_within_a_front_the_ends_come_first_and_then_the_less_crowded() -> None:
    front = [[0.0, 10.0], [1.0, 9.0], [2.0, 8.0], [9.0, 1.0], [10.0, 0.0]]
    crowding = [distance for _, distance in fitness(front)]
    assert crowding[0] == crowding[4] == math.inf
    np.testing.assert_allclose(crowding[1:4], [0.4, 1.6, 1.6])
