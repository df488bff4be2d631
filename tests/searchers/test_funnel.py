"""The table of rungs: who came to each rung, what it cost, and how well it ranked the next."""

from __future__ import annotations

import math

import numpy as np
import pytest

from archsearch.cluster.ledger.rungs import RungAction, RungEvent
from archsearch.evaluators import Evaluation
from archsearch.searchers import RandomSearch
from archsearch.searchers.conformance import SearcherConformance
from archsearch.searchers.funnel import RANKED, funnel, funnel_figures
from archsearch.spaces import SearchSpace
from archsearch.spaces.nasbench201 import NASBench201


def event(order: int, key: str, fidelity: int, score: float, action: RungAction, seconds: float = 0.0) -> RungEvent:
    return RungEvent(order, int(key), key, f"architecture {key}", fidelity, score, action, seconds=seconds)


def halving(count: int, rungs: list[int], noise: float, rng: np.random.Generator) -> list[RungEvent]:
    """Return the events of synchronous halving by 2: candidate k has the true score k."""
    events, alive = [], list(range(count))
    for place, rung in enumerate([*rungs, 2 * rungs[-1]]):
        scores = {each: each + noise * rng.standard_normal() for each in alive}
        best = sorted(alive, key=scores.__getitem__)[len(alive) // 2 :]
        last = place == len(rungs)
        for each in alive:
            action: RungAction = "COMPLETE" if last else "CONTINUE" if each in best else "STOP"
            events.append(event(len(events), str(each), rung, scores[each], action, seconds=float(rung)))
        alive = best
    return events


def test_rungs_of_a_halving() -> None:
    events = halving(64, [1, 2, 4], 0.0, np.random.default_rng(0))
    ranked = {str(each): float(each) for each in range(300)}
    rungs = funnel(events, ranked=ranked, ranking_seconds=7.0)
    assert [rung.fidelity for rung in rungs] == [RANKED, 1, 2, 4, None]
    assert [rung.candidates for rung in rungs] == [300, 64, 32, 16, 8]
    assert [rung.went_on for rung in rungs] == [64, 32, 16, 8, 0]
    assert [rung.stopped for rung in rungs] == [0, 32, 16, 8, 0]
    assert [rung.seconds for rung in rungs] == [7.0, 64.0, 64.0, 64.0, 64.0]
    assert sum(rung.seconds for rung in rungs) == 7.0 + sum(each.seconds for each in events), "all that was paid"
    assert [rung.pairs for rung in rungs] == [64, 32, 16, 8, 0]
    assert [rung.tau for rung in rungs] == [pytest.approx(1.0)] * 4 + [None]


def test_tau_tells_a_rung_that_ranks_the_next_one_from_one_that_does_not() -> None:
    rng = np.random.default_rng(0)
    events = halving(200, [1, 2], 3.0, rng)
    ranked = {str(each): value for each, value in enumerate(rng.random(200))}
    by_chance, good, *_ = (rung.tau for rung in funnel(events, ranked=ranked))
    assert by_chance is not None and abs(by_chance) < 0.2
    assert good is not None and good > 0.7
    assert [rung.tau for rung in funnel(halving(8, [1, 2], 0.0, rng))] == [None] * 3, "fewer than five came to the next rung"


def test_paused_failed_and_open_candidates() -> None:
    events = [
        event(0, "0", 0, math.nan, "START"),
        event(1, "0", 2, 0.5, "PAUSE", 2.0),
        event(2, "1", 2, 0.4, "PAUSE", 2.0),
        event(3, "2", 2, 0.6, "CONTINUE", 2.0),
        event(4, "2", 3, math.nan, "FAIL", 1.0),
        event(5, "0", 2, math.nan, "RESUME"),
        event(6, "0", 4, 0.7, "CONTINUE", 2.0),
        event(7, "1", 2, math.nan, "STOP"),
        event(8, "3", 1, math.nan, "FAIL", 0.5),
    ]
    first, second = funnel(events)
    assert (first.fidelity, first.candidates, first.went_on, first.stopped, first.seconds) == (2, 3, 1, 1, 6.5)
    assert (second.fidelity, second.candidates, second.went_on, second.stopped, second.seconds) == (4, 1, 0, 0, 3.0)


def test_a_failure_after_the_last_rung_is_paid_among_the_complete() -> None:
    rungs = funnel([event(0, "0", 2, 0.5, "CONTINUE", 2.0), event(1, "0", 3, math.nan, "FAIL", 1.0)])
    assert [(rung.fidelity, rung.candidates, rung.seconds) for rung in rungs] == [(2, 1, 2.0), (None, 0, 1.0)]


def test_without_a_scheduler_evaluations_follow_the_ranking() -> None:
    space = NASBench201()
    architectures = [space.sample(np.random.default_rng(seed)) for seed in range(8)]
    evaluations = [Evaluation(each, str(at), 0.1 * at, seconds=3.0) for at, each in enumerate(architectures)]
    failed = Evaluation(architectures[0], "8", math.nan, seconds=1.0, error="no score")
    ranked = {str(at): -float(at) for at in range(50)} | {"nan": math.nan}
    free, complete = funnel([], evaluations=[*evaluations, failed], ranked=ranked, ranking_seconds=2.0)
    assert (free.candidates, free.went_on, free.seconds, free.tau) == (50, 9, 2.0, pytest.approx(-1.0))
    assert (complete.fidelity, complete.candidates, complete.seconds) == (None, 8, 25.0)
    assert funnel([]) == []


def test_a_scheduler_that_decides_after_each_step_has_few_rungs_and_all_seconds() -> None:
    events = []
    for key in range(30):
        for step in range(1, key + 2):
            action: RungAction = "COMPLETE" if step == 30 else "STOP" if step == key + 1 else "CONTINUE"
            events.append(event(len(events), str(key), step, 0.01 * key + 0.001 * step, action, 1.0))
    rungs = funnel(events, most=4)
    assert len(rungs) == 5 and rungs[0].fidelity == 1 and rungs[-1].fidelity is None
    assert sum(rung.seconds for rung in rungs) == len(events)
    assert sum(rung.stopped for rung in rungs) == 29


def test_figures_have_a_name_for_each_rung() -> None:
    figures = funnel_figures(funnel(halving(64, [1, 2], 0.0, np.random.default_rng(0)), ranked={"0": 1.0}, ranking_seconds=3.0))
    assert figures["rung/ranked/seconds"] == 3.0 and figures["rung/1/candidates"] == 64.0
    assert figures["rung/1/tau_next"] == pytest.approx(1.0) and "rung/complete/tau_next" not in figures


def test_scores_at_the_first_rung_compare_all_candidates() -> None:
    class Suite(SearcherConformance):
        def make_searcher(self, space: SearchSpace, seed: int, **settings: object) -> RandomSearch:
            return RandomSearch(space, seed, **settings)

    loop = Suite().scheduled().run(at_once=2)
    first = loop.searcher.first_scores
    space = loop.searcher.space
    assert first == {space.key(space.parse(text)): loop.score(space.parse(text)) / 2 for text in loop.candidates}
    plain = Suite().loop().run()
    assert plain.searcher.first_scores == {row.evaluation.key: row.evaluation.score for row in plain.searcher.history}
