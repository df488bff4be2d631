from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray

from archsearch import searchers, spaces
from archsearch.cluster.ledger.ledger import Ledger
from archsearch.cluster.pool.answer import PoolError
from archsearch.cluster.pool.layout import NAMESPACE
from archsearch.cluster.pool.model_pool import ModelPool
from archsearch.errors import ConfigurationError
from archsearch.evaluators import GHN, TabularEvaluator, TrainingEvaluator
from archsearch.evaluators.metrics import kendall_tau
from archsearch.evaluators.predictors.gaussian_process import GaussianProcess
from archsearch.evaluators.proxies import ProxyEvaluator
from archsearch.evaluators.saved_state import write_state
from archsearch.searchers import ArchitectureSearcher, GaussianProcessSearch, RandomSearch, goals_for
from archsearch.searchers.conformance import Loop, SharedPools, SmallSpace, SurrogateSearcherConformance, check_search
from archsearch.searchers.gaussian_process import GaussianProcessSurrogate
from archsearch.searchers.goals import Goals
from archsearch.searchers.pretrained_ghn import STATE, PretrainedGHN
from archsearch.searchers.surrogate.inner_search import Generations
from archsearch.spaces import Architecture, SearchSpace

SMALL: dict[str, Any] = {"initial": 10, "stage_size": 5, "population": 20, "generations": 2, "enumerable": 0}
NONE_BUT_ONE = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|"
INNER = {"inner": Generations(60, 8)}


@pytest.fixture(scope="module")
def make(pools: SharedPools) -> Callable[..., GaussianProcessSearch]:
    """Makes searchers whose stages are short; those of one space share a pool."""

    def make(space: SearchSpace, seed: int, **settings: Any) -> GaussianProcessSearch:
        return GaussianProcessSearch(space, seed, **{**SMALL, "pool": pools.name_for(space), **settings})

    return make


@pytest.mark.long
@pytest.mark.usefixtures("shared_ray")
class TestConformance(SurrogateSearcherConformance):
    def make_searcher(self, space: SearchSpace, seed: int, **settings: Any) -> ArchitectureSearcher:
        return GaussianProcessSearch(space, seed, **SMALL, **settings)


@pytest.fixture(scope="module")
def table() -> TabularEvaluator:
    return TabularEvaluator.embedded("digits201")


def search(searcher: ArchitectureSearcher, table: TabularEvaluator) -> Loop:
    return Loop(searcher, lambda architecture: table.evaluate([architecture])[0].score).run(at_once=2)


@pytest.mark.slow
def test_it_finds_better_cells_than_chance(table: TabularEvaluator, make: Callable[..., GaussianProcessSearch]) -> None:
    settings = {"num_candidates": 60, "deterministic": True, "batch_size": 5}
    means = []
    for seed in range(2):
        guided = make(table.space, seed, initial=20, stage_size=10, population=100, generations=6, **settings)
        chance = RandomSearch(table.space, seed, **settings)
        loops = [search(searcher, table) for searcher in (guided, chance)]
        assert all(len(loop.candidates) == 60 for loop in loops)
        # The mean of what was tried after the first stage is a safer measure than the best, which may be luck.
        means.append([np.mean([row.evaluation.score for row in loop.searcher.history[20:]]) for loop in loops])
    guided_mean, chance_mean = np.mean(means, axis=0)
    assert guided_mean > chance_mean + 0.01


@pytest.mark.slow
def test_deterministic_searches_repeat(table: TabularEvaluator, make: Callable[..., GaussianProcessSearch]) -> None:
    settings = {"num_candidates": 25, "deterministic": True, "batch_size": 5}
    first, second, other = (search(make(table.space, seed, **settings), table).candidates for seed in (3, 3, 4))
    assert first == second
    assert first != other


def test_what_the_process_chose_is_told_from_random_candidates(
    table: TabularEvaluator, make: Callable[..., GaussianProcessSearch]
) -> None:
    settings = {"num_candidates": 25, "deterministic": True, "batch_size": 5}
    searcher = make(table.space, 3, explore=0.0, **settings)
    keys = [table.space.key(table.space.parse(text)) for text in search(searcher, table).candidates]
    assert searcher.groups == {"chosen by a Gaussian process": set(keys[10:]), "random": set(keys[:10])}
    exploring = make(table.space, 3, explore=0.5, **settings)
    later = {table.space.key(table.space.parse(text)) for text in search(exploring, table).candidates[10:]}
    chosen, random = exploring.groups.values()
    assert chosen | (random & later) == later and not chosen & random and random & later and chosen
    begun = make(table.space, 3, **settings)
    begun.start_with([table.space.parse(NONE_BUT_ONE)])
    assert begun.groups == {}, "what is given is not random"


