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
from archsearch.searchers import DARTSSearch, ENASSearch, SharedEncodingSearch, SupernetSearch
from archsearch.searchers.conformance import Loop
from archsearch.spaces import Architecture

SPACE = spaces.get("nasbench201")


OWN: dict[type[SupernetSearch], dict[str, Any]] = {
    DARTSSearch: {},
    ENASSearch: {},
    SharedEncodingSearch: {"population": 8, "rounds": 2},
}


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


@pytest.mark.parametrize("kind", OWN)
def test_the_length_of_the_training_is_told(kind: type[SupernetSearch]) -> None:
    [note] = kind(SPACE, steps=1234).notes
    assert note.startswith("The supernet is trained for 1,234 steps")


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", [DARTSSearch, *(pytest.param(kind, marks=pytest.mark.long) for kind in OWN if kind is not DARTSSearch)]
)
def test_a_killed_actor_loses_nothing(kind: type[SupernetSearch], shared_ray: None, tmp_path: Path) -> None:
    """The training is continued from its file by the actor that takes the place of the killed one."""

    def make(cache: str, **settings: Any) -> SupernetSearch:
        tiny = {"steps": 6, "scale": {"channels": 2, "cells_per_stage": 1}, "model": {"batch_size": 8}, **OWN[kind]}
        return kind(SPACE, 1, num_candidates=4, deterministic=True, cache=tmp_path / cache, **tiny, **settings)

    undisturbed = make("one")
    expected = Loop(undisturbed, score).run().candidates
    undisturbed.close()
    name = f"killed-{uuid.uuid4().hex[:6]}"
    searcher = make("other", pool=name)
    searcher.open()
    ray.kill(ray.get_actor(f"{name}-0", namespace=NAMESPACE), no_restart=False)
    assert Loop(searcher, score).run().candidates == expected
    searcher.close()
    ModelPool.attach(name).shutdown()
