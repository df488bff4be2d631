"""Batch sizes follow the measured cost of a candidate."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archsearch.cluster import BatchSizer
from archsearch.errors import ConfigurationError


def test_first_batch_is_one_candidate() -> None:
    assert BatchSizer().next(remaining=1000, workers=4) == 1


def test_sizes_grow_by_eight_until_a_trial_lasts_the_target() -> None:
    sizer, sizes = BatchSizer(target=1.0), []
    for _ in range(6):
        sizes.append(sizer.next(remaining=10**6))
        sizer.observe(sizes[-1], 0.001 * sizes[-1])
    # int() of 1 / 0.001 may be 999
    assert sizes[:4] == [1, 8, 64, 512]
    assert sizes[4:] == [pytest.approx(1000, abs=1)] * 2


def test_size_shrinks_when_candidates_turn_out_dear() -> None:
    sizer = BatchSizer(target=2.0)
    sizer.observe(100, 1.0)
    assert sizer.next(10**6) == 200
    sizer.observe(200, 2 * 200 * 0.01 * 9.5)  # the mean of 0.01 and 0.19 seconds is 0.1
    assert sizer.next(10**6) == 20
    for _ in range(40):
        sizer.observe(1, 30.0)
    assert sizer.next(10**6) == 1


def test_fixed_size_and_bounds() -> None:
    fixed = BatchSizer(fixed=5)
    fixed.observe(5, 1e-6)
    assert [fixed.next(remaining) for remaining in (100, 5, 3)] == [5, 5, 3]
    bounded = BatchSizer(largest=10)
    bounded.observe(9, 1e-9)
    assert [bounded.next(remaining) for remaining in (100, 4)] == [10, 4]


def test_last_candidates_are_shared_among_the_workers() -> None:
    sizer = BatchSizer(target=1.0)
    sizer.observe(50, 0.5)  # 100 fit into a trial
    assert sizer.next(remaining=1000, workers=4) == 100
    assert sizer.next(remaining=200, workers=4) == 50
    assert sizer.next(remaining=40, workers=4) == 25, "a quarter of a trial is the least"
    assert sizer.next(remaining=10, workers=4) == 10


@given(
    outcomes=st.lists(st.tuples(st.integers(1, 10_000), st.floats(0.0, 1e6)), max_size=8),
    remaining=st.integers(1, 10**6),
    workers=st.integers(1, 64),
    largest=st.integers(1, 10_000),
)
def test_size_stays_within_bounds(outcomes: list[tuple[int, float]], remaining: int, workers: int, largest: int) -> None:
    sizer = BatchSizer(largest=largest)
    for size, seconds in outcomes:
        sizer.observe(size, seconds)
    size = sizer.next(remaining, workers)
    assert 1 <= size <= min(remaining, largest)
    assert size <= 8 * max((size for size, _ in outcomes), default=1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"largest": 0}, "largest: expected at least 1; got 0"), ({"fixed": -3}, "batch_size: expected at least 1; got -3")],
)
def test_bounds_below_one_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        BatchSizer(**settings)


def test_an_assumed_cost_is_not_measured() -> None:
    sizer = BatchSizer()
    sizer.assume(0.01)
    sizes = []
    for seconds in (5.0, 0.001, 80.0, 0.3):
        sizes.append(sizer.next(10_000))
        sizer.observe(sizes[-1], seconds)
    assert sizes == [1, 8, 64, 100]