def test_objectives_and_constraints(table: TabularEvaluator, make: Callable[..., GaussianProcessSearch]) -> None:
    goals = goals_for(table, ["accuracy", "-macs"], {"params": "<= 15e3"})
    searcher = make(table.space, 0, num_candidates=30, deterministic=True, goals=goals)
    loop = search(searcher, table)
    check_search(searcher, loop.candidates, 30)
    assert all(table.costs(table.space.parse(text))["params"] <= 15e3 for text in loop.candidates)
    assert len(searcher.trust) > 5


def rows(space: SearchSpace, count: int = 40) -> dict[str, Any]:
    """Return architectures with two objectives: 3x3 convolutions, and anything but them."""
    rng = np.random.default_rng(0)
    texts = [str(space.sample(rng)) for _ in range(count)]
    scores = np.array([text.count("nor_conv_3x3") for text in texts], dtype=np.float64)
    return {"architectures": texts, "values": np.column_stack([scores, -scores])}


def test_the_inner_search_finds_what_the_process_ranks_first() -> None:
    space = spaces.get("nasbench201")
    whole, inner = GaussianProcessSurrogate(space), GaussianProcessSurrogate(space, enumerable=0)
    inner.load(whole.fit(rows(space), seed=0, learned={"score": 0}))
    answers = [
        each.propose(20, seed=0, exclude=[], best=rows(space)["architectures"][:5], goals=Goals(), **INNER)
        for each in (whole, inner)
    ]
    assert answers[1]["predictions"][0] >= answers[0]["predictions"][3]
    for answer in answers:
        assert answer["predictions"] == sorted(answer["predictions"], reverse=True)
        np.testing.assert_allclose(inner.score(answer["architectures"]), answer["predictions"], atol=1e-5)
    assert np.mean([text.count("nor_conv_3x3") for text in answers[0]["architectures"]]) >= 3.0, "1.2 by chance"


def test_each_measured_objective_has_a_process_of_its_own() -> None:
    space = SmallSpace(4)
    surrogate = GaussianProcessSurrogate(space)
    state = surrogate.fit(rows(space), seed=0, learned={"score": 0, "pools": 1})
    assert state.keys() == {"score", "pools"}
    np.testing.assert_allclose(state["score"]["targets"], -state["pools"]["targets"])


def test_more_optimism_prefers_what_is_less_known() -> None:
    space = spaces.get("nasbench201")
    known = rows(space)
    process = GaussianProcess(space).fit([space.parse(text) for text in known["architectures"]], known["values"][:, 0])
    deviations = []
    for optimism in (0.0, 20.0):
        surrogate = GaussianProcessSurrogate(space, optimism=optimism)
        surrogate.fit(known, seed=0, learned={"score": 0})
        chosen = surrogate.propose(10, seed=0, exclude=[], best=[], goals=Goals(), **INNER)["architectures"]
        deviations.append(process.predict_moments([space.parse(text) for text in chosen])[1].mean())
    assert deviations[1] > deviations[0]


def test_it_has_a_name_and_refuses_pessimism() -> None:
    assert searchers.get("gp") is GaussianProcessSearch
    with pytest.raises(ConfigurationError, match=r"optimism: expected a number from 0 to 100; got -1"):
        GaussianProcessSearch(spaces.get("nasbench201"), optimism=-1)


def test_stopped_candidates_are_learned_below_complete_ones() -> None:
    """The worse half was stopped, at scores above those of the better one."""
    space = spaces.get("nasbench201")
    rng = np.random.default_rng(0)
    architectures = [space.sample(rng) for _ in range(40)]
    truth = np.array([float(str(each).count("nor_conv_3x3")) for each in architectures])
    stopped = truth < np.median(truth)
    surrogate = GaussianProcessSurrogate(space)
    rows = {
        "architectures": [str(each) for each in architectures],
        "values": np.where(stopped, truth + 10.0, truth)[:, None],
        "fidelities": [4 if each else None for each in stopped],
    }
    surrogate.fit(rows, seed=0, learned={"score": 0})
    assert kendall_tau(truth, surrogate.score(rows["architectures"])) > 0.5


