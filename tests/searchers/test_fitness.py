"""One objective is its own order; several are ordered by front and crowding distance."""

from __future__ import annotations

import math

import numpy as np

from archsearch.searchers.fitness import best_first, fitness, places


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


def test_without_partial_evaluations_nothing_changes() -> None:
    values = np.random.default_rng(1).random((40, 3)).tolist()
    assert fitness(values, [None] * 40, (True, False, True)) == fitness(values)
    assert fitness([[0.5], [0.1]], [None, None]) == [(0.5,), (0.1,)]


def test_complete_candidates_are_above_partial_ones_and_more_steps_above_fewer() -> None:
    scores, steps = [0.9, 0.2, 0.5, 0.6, 0.1], [4, None, 12, 4, 12]
    keys = fitness([[score] for score in scores], steps)
    assert sorted(range(5), key=keys.__getitem__, reverse=True) == [1, 2, 4, 0, 3] == best_first(scores, steps)


def test_costs_are_compared_whatever_the_number_of_steps() -> None:
    """Score and negative MACs: the small network that was stopped early is no worse than a large one that is complete."""
    values, steps = [[0.9, -30.0], [0.5, -10.0], [0.8, -20.0], [0.7, -40.0]], [None, 4, 4, None]
    ranks = [-rank for rank, _ in fitness(values, steps, (True, False))]
    assert ranks == [0, 0, 0, 1], "a stopped one of 0.8 is not above a complete one of 0.7, but it is smaller"
    assert [-rank for rank, _ in fitness(values, steps)] == [0, 2, 2, 1], "if both need an evaluation, steps decide on both"


def test_the_order_of_stopped_candidates_is_that_of_several_objectives_at_one_number_of_steps() -> None:
    values = np.random.default_rng(2).random((50, 2))
    expected = ranks_by_hand(values)
    assert [-rank for rank, _ in fitness(values.tolist(), [4] * 50, (True, True))] == expected


def test_places_are_shared_by_equal_candidates() -> None:
    assert places([0.5, 0.5, 0.1, 0.9], [None, None, None, 2]).tolist() == [2.0, 2.0, 1.0, 0.0]
    assert places([], []).tolist() == []


def test_the_best_are_first_and_failures_are_left_out() -> None:
    assert best_first([0.5, math.nan, 0.5, 0.6], [None, None, None, 3]) == [0, 2, 3]
    assert best_first([], []) == []
