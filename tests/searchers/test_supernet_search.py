from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest
import ray

from archsearch import spaces
from archsearch.cluster.pool.layout import NAMESPACE
from archsearch.cluster.pool.model_pool import ModelPool
from archsearch.errors import ConfigurationError
from archsearch.evaluators import TrainingEvaluator
from archsearch.searchers import DARTSSearch, ENASSearch
from archsearch.searchers.conformance import Loop
from archsearch.spaces import Architecture, SearchSpace

SPACE = spaces.get("nasbench201")


def make(space: SearchSpace, seed: int, cache: Path, **settings: Any) -> DARTSSearch:
    """Return a searcher whose supernet is tiny and trained for six steps."""
    tiny = {"scale": {"channels": 2, "cells_per_stage": 1}, "model": {"batch_size": 8}}
    return DARTSSearch(space, seed, **{"steps": 6, "stage_size": 5, "cache": cache, **tiny, **settings})


def score(architecture: Architecture) -> float:
    """Return a made-up score: more convolutions are better."""
    return min(1.0, str(architecture).count("conv") / 20)


@pytest.mark.parametrize("kind", [DARTSSearch, ENASSearch])
def test_spaces_without_places_are_refused(kind: type[DARTSSearch] | type[ENASSearch]) -> None:
    with pytest.raises(ConfigurationError, match="in NASBench101.* genes restrict each other.*gates, gp, ngae"):
        kind(spaces.get("nasbench101"))


def test_the_images_are_those_of_the_trainings() -> None:
    evaluator = TrainingEvaluator(SPACE, "digits", scale={"channels": 4, "cells_per_stage": 1})
    options = DARTSSearch.options_for(evaluator, {"order": 2})
    assert options["dataset"] == "digits" and options["order"] == 2
    assert options["scale"]["channels"] == 4


@pytest.mark.slow
def test_a_killed_actor_loses_nothing(shared_ray: None, tmp_path: Path) -> None:
    """The training is continued from its file by the actor that takes the place of the killed one."""
    undisturbed = make(SPACE, 1, tmp_path / "one", num_candidates=4, deterministic=True)
    expected = Loop(undisturbed, score).run().candidates
    undisturbed.close()
    name = f"killed-{uuid.uuid4().hex[:6]}"
    searcher = make(SPACE, 1, tmp_path / "other", num_candidates=4, deterministic=True, pool=name)
    searcher.open()
    ray.kill(ray.get_actor(f"{name}-0", namespace=NAMESPACE), no_restart=False)
    assert Loop(searcher, score).run().candidates == expected
    searcher.close()
    ModelPool.attach(name).shutdown()