@pytest.mark.slow
def test_training_free_scores_are_paid_once(tmp_path: Path, shared_ray: None) -> None:
    space = spaces.get("nasbench201")
    evaluator = TrainingEvaluator(space, "digits", scale={"channels": 2, "cells_per_stage": 1})
    options = GaussianProcessSearch.options_for(evaluator, {"proxies": "params+synflow", "reranked": 10, **SMALL})
    table = TabularEvaluator.embedded("digits201")
    found = []
    for _ in range(2):
        searcher = GaussianProcessSearch(table.space, 0, num_candidates=20, deterministic=True, **options)
        searcher.ledger_root = str(tmp_path)
        loop = search(searcher, table)
        check_search(searcher, loop.candidates, 20)
        searcher.close()
        found.append(loop.candidates)
    assert found[0] == found[1]
    kept = ProxyEvaluator(table.space, ["synflow"], "digits", scale=evaluator.scale)
    keys = [entry.evaluation.key for entry in Ledger(tmp_path, table.space, kept.fingerprint()).entries()]
    records = Ledger(tmp_path, table.space, kept.fingerprint()).read().table
    assert len(keys) == records.num_rows > 20, "no score was computed twice"


@pytest.mark.slow
def test_a_hypernetwork_ranks_and_neither_a_killed_actor_nor_a_stop_changes_candidates(
    table: TabularEvaluator, tmp_path: Path, shared_ray: None
) -> None:
    folder = tmp_path / "hypernetwork"
    PretrainedGHN("nasbench201", "digits", 20, arguments={"scale": {"channels": 2, "cells_per_stage": 1}}).write(folder)
    ghn = GHN(table.space, "digits", scale={"channels": 2, "cells_per_stage": 1}, device="cpu").fit(20)
    write_state(folder / STATE, ghn.state())
    options: dict[str, Any] = {**SMALL, "num_candidates": 25, "deterministic": True, "reranked": 20}
    helped = {**options, "hypernetwork": str(folder), "proxies": "loss+params"}
    name = f"hypernetwork-{uuid.uuid4().hex[:6]}"
    whole = GaussianProcessSearch(table.space, 0, **helped)
    loop = search(whole, table)
    whole.close()
    check_search(whole, loop.candidates, 25)
    alone = GaussianProcessSearch(table.space, 0, **options)
    assert search(alone, table).candidates[:10] == loop.candidates[:10] != loop.candidates
    alone.close()
    assert whole.costs["fitting"] > 0.0 and whole.costs["ranking"] > 0.0

    scored: list[float] = []

    def score(architecture: Architecture) -> float:
        scored.append(table.evaluate([architecture])[0].score)
        if len(scored) == 12:  # the first fit is done, and the second one is to come
            ray.kill(ray.get_actor(f"{name}-0", namespace=NAMESPACE), no_restart=False)
        return scored[-1]

    stopped = Loop(GaussianProcessSearch(table.space, 0, pool=name, **helped), score).run(at_once=2, batches=16)
    stopped.searcher.save(str(tmp_path / "state"))
    resumed = Loop(GaussianProcessSearch(table.space, 0, pool=name, **helped), score)
    resumed.searcher.restore(str(tmp_path / "state"))
    resumed.take_over(stopped)
    resumed.run(at_once=2)
    ModelPool.attach(name).shutdown()
    assert len(scored) > 12 and resumed.candidates == loop.candidates


@pytest.mark.slow
def test_a_hypernetwork_that_is_corrupt_ends_the_search_at_its_start(tmp_path: Path, shared_ray: None) -> None:
    PretrainedGHN("nasbench201", "digits", 20, arguments={"scale": {"channels": 2, "cells_per_stage": 1}}).write(tmp_path)
    (tmp_path / STATE).write_bytes(b"nothing")
    searcher = GaussianProcessSearch(spaces.get("nasbench201"), 0, num_candidates=20, hypernetwork=str(tmp_path), **SMALL)
    with pytest.raises(PoolError, match="ghn.pt cannot be read"):
        searcher.open()
    searcher.close()
