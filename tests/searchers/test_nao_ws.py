from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from archsearch import spaces
from archsearch.errors import ConfigurationError
from archsearch.searchers import ArchitectureSearcher, SharedEncodingSearch
from archsearch.searchers.conformance import Loop, SharedPools, TrainedOnceConformance, check_search
from archsearch.spaces import SearchSpace
from archsearch.spaces.nasbench201 import NASBench201

SPACE = NASBench201()


def make(space: SearchSpace, seed: int, **settings: Any) -> SharedEncodingSearch:
    """Return a searcher whose supernet is tiny and trained for six steps, with a population of twelve."""
    model = {"batch_size": 8, "parents": 4, "score_batch": 20, "encoder": {"hidden": 8, "steps": 10}}
    tiny = {"scale": {"channels": 2, "cells_per_stage": 1}, "population": 12, "rounds": 2, "model": model}
    return SharedEncodingSearch(space, seed, **{"steps": 6, "stage_size": 5, **tiny, **settings})


@pytest.mark.long
@pytest.mark.usefixtures("shared_ray")
class TestConformance(TrainedOnceConformance):
    def make_searcher(self, space: SearchSpace, seed: int, **settings: Any) -> ArchitectureSearcher:
        return make(space, seed, **settings)


@pytest.mark.slow
def test_the_best_of_the_population_are_evaluated_first(pools: SharedPools, cache: Path) -> None:
    searcher = make(SPACE, 0, cache=cache, num_candidates=6, deterministic=True, pool=pools.name_for(SPACE))
    candidates = Loop(searcher, lambda architecture: str(architecture).count("conv") / 20).run().candidates
    check_search(searcher, candidates, 6)
    course = searcher.details["scored_population"]
    assert course["steps"] == [3, 6] and len(course["best"]) == len(course["mean"]) == 2
    assert course["kept"][0] is None and 0.0 <= course["kept"][1] <= course["best"][1] <= 1.0


def test_a_space_without_places_can_be_searched() -> None:
    searcher = SharedEncodingSearch(spaces.get("nasbench101"), population=7)
    assert (searcher.population, searcher.rounds, searcher.steps) == (7, 5, 1000)


@pytest.mark.parametrize(("option", "value"), [("population", 1), ("rounds", 0), ("dataset", 3), ("model", {"improved": 2.0})])
def test_bad_options_are_refused(option: str, value: Any) -> None:
    name = option if option != "model" else "improved"
    with pytest.raises(ConfigurationError, match=name):
        SharedEncodingSearch(SPACE, **{option: value})
