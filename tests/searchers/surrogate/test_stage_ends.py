from __future__ import annotations

from itertools import islice

import pytest

from archsearch.searchers.surrogate.stage_ends import next_size, stage_ends, stage_of


@pytest.mark.parametrize(
    ("growth", "expected"),
    [(0.0, [10, 15, 20, 25, 30, 35, 40, 45]), (0.2, [10, 15, 20, 25, 30, 36, 43, 51])],
)
def test_stages_grow_with_what_is_known_and_are_never_smaller_than_the_least(growth: float, expected: list[int]) -> None:
    assert list(islice(stage_ends(10, 5, growth), 8)) == expected


def test_a_search_without_a_random_stage_has_stages_too() -> None:
    assert list(islice(stage_ends(0, 3, 0.2), 4)) == [0, 3, 6, 9]


@pytest.mark.parametrize("growth", [0.0, 0.2, 0.7])
def test_each_candidate_belongs_to_the_stage_between_two_ends(growth: float) -> None:
    ends = list(islice(stage_ends(10, 5, growth), 6))
    stages = stage_of(list(range(ends[-1])), 10, 5, growth)
    sizes = [stages.count(stage) for stage in range(len(ends))]
    assert sizes == [10, *(next_size(end, 5, growth) for end in ends[:-1])]
    assert stages == sorted(stages)


def test_no_candidates_are_of_no_stage() -> None:
    assert stage_of([], 10, 5, 0.2) == []
