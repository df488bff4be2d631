from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from archsearch import spaces
from archsearch.errors import ConfigurationError
from archsearch.searchers import ArchitectureSearcher, SMASHRandomSearch
from archsearch.searchers.conformance import Loop, SharedPools, TrainedOnceConformance, check_search
from archsearch.spaces import SearchSpace

SPACE = spaces.get("nasbench201")
MODEL: dict[str, Any] = {"hidden": 8, "width": 16, "tile": 4, "batch_size": 16, "evaluation_images": 100}


def make(space: SearchSpace, seed: int, **settings: Any) -> SMASHRandomSearch:
    small = {"initial": 2, "rank_candidates": 20, "explore": 0.0, "steps": 4, "model": MODEL}
    return SMASHRandomSearch(space, seed, scale={"channels": 2, "cells_per_stage": 1}, **{**small, **settings})


@pytest.mark.long
@pytest.mark.usefixtures("shared_ray")
class TestConformance(TrainedOnceConformance):
    def make_searcher(self, space: SearchSpace, seed: int, **settings: Any) -> ArchitectureSearcher:
        return make(space, seed, **settings)


@pytest.mark.slow
def test_candidates_are_ranked_by_weights_from_a_flat_encoding(pools: SharedPools, cache: Path) -> None:
    searcher = make(SPACE, 0, cache=cache, num_candidates=8, deterministic=True, pool=pools.name_for(SPACE))
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
