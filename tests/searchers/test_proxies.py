from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import ray

from archsearch.cluster.pool.layout import NAMESPACE
from archsearch.cluster.pool.model_pool import ModelPool
from archsearch.errors import ConfigurationError, DatasetError
from archsearch.evaluators import FunctionEvaluator, TabularEvaluator, TrainingEvaluator
from archsearch.evaluators.proxies import ProxyEvaluator
from archsearch.searchers import ArchitectureSearcher, ProxyRandomSearch
from archsearch.searchers.conformance import Loop, SharedPools, SurrogateSearcherConformance, check_search
from archsearch.searchers.surrogate.rank_sum import rank_sum
from archsearch.spaces import Architecture, SearchSpace
from archsearch.spaces.cells import Cells

POOLS = SharedPools()
CELLS = Cells(4)
SCALE = {"blocks": 3, "channels": 4}


@pytest.fixture(scope="module", autouse=True)
def pools_end_with_the_tests(shared_ray: None) -> Iterator[None]:
    with POOLS:
        yield


def make(space: SearchSpace, seed: int, **settings: Any) -> ProxyRandomSearch:
    """Return a searcher with few images; those of one space share a pool."""
    scale = SCALE if isinstance(space, Cells) else {"channels": 2, "cells_per_stage": 1}
    small = {"dataset": "digits", "images": 8, "initial": 3, "rank_candidates": 20, "explore": 0.0, "scale": scale}
    return ProxyRandomSearch(space, seed, **{**small, "pool": POOLS.name_for(space), **settings})


def score(architecture: Architecture) -> float:
    """Return a made-up score: more convolutions are better."""
    return min(1.0, str(architecture).count("conv") / 20)


def found(seed: int, **settings: Any) -> Loop:
    return Loop(make(CELLS, seed, num_candidates=23, deterministic=True, **settings), score).run(at_once=2)


@pytest.mark.long
class TestConformance(SurrogateSearcherConformance):
    learns = False

    def make_searcher(self, space: SearchSpace, seed: int, **settings: Any) -> ArchitectureSearcher:
        return make(space, seed, **settings)


@pytest.mark.slow
def test_the_best_by_the_sum_of_ranks_are_evaluated_best_first() -> None:
    loop = found(0)
    check_search(loop.searcher, loop.candidates, 23)
    evaluator = ProxyEvaluator(CELLS, ["params", "nwot"], "digits", seed=0, batch_size=8, scale=SCALE)
    scores = [evaluator.scores(CELLS.parse(text)) for text in [*loop.candidates[3:], *loop.candidates[:3]]]
    ranks = rank_sum([np.array([each[name] for each in scores]) for name in ("params", "nwot")])[:20]
    assert np.diff(ranks).max() <= 1e-12 and ranks[0] > ranks[-1] + 0.3
    figures = loop.searcher.figures
    assert figures["surrogate/candidates_ranked"] == 20
    assert figures["surrogate/top_mean_score"] == pytest.approx(
        np.mean([score(CELLS.parse(text)) for text in loop.candidates[3:]])
    )
    assert set(loop.searcher.agreement) == {"params", "nwot"}  # type: ignore[attr-defined]
    assert figures["surrogate/tau_params"] > 0.3, "more convolutions have more parameters"
    assert len(loop.searcher.ranked) == 23


@pytest.mark.slow
def test_a_killed_actor_changes_nothing_but_time() -> None:
    name = f"killed-{uuid.uuid4().hex[:6]}"
    searcher = make(CELLS, 0, num_candidates=23, deterministic=True, pool=name)
    searcher.open()
    ray.kill(ray.get_actor(f"{name}-0", namespace=NAMESPACE), no_restart=False)
    loop = Loop(searcher, score).run(at_once=2)
    ModelPool.attach(name).shutdown()
    assert loop.candidates == found(0).candidates


def constant(model: object, context: object) -> float:
    return 0.5


def test_images_and_size_are_those_of_the_evaluator() -> None:
    evaluator = TrainingEvaluator(CELLS, "digits", scale={"channels": 4}, root="/elsewhere")
    options = ProxyRandomSearch.options_for(evaluator, {"images": 16})
    assert options == {"dataset": "digits", "root": "/elsewhere", "scale": evaluator.scale, "images": 16}
    with pytest.raises(ConfigurationError, match="dataset: expected the name of a dataset.*A table has no images"):
        ProxyRandomSearch(CELLS, 0, **ProxyRandomSearch.options_for(TabularEvaluator.embedded("digits201"), {}))
    function = FunctionEvaluator(CELLS, constant, dataset="digits", scale={"channels": 4})
    assert ProxyRandomSearch.options_for(function, {}) == {"dataset": "digits", "root": None, "scale": function.scale}


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"rank_by": "nwott"}, "rank_by: expected one of .*; got 'nwott'. Did you mean 'nwot'"),
        ({"rank_by": "loss"}, "rank_by: expected one of"),
        ({"rank_by": "nwot+nwot"}, "rank_by: expected each part once"),
        ({"images": 1}, "images: expected a whole number"),
        ({"dataset": 3}, "dataset: expected a string"),
        ({"scale": {"chanels": 4}}, "no setting 'chanels'"),
        ({"rank_candidates": 0}, "rank_candidates: expected a whole number"),
    ],
)
def test_wrong_settings(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        ProxyRandomSearch(CELLS, 0, **{"dataset": "digits", **setting})


def test_an_unknown_dataset() -> None:
    with pytest.raises(DatasetError, match="dataset: expected"):
        ProxyRandomSearch(CELLS, 0, dataset="digitz")
