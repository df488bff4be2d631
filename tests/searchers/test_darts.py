from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from archsearch.errors import ConfigurationError
from archsearch.searchers import ArchitectureSearcher, DARTSSearch
from archsearch.searchers.conformance import Loop, SharedPools, TrainedOnceConformance, check_search
from archsearch.spaces import Architecture, SearchSpace
from archsearch.spaces.nasbench201 import NASBench201

SPACE = NASBench201()


def make(space: SearchSpace, seed: int, **settings: Any) -> DARTSSearch:
    """Return a searcher whose supernet is tiny and trained for six steps."""
    tiny = {"scale": {"channels": 2, "cells_per_stage": 1}, "model": {"batch_size": 8}}
    return DARTSSearch(space, seed, **{"steps": 6, "stage_size": 5, **tiny, **settings})


def score(architecture: Architecture) -> float:
    """Return a made-up score: more convolutions are better."""
    return min(1.0, str(architecture).count("conv") / 20)


@pytest.mark.long
@pytest.mark.usefixtures("shared_ray")
class TestConformance(TrainedOnceConformance):
    def make_searcher(self, space: SearchSpace, seed: int, **settings: Any) -> ArchitectureSearcher:
        return make(space, seed, **settings)


@pytest.mark.slow
def test_the_largest_weights_are_evaluated_first(pools: SharedPools, cache: Path) -> None:
    searcher = make(SPACE, 0, cache=cache, num_candidates=7, deterministic=True, pool=pools.name_for(SPACE))
    candidates = Loop(searcher, score).run().candidates
    check_search(searcher, candidates, 7)
    weights = searcher.details["operator_weights"]
    assert weights["steps"] == [1, 2, 3, 4, 5, 6]
    last, expected = weights["weights"][-1], []
    for alternatives in weights["alternatives"]:
        part, last = last[: len(alternatives)], last[len(alternatives) :]
        expected.append(part.index(max(part)))
    assert candidates[0] == str(SPACE.from_genotype(expected))


@pytest.mark.parametrize(("option", "value"), [("order", 3), ("alpha_learning_rate", -1.0), ("steps", 0)])
def test_bad_options_are_refused(option: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=option):
        DARTSSearch(SPACE, **{option: value})
