from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from archsearch.errors import ConfigurationError
from archsearch.searchers import ArchitectureSearcher, ENASSearch
from archsearch.searchers.conformance import Loop, SharedPools, TrainedOnceConformance, check_search
from archsearch.spaces import Architecture, SearchSpace
from archsearch.spaces.nasbench201 import NASBench201

SPACE = NASBench201()


def make(space: SearchSpace, seed: int, **settings: Any) -> ENASSearch:
    """Return a searcher whose supernet is tiny and trained for six steps."""
    tiny = {"scale": {"channels": 2, "cells_per_stage": 1}, "model": {"batch_size": 8}}
    return ENASSearch(space, seed, **{"steps": 6, "stage_size": 5, **tiny, **settings})


def score(architecture: Architecture) -> float:
    """Return a made-up score: more convolutions are better."""
    return min(1.0, str(architecture).count("conv") / 20)


@pytest.mark.long
@pytest.mark.usefixtures("shared_ray")
class TestConformance(TrainedOnceConformance):
    def make_searcher(self, space: SearchSpace, seed: int, **settings: Any) -> ArchitectureSearcher:
        return make(space, seed, **settings)


@pytest.mark.slow
def test_paths_are_evaluated_best_first(pools: SharedPools, cache: Path) -> None:
    searcher = make(SPACE, 0, cache=cache, num_candidates=5, deterministic=True, pool=pools.name_for(SPACE))
    candidates = Loop(searcher, score).run().candidates
    check_search(searcher, candidates, 5)
    controller = searcher.details["path_controller"]
    assert controller["steps"] == [5]
    assert len(controller["entropy"]) == len(controller["reward"]) == 1


@pytest.mark.parametrize(("option", "value"), [("entropy_weight", -1.0), ("policy_learning_rate", 11.0), ("dataset", 3)])
def test_bad_options_are_refused(option: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=option):
        ENASSearch(SPACE, **{option: value})
