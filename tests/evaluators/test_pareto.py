from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archsearch.errors import ConfigurationError
from archsearch.evaluators.pareto import hypervolume, pareto_front

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
