"""Pareto fronts, ranks, crowding and hypervolume against slow, obvious twins."""

from __future__ import annotations

import itertools
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from archsearch.errors import ConfigurationError
from archsearch.evaluators.pareto import (
    crowding_distances,
    dominated_volume,
    hypervolume,
    non_dominated,
    non_domination_ranks,
    pareto_front,
)

# One cost and one score

_POINTS = st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), max_size=20)


def _split(points: list[tuple[int, int]]) -> tuple[list[int], list[int]]:
    return [cost for cost, _ in points], [score for _, score in points]


def _dominates(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[0] <= other[0] and one[1] >= other[1] and one != other


@given(_POINTS)
@settings(deadline=None)
def test_the_front_is_what_nothing_dominates(points: list[tuple[int, int]]) -> None:
    expected = [
        at
        for at, point in enumerate(points)
        if not any(_dominates(other, point) for other in points) and point not in points[:at]
    ]
    assert pareto_front(*_split(points)).tolist() == sorted(expected, key=lambda at: points[at][0])


def test_a_front_by_hand() -> None:
    costs = [30.0, 10.0, 20.0, 10.0, 20.0, 40.0, 10.0]
    scores = [0.9, 0.5, 0.5, 0.7, 0.8, 0.9, 0.7]
    assert pareto_front(costs, scores).tolist() == [3, 4, 0]


@given(_POINTS, st.tuples(st.integers(0, 9), st.integers(-1, 8)))
@settings(deadline=None)
def test_hypervolume_counts_the_unit_cells_dominated(points: list[tuple[int, int]], reference: tuple[int, int]) -> None:
    cells = [(cost, score) for cost in range(reference[0]) for score in range(reference[1], 9)]
    expected = sum(any(point[0] <= cost and point[1] >= score + 1 for point in points) for cost, score in cells)
    assert hypervolume(*_split(points), reference) == pytest.approx(expected)


def test_hypervolume_of_two_points_is_two_rectangles() -> None:
    assert hypervolume([1.0, 2.0], [0.5, 0.8], (4.0, 0.1)) == pytest.approx(1.0 * 0.4 + 2.0 * 0.7)


def test_no_points() -> None:
    assert pareto_front([], []).tolist() == []
    assert hypervolume([], [], (1.0, 0.0)) == 0.0


@pytest.mark.parametrize(
    ("costs", "scores", "message"),
    [
        ([1, 2], [0.5], "costs and scores: expected equally many; got 2 and 1"),
        ([1, float("nan")], [0.5, 0.6], "costs: expected finite numbers; got nan at position 1"),
        ([1, 2], [float("inf"), 0.6], "scores: expected finite numbers; got inf at position 0"),
        ([[1, 2]], [0.5], "costs: expected one row"),
        (["cheap"], [0.5], "costs: expected numbers"),
    ],
)
def test_what_is_no_set_of_points_is_an_error(costs: list[float], scores: list[float], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        pareto_front(costs, scores)
    with pytest.raises(ConfigurationError, match=message):
        hypervolume(costs, scores, (1.0, 0.0))


@pytest.mark.parametrize("reference", [(1.0,), (1.0, float("nan"))])
def test_the_reference_is_two_finite_numbers(reference: tuple[float, ...]) -> None:
    with pytest.raises(ConfigurationError, match="reference"):
        hypervolume([1.0], [0.5], reference)  # type: ignore[arg-type]


def test_positions_index_arrays() -> None:
    costs = np.array([3, 1, 2])
    assert costs[pareto_front(costs, [0.3, 0.1, 0.2])].tolist() == [1, 2, 3]


# Tables of any number of objectives


def _tables(most: int = 5, width: int = 3) -> st.SearchStrategy[np.ndarray]:
    rows = st.integers(1, width).flatmap(
        lambda size: st.lists(st.tuples(*[st.integers(0, most)] * size), min_size=1, max_size=25)
    )
    return rows.map(lambda points: np.array(points, dtype=float))


def _dominates_row(one: np.ndarray, other: np.ndarray) -> bool:
    return bool((one >= other).all() and (one > other).any())


@given(_tables())
@settings(deadline=None)
def test_the_front_of_a_table_is_what_nothing_dominates_row(table: np.ndarray) -> None:
    expected = [
        at
        for at, row in enumerate(table)
        if not any(_dominates_row(other, row) for other in table) and not any((row == other).all() for other in table[:at])
    ]
    assert non_dominated(table).tolist() == expected


@given(_tables())
@settings(deadline=None)
def test_ranks_count_the_fronts_taken_off(table: np.ndarray) -> None:
    ranks, left, rank = np.full(len(table), -1), set(range(len(table))), 0
    while left:
        front = {at for at in left if not any(_dominates_row(table[other], table[at]) for other in left)}
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


def _floats(width: int = 5) -> st.SearchStrategy[np.ndarray]:
    """Return tables of finite numbers, large, small, repeated and signed zeros among them."""
    number = st.sampled_from([-1.5, -0.0, 0.0, 1e-300, 1.0, 1e9]) | st.floats(-1e6, 1e6, allow_subnormal=False)
    rows = st.integers(1, width).flatmap(lambda size: st.lists(st.tuples(*[number] * size), max_size=20).map(lambda x: (x, size)))
    return rows.map(lambda pair: np.array(pair[0], dtype=float).reshape(-1, pair[1]))


def _ranks_by_bisection(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the ranks row by row, from the best by the first objective on (X. Zhang et al. 2015)."""
    unique, inverse = np.unique(values, axis=0, return_inverse=True)
    ranks, fronts = np.zeros(len(unique), dtype=np.int64), []
    for row in np.lexsort(-unique.T[::-1]):
        low, high = 0, len(fronts)
        while low < high:
            middle = (low + high) // 2
            if np.all(np.asarray(fronts[middle]) >= unique[row], axis=1).any():
                low = middle + 1
            else:
                high = middle
        if low == len(fronts):
            fronts.append([])
        fronts[low].append(unique[row])
        ranks[row] = low
    return ranks[inverse.ravel()]


def _volume_by_slices(points: NDArray[np.float64]) -> float:
    """Return the volume of the union of the boxes from the origin to each point, slice by slice along the last objective."""
    if not len(points):
        return 0.0
    if points.shape[1] == 1:
        return float(points.max())
    points = points[np.argsort(-points[:, -1], kind="stable")]
    heights = points[:, -1] - np.append(points[1:, -1], 0.0)
    return sum(height * _volume_by_slices(points[: at + 1, :-1]) for at, height in enumerate(heights.tolist()) if height > 0.0)


@given(_floats())
@settings(deadline=None)
def test_ranks_and_front_equal_the_plain_ones(table: NDArray[np.float64]) -> None:
    ranks, front = non_domination_ranks(table), non_dominated(table)
    assert ranks.dtype == front.dtype == np.int64
    assert ranks.shape == table.shape[:1]
    assert ranks.tolist() == _ranks_by_bisection(table).tolist()
    best = np.flatnonzero(ranks == 0)
    assert front.tolist() == [at for at in best if not any((table[at] == table[before]).all() for before in best[best < at])]


@given(_floats(), st.sampled_from([-2.0, 0.0, 1.0]))
@settings(deadline=None)
def test_the_volume_equals_that_of_slices(table: NDArray[np.float64], bound: float) -> None:
    reference = np.full(table.shape[1], bound)
    expected = _volume_by_slices(table[(table > bound).all(axis=1)] - bound)
    assert dominated_volume(table, reference) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("width", [1, 2, 3])
def test_empty_tables(width: int) -> None:
    table = np.empty((0, width))
    assert non_dominated(table).tolist() == non_domination_ranks(table).tolist() == []
    assert dominated_volume(table, np.zeros(width)) == 0.0


def test_a_chain_has_as_many_fronts_as_rows() -> None:
    table = np.arange(500.0)[:, None] * np.ones(3)
    assert non_domination_ranks(table).tolist() == list(range(500))[::-1]


def test_arguments_stay_as_they_are() -> None:
    table = np.random.default_rng(0).normal(size=(30, 3))
    before = table.copy()
    non_dominated(table), non_domination_ranks(table), dominated_volume(table, np.zeros(3))
    assert np.array_equal(table, before)


def test_a_front_of_cost_and_score_needs_no_moocore() -> None:
    code = "from archsearch.evaluators import pareto_front as front; front([1], [1]); import sys; print('moocore' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
