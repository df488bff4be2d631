"""Each structure is returned once, infeasible ones never, and an exhausted method gives way to uniform draws."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from archsearch.searchers.conformance import SmallSpace
from archsearch.searchers.goals import Constraint, Goals
from archsearch.searchers.unique_candidates import Patience, UniqueCandidates
from archsearch.spaces import Architecture

SPACE = SmallSpace(2)


def convolutions(architecture: Architecture) -> dict[str, float]:
    return {"skips": float(str(architecture).count("skip_connect"))}


def few_skips(limit: int) -> Goals:
    return Goals(constraints=(Constraint("skips", "<=", limit),), costs=convolutions, cost_names=("skips",))


def draw(unique: UniqueCandidates, size: int, goals: Goals | None = None, **hooks: Any) -> list[Architecture]:
    rng = np.random.default_rng(0)
    hooks.setdefault("propose", lambda count, rng: [SPACE.sample(rng) for _ in range(count)])
    hooks.setdefault("reject", lambda architecture, excess: None)
    return unique.draw(size, rng, goals or Goals(), hooks["propose"], hooks["reject"])


def test_all_structures_of_a_small_space_are_returned_once() -> None:
    unique = UniqueCandidates(SPACE, Patience())
    found = draw(unique, 100)
    keys = [SPACE.key(each) for each in found]
    assert len(keys) == len(set(keys))
    assert set(keys) == unique.keys == SPACE.structures()
    assert draw(unique, 1) == []


def test_a_method_that_repeats_itself_or_gives_nothing_is_replaced() -> None:
    for proposals in ([SPACE.sample(np.random.default_rng(1))], []):
        found = draw(UniqueCandidates(SPACE, Patience(duplicates=3)), 5, propose=lambda count, rng, given=proposals: list(given))
        assert len({SPACE.key(each) for each in found}) == 5


def test_infeasible_proposals_are_rejected_with_their_excess(caplog: pytest.LogCaptureFixture) -> None:
    rejected: list[tuple[Architecture, float]] = []
    goals = few_skips(1)
    found = draw(UniqueCandidates(SPACE, Patience()), 100, goals, reject=lambda *what: rejected.append(what))
    assert found and all(goals.excess(each) == 0.0 for each in found)
    assert rejected and all(excess == goals.excess(each) > 0.0 for each, excess in rejected)
    assert "gave no new candidate that satisfies skips <= 1" in caplog.text


def test_fresh_candidates_are_yielded_once_and_not_marked_as_returned() -> None:
    unique = UniqueCandidates(SPACE, Patience())
    taken = draw(unique, 3)
    before = set(unique.keys)
    fresh = [SPACE.key(each) for each in unique.fresh(Goals(), np.random.default_rng(2))]
    assert sorted(fresh) == sorted(SPACE.structures() - {SPACE.key(each) for each in taken})
    assert unique.keys == before
