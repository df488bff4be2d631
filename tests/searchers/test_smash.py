from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from archsearch import spaces
from archsearch.errors import ConfigurationError
from archsearch.searchers import ArchitectureSearcher, SMASHRandomSearch
from archsearch.searchers.conformance import Loop, SharedPools, SurrogateSearcherConformance, check_search
from archsearch.spaces import SearchSpace

POOLS = SharedPools()
SPACE = spaces.get("nasbench201")
MODEL: dict[str, Any] = {"hidden": 8, "width": 16, "tile": 4, "batch_size": 16, "evaluation_images": 100}


@pytest.fixture(scope="module", autouse=True)
def pools_end_with_the_tests(shared_ray: None) -> Iterator[None]:
    with POOLS:
        yield


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def make(space: SearchSpace, seed: int, cache: Path, **settings: Any) -> SMASHRandomSearch:
    small = {"initial": 2, "rank_candidates": 20, "explore": 0.0, "steps": 4, "model": MODEL, "cache": cache}
    return SMASHRandomSearch(space, seed, scale={"channels": 2, "cells_per_stage": 1}, **{**small, **settings})


@pytest.mark.long
class TestConformance(SurrogateSearcherConformance):
    learns = False

    @pytest.fixture(autouse=True)
    def _cache(self, cache: Path) -> None:
        self.cache = cache

    def make_searcher(self, space: SearchSpace, seed: int, **settings: Any) -> ArchitectureSearcher:
        return make(space, seed, self.cache, **settings)


@pytest.mark.slow
def test_candidates_are_ranked_by_weights_from_a_flat_encoding(cache: Path) -> None:
    searcher = make(SPACE, 0, cache, num_candidates=8, deterministic=True, pool=POOLS.name_for(SPACE))
    assert searcher.ghn["encoder"] == "flat"
    candidates = Loop(searcher, lambda architecture: str(architecture).count("conv") / 20).run().candidates
    check_search(searcher, candidates, 8)
    ranked = [searcher.ranked[SPACE.key(SPACE.parse(text))] for text in candidates[2:]]
    assert ranked == sorted(ranked, reverse=True)


def test_modules_have_no_flat_encoding() -> None:
    def build(choose: Any) -> Any:
        width = choose.one("width", [4, 8])
        return nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.Linear(width, 10))

    space = spaces.ModuleSpace(build, name="flat", example_inputs=torch.zeros(1, 1, 8, 8))
    with pytest.raises(ConfigurationError, match="flat is made of modules. Take ghn"):
        SMASHRandomSearch(space)
