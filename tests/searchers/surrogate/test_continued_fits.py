"""Fits that continue: a chain is the same whether an actor still has its beginning or makes it again."""

from __future__ import annotations

from typing import Any

import numpy as np

from archsearch.searchers.surrogate.continued_fits import ContinuedFits, rows_until


class Chain:
    """Records what each fit saw, as its state: the values so far, a tuple a fit."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, rows: Any, state: Any) -> Any:
        values = tuple(rows["values"][:, 0].tolist())
        if len(values) < 2:
            return None
        self.calls += 1
        return (*(state or ()), values)


def rows(*values: float) -> dict[str, Any]:
    return {"architectures": [f"a{value}" for value in values], "values": np.array([[value] for value in values])}


def test_a_fit_continues_the_one_before_and_a_new_actor_makes_the_same_chain() -> None:
    data, stages = rows(1, 2, 3, 4, 5), [0, 0, 1, 2, 2]
    expected = ((1, 2), (1, 2, 3), (1, 2, 3, 4, 5))
    fits, chain = ContinuedFits(), Chain()
    for last, count in ((0, 2), (1, 3), (2, 5)):
        state = fits.fit(rows_until(data, stages, last), stages[:count], chain)
        assert state == expected[: last + 1]
    assert chain.calls == 3, "one fit a stage"
    later, again = Chain(), ContinuedFits()
    assert again.fit(data, stages, later) == expected
    assert later.calls == 3
    assert fits.fit(data, stages, chain) == expected, "a stage that is repeated"


def test_outcomes_that_differ_are_another_chain() -> None:
    fits, chain = ContinuedFits(), Chain()
    fits.fit(rows(1, 2), [0, 0], chain)
    assert fits.fit(rows(1, 7, 3), [0, 0, 1], chain) == ((1, 7), (1, 7, 3)), "another search on the same actor"
    assert chain.calls == 3


def test_stages_with_too_few_outcomes_are_learned_with_the_next() -> None:
    assert ContinuedFits().fit(rows(1, 2, 3), [0, 1, 3], Chain()) == ((1, 2), (1, 2), (1, 2, 3))
    assert ContinuedFits().fit(rows(1), [0], Chain()) is None


def test_rungs_go_with_their_candidates() -> None:
    data = rows(1, 2, 3) | {"fidelities": [4, None, 2]}
    data["rungs"] = {
        "candidates": np.array([0, 1, 1, 2]),
        "rungs": np.array([0, 0, 1, 0]),
        "values": np.array([[1.0], [1.5], [2.0], [3.0]]),
    }
    part = rows_until(data, [0, 1, 0], 0)
    assert part["architectures"] == ["a1", "a3"] and part["fidelities"] == [4, 2]
    assert part["rungs"]["candidates"].tolist() == [0, 1]
    assert part["rungs"]["values"].tolist() == [[1.0], [3.0]]
