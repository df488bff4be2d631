"""Stopped candidates get values below the complete ones, in the order of steps and scores."""

from __future__ import annotations

import numpy as np

from archsearch.searchers.fitness import best_first
from archsearch.searchers.stopped_values import StoppedValues


def test_the_order_is_that_of_steps_and_scores() -> None:
    rng = np.random.default_rng(0)
    for scale in (1.0, 1e-6, 1e6):
        rows = [(float(scale * rng.random()), steps) for steps in (4, 12, 36, None) for _ in range(6)]
        values = StoppedValues()
        for value, steps in rows:
            values.add(value, steps)
        told = [value if steps is None else values.told(value, steps) for value, steps in rows]
        expected = best_first([value for value, _ in rows], [steps for _, steps in rows])
        assert sorted(range(len(rows)), key=lambda at: -told[at]) == expected
        complete = [value for value, steps in rows if steps is None]
        assert min(told) >= min(complete) - 3.0 * (max(complete) - min(complete)), "there are no outliers"


def test_before_a_candidate_is_complete_the_longest_is_told_as_it_is() -> None:
    values = StoppedValues()
    assert values.told(0.3, 4) == 0.3
    for value in (0.2, 0.4):
        values.add(value, 4)
        values.add(value + 0.3, 12)
    assert values.told(0.4, 4) < values.told(0.5, 12) == 0.5
    assert values.told(0.2, 4) < values.told(0.4, 4)


def test_one_complete_value_is_enough() -> None:
    values = StoppedValues()
    values.add(0.0, None)
    values.add(5.0, 1)
    assert values.told(5.0, 1) < 0.0
