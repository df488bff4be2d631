"""A hypernetwork of a search that several processes train."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray

from archsearch import cluster
from archsearch.errors import ConfigurationError
from archsearch.searchers import GHNRandomSearch
from archsearch.searchers.conformance import Loop, check_search
from archsearch.spaces import Architecture
from archsearch.spaces.cells import Cells

CELLS = Cells(4)
MODEL: dict[str, Any] = {"hidden": 8, "width": 16, "tile": 4, "batch_size": 16, "evaluation_images": 100}


@pytest.fixture(scope="module", autouse=True)
def three_cpus(no_ray: None) -> Iterator[None]:
    """A Ray of three CPUs."""
    cluster.connect(num_cpus=3)
    yield
    ray.shutdown()


def make(cache: Path, **settings: Any) -> GHNRandomSearch:
    small = {"initial": 3, "rank_candidates": 20, "explore": 0.0, "steps": 4, "scale": {"blocks": 3, "channels": 4}}
    return GHNRandomSearch(CELLS, 0, **{**small, "num_candidates": 10, "model": MODEL, "cache": cache, "trainers": 2, **settings})


def score(architecture: Architecture) -> float:
    return min(1.0, str(architecture).count("conv") / 20)


@pytest.mark.long
def test_a_search_trains_its_hypernetwork_by_two_processes_once(tmp_path: Path) -> None:
    found = []
    for _ in range(2):
        searcher = make(tmp_path, deterministic=True)
        searcher.open(1.0)
        loop = Loop(searcher, score).run(at_once=2)
        check_search(searcher, loop.candidates, 10)
        found.append((loop.candidates, searcher.figures["surrogate/fitting_seconds"]))
        searcher.close()
    (first, slow), (second, fast) = found
    assert first == second
    assert fast < slow / 3, "the second search reads what the first one trained"


@pytest.mark.slow
def test_more_trainers_than_the_cluster_holds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="trainers: expected at most 2.*got 3"):
        make(tmp_path, trainers=3).open(1.0)
