from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from archsearch import spaces
from archsearch.errors import ConfigurationError
from archsearch.evaluators import Evaluation, TabularEvaluator
from archsearch.evaluators.metrics import kendall_tau
from archsearch.searchers import ArchitectureSearcher, GATESEvolution, RandomSearch, goals_for
from archsearch.searchers.conformance import Loop, SharedPools, SmallSpace, SurrogateSearcherConformance, check_search
from archsearch.searchers.gates import PredictorSurrogate
from archsearch.searchers.goals import Constraint, Goals, Objective
from archsearch.searchers.surrogate.inner_search import Generations
from archsearch.searchers.surrogate.rung_rows import rung_rows
from archsearch.spaces import Architecture, SearchSpace

EPOCHS = 30
INNER = {"inner": Generations(60, 8)}
SMALL: dict[str, Any] = {"initial": 10, "stage_size": 5, "population": 20, "generations": 2, "enumerable": 0, "epochs": 3}


@pytest.fixture(scope="module")
def make(pools: SharedPools) -> Callable[..., GATESEvolution]:
    """Makes searchers whose stages are short; those of one space share a pool."""

    def make(space: SearchSpace, seed: int, **settings: Any) -> GATESEvolution:
        return GATESEvolution(space, seed, **{**SMALL, "pool": pools.name_for(space), **settings})

    return make


@pytest.mark.long
class TestConformance(SurrogateSearcherConformance):
    def make_searcher(self, space: SearchSpace, seed: int, **settings: Any) -> ArchitectureSearcher:
        return GATESEvolution(space, seed, **SMALL, **settings)


@pytest.fixture(scope="module")
def table() -> TabularEvaluator:
    return TabularEvaluator.embedded("digits201")


def search(searcher: ArchitectureSearcher, table: TabularEvaluator) -> Loop:
    return Loop(searcher, lambda architecture: table.evaluate([architecture])[0].score).run(at_once=2)


@pytest.mark.slow
def test_it_finds_better_cells_than_chance(table: TabularEvaluator, make: Callable[..., GATESEvolution]) -> None:
    settings: dict[str, Any] = {"num_candidates": 60, "deterministic": True, "batch_size": 5}
    bests = []
    for seed in range(2):
        guided = make(table.space, seed, initial=20, stage_size=10, epochs=60, population=100, generations=6, **settings)
        chance = RandomSearch(table.space, seed, **settings)
        loops = [search(searcher, table) for searcher in (guided, chance)]
        assert all(len(loop.candidates) == 60 for loop in loops)
        # The mean of what was tried after the first stage is a safer measure than the best, which may be luck.
        bests.append([np.mean([row.evaluation.score for row in loop.searcher.history[20:]]) for loop in loops])
        assert guided.figures["surrogate/trust_tau"] > -1.0
    guided_mean, chance_mean = np.mean(bests, axis=0)
    assert guided_mean > chance_mean + 0.01


@pytest.mark.slow
def test_objectives_and_constraints(table: TabularEvaluator, make: Callable[..., GATESEvolution]) -> None:
    goals = goals_for(table, ["accuracy", "-macs"], {"params": "<= 15e3"})
    searcher = make(table.space, 0, num_candidates=30, deterministic=True, goals=goals)
    loop = search(searcher, table)
    check_search(searcher, loop.candidates, 30)
    assert all(table.costs(table.space.parse(text))["params"] <= 15e3 for text in loop.candidates)
    assert len(searcher.trust) > 5


@pytest.mark.slow
def test_islands_share_their_parents_and_diverge(table: TabularEvaluator, make: Callable[..., GATESEvolution]) -> None:
    def candidates(islands: int | None) -> list[str]:
        searcher = make(table.space, 0, num_candidates=25, deterministic=True, islands=islands)
        assert searcher.islands == (islands or 1)
        return search(searcher, table).candidates

    apart = candidates(3)
    assert apart[:10] == candidates(None)[:10]
    assert apart[10:] != candidates(None)[10:]
    assert apart == candidates(3)
    assert GATESEvolution(table.space, 0, enumerable=20_000, islands=3).islands == 1
    with pytest.raises(ConfigurationError, match="islands: expected"):
        make(table.space, 0, islands=0)


def weight(architecture: Architecture) -> float:
    return float(str(architecture).count("nor_conv"))


def rows(space: SearchSpace, count: int = 40) -> dict[str, object]:
    rng = np.random.default_rng(0)
    architectures = [space.sample(rng) for _ in range(count)]
    scores = [weight(each) for each in architectures]
    return {"architectures": [str(each) for each in architectures], "values": np.array([scores, [-score for score in scores]]).T}


def fitted(space: SearchSpace, **settings: object) -> PredictorSurrogate:
    surrogate = PredictorSurrogate(space, epochs=EPOCHS, **settings)
    surrogate.fit(rows(space), seed=0, learned={"score": 0})
    return surrogate


@pytest.fixture(scope="module")
def surrogate() -> PredictorSurrogate:
    torch.set_num_threads(1)
    return fitted(spaces.get("nasbench201"))


def test_a_small_space_is_ranked_completely() -> None:
    space = SmallSpace(3)
    surrogate = fitted(space)
    everything = space.representatives()
    known = sorted(everything)[:20]
    answer = surrogate.propose(1000, seed=0, exclude=known, best=[], goals=Goals(), **INNER)
    keys = [space.key(space.parse(text)) for text in answer["architectures"]]
    assert sorted(keys) == sorted(set(everything) - set(known))
    assert answer["predictions"] == sorted(answer["predictions"], reverse=True)
    np.testing.assert_allclose(surrogate.score(answer["architectures"]), answer["predictions"], atol=1e-5)


