from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archsearch.errors import ConfigurationError
from archsearch.evaluators.non_domination import (
    crowding_distances,
    dominated_volume,
    non_dominated,
    non_domination_ranks,
)
from archsearch.evaluators.pareto import hypervolume, pareto_front


def _tables(most: int = 5, width: int = 3) -> st.SearchStrategy[np.ndarray]:
    rows = st.integers(1, width).flatmap(
        lambda size: st.lists(st.tuples(*[st.integers(0, most)] * size), min_size=1, max_size=25)
    )
    return rows.map(lambda points: np.array(points, dtype=float))


def _dominates(one: np.ndarray, other: np.ndarray) -> bool:
    return bool((one >= other).all() and (one > other).any())


@given(_tables())
@settings(deadline=None)
def test_the_front_is_what_nothing_dominates(table: np.ndarray) -> None:
    expected = [
        at
        for at, row in enumerate(table)
        if not any(_dominates(other, row) for other in table) and not any((row == other).all() for other in table[:at])
    ]
    assert non_dominated(table).tolist() == expected


@given(_tables())
@settings(deadline=None)
def test_ranks_count_the_fronts_taken_off(table: np.ndarray) -> None:
    ranks, left, rank = np.full(len(table), -1), set(range(len(table))), 0
    while left:
        front = {at for at in left if not any(_dominates(table[other], table[at]) for other in left)}
        for at in front:
            ranks[at] = rank
        left, rank = left - front, rank + 1
    assert non_domination_ranks(table).tolist() == ranks.tolist()


@given(_tables(most=4))
@settings(deadline=None)
def test_volume_counts_the_unit_cells_dominated(table: np.ndarray) -> None:
    cells = itertools.product(range(4), repeat=table.shape[1])
    expected = sum(any((row >= np.array(cell) + 1).all() for row in table) for cell in cells)
    assert dominated_volume(table, np.zeros(table.shape[1])) == pytest.approx(expected)


def test_fronts_larger_than_a_block() -> None:
    scores = np.random.default_rng(0).permutation(3000).astype(float)
    table = np.stack([scores, -scores], axis=1)
    assert len(non_dominated(table)) == 3000
    dominated = np.concatenate([table, table - 1.0])
    assert set(non_dominated(dominated).tolist()) == set(range(3000))


def test_two_objectives_agree_with_cost_and_score() -> None:
    rng = np.random.default_rng(1)
    costs, scores = rng.uniform(1, 5, 400), rng.uniform(0, 1, 400)
    table = np.stack([scores, -costs], axis=1)
    assert sorted(pareto_front(costs, scores).tolist()) == non_dominated(table).tolist()
    assert dominated_volume(table, (0.1, -4.0)) == pytest.approx(hypervolume(costs, scores, (4.0, 0.1)))


def test_crowding_by_hand() -> None:
    table = [[0.0, 10.0], [1.0, 8.0], [5.0, 5.0], [10.0, 0.0]]
    assert crowding_distances(table).tolist() == [np.inf, 0.5 + 0.5, 0.9 + 0.8, np.inf]
    assert crowding_distances([[1.0, 2.0]]).tolist() == [np.inf]
    assert len(crowding_distances(np.empty((0, 2)))) == 0


@pytest.mark.parametrize("values", [[1.0, 2.0], [[1.0, float("nan")]], [[float("inf")]], np.empty((3, 0))])
def test_what_is_no_table_of_numbers_is_refused(values: object) -> None:
    with pytest.raises(ConfigurationError, match="values: expected finite numbers, one row a point"):
        non_dominated(values)  # type: ignore[arg-type]


def test_a_reference_of_another_width_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="reference: expected 2 finite numbers"):
        dominated_volume([[1.0, 2.0]], [0.0])