def test_the_inner_evolution_finds_the_best_of_the_complete_ranking(surrogate: PredictorSurrogate) -> None:
    space = surrogate.space
    whole = surrogate.propose(20, seed=0, exclude=[], best=[], goals=Goals(), **INNER)
    searching = PredictorSurrogate(space, enumerable=0, epochs=EPOCHS)
    searching.load({name: predictor.state() for name, predictor in surrogate._predictors.items()})
    best = rows(space)["architectures"][:5]  # type: ignore[index]
    found = searching.propose(20, seed=0, exclude=[], best=best, goals=Goals(), **INNER)
    assert found["predictions"][0] >= whole["predictions"][3]
    again = searching.propose(20, seed=0, exclude=[], best=best, goals=Goals(), **INNER)
    assert again == found
    keys = {space.key(space.parse(text)) for text in found["architectures"]}
    excluded = searching.propose(20, seed=0, exclude=sorted(keys), best=best, goals=Goals(), **INNER)
    assert not keys & {space.key(space.parse(text)) for text in excluded["architectures"]}


def test_only_what_keeps_the_constraints_is_proposed(surrogate: PredictorSurrogate) -> None:
    goals = Goals(
        constraints=(Constraint("weight", "<=", 2.0),), costs=lambda each: {"weight": weight(each)}, cost_names=("weight",)
    )
    answer = surrogate.propose(50, seed=0, exclude=[], best=[], goals=goals, **INNER)
    weights = [weight(surrogate.space.parse(text)) for text in answer["architectures"]]
    assert len(weights) == 50
    assert max(weights) <= 2.0
    assert np.mean(weights[:10]) > 1.5, "the predictor has learned that more convolutions are better"


def test_cost_objectives_are_computed_and_not_predicted(surrogate: PredictorSurrogate) -> None:
    objectives = (Objective("score"), Objective("weight", False))
    goals = Goals(objectives, costs=lambda each: {"weight": weight(each)}, cost_names=("weight",))
    answer = surrogate.propose(12, seed=0, exclude=[], best=[], goals=goals, **INNER)
    weights = {weight(surrogate.space.parse(text)) for text in answer["architectures"]}
    assert {0.0, 6.0} <= weights, "the ends of the front come first"


def test_states_travel_as_plain_data(surrogate: PredictorSurrogate) -> None:
    state = {name: predictor.state() for name, predictor in surrogate._predictors.items()}
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    again = PredictorSurrogate(surrogate.space, epochs=EPOCHS)
    again.load(torch.load(buffer, weights_only=True))
    texts = rows(surrogate.space)["architectures"]
    np.testing.assert_array_equal(again.score(texts), surrogate.score(texts))  # type: ignore[arg-type]


def halved(space: SearchSpace, count: int) -> tuple[list[Architecture], NDArray[np.float64], dict[str, Any]]:
    """Return architectures, their true scores, and rows of a search that stopped the worse half at a higher score."""
    rng = np.random.default_rng(0)
    architectures = [space.sample(rng) for _ in range(count)]
    truth = np.array([str(each).count("nor_conv_3x3") + 0.01 * at / count for at, each in enumerate(architectures)])
    survives = truth >= np.median(truth)
    newest = [
        Evaluation(each, str(at), float(score if lives else score + 10.0), fidelity=None if lives else 4)
        for at, (each, score, lives) in enumerate(zip(architectures, truth, survives, strict=True))
    ]
    partial = {each.key: {4: replace(each, fidelity=4, score=each.score + 10.0)} for each in newest if each.fidelity is None}
    rows = {
        "architectures": [str(each) for each in architectures],
        "values": np.array([[each.score] for each in newest]),
        "fidelities": [each.fidelity for each in newest],
        "rungs": rung_rows(newest, partial, Goals().values)._asdict(),
    }
    return architectures, truth, rows


@pytest.mark.parametrize("loss", ["hinge", "mse"])
def test_it_learns_within_rungs(loss: str) -> None:
    """With a loss on scores it learns one order, in which survivors are above stopped candidates."""
    space = spaces.get("nasbench201")
    architectures, truth, rows = halved(space, 60)
    surrogate = PredictorSurrogate(space, loss=loss, epochs=40, width=16, hidden=8, embedding=8, head=(16,), learning_rate=0.01)
    surrogate.fit(rows, seed=0, learned={"score": 0})
    assert kendall_tau(truth, surrogate.score([str(each) for each in architectures])) > 0.6


def test_one_candidate_a_rung_is_learned_in_one_order() -> None:
    space = spaces.get("nasbench201")
    architectures, _, rows = halved(space, 2)
    rows |= {"values": np.array([[0.9], [0.1]]), "fidelities": [4, None]}
    rows["rungs"] = {"candidates": np.array([0, 1]), "rungs": np.array([0, 1]), "values": rows["values"]}
    surrogate = PredictorSurrogate(space, epochs=20, width=16, hidden=8, embedding=8, head=(16,), learning_rate=0.01)
    surrogate.fit(rows, seed=0, learned={"score": 0})
    stopped, complete = surrogate.score([str(each) for each in architectures])
    assert complete > stopped
