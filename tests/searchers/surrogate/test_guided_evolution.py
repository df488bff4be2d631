"""Calls of guided evolution to its surrogate."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn

from archsearch import spaces
from archsearch.errors import ConfigurationError
from archsearch.searchers.goals import Goals, Objective
from archsearch.searchers.surrogate.guided_evolution import GuidedEvolution
from archsearch.searchers.surrogate.inner_search import Generations
from archsearch.spaces import ModuleSpace
from archsearch.spaces.module import Choose

SPACE = spaces.get("nasbench201")


class Guided(GuidedEvolution):
    def surrogate(self) -> Callable[[], Any]:
        raise AssertionError("no actor is started here")


def test_only_objectives_that_need_an_evaluation_are_learned() -> None:
    objectives = (Objective("score"), Objective("macs", False), Objective("robustness"))
    searcher = Guided(SPACE, goals=Goals(objectives, costs=lambda each: {"macs": 1.0}, cost_names=("macs",)))
    assert searcher.fit_options() == {"learned": {"score": 0, "robustness": 2}}


def test_the_inner_evolution_gets_its_settings() -> None:
    searcher = Guided(SPACE, population=7, generations=3)
    assert searcher.propose_options() == {"goals": searcher.goals, "inner": Generations(7, 3)}


def deep(choose: Choose, layers: int = 100) -> nn.Module:
    width = choose.one("width", [4, 8])
    return nn.Sequential(
        nn.Linear(4, width), *(nn.Linear(width, width, choose.one(f"bias{i}", [True, False])) for i in range(layers))
    )


def test_the_inner_evolution_is_shorter_where_each_new_architecture_takes_milliseconds() -> None:
    large = ModuleSpace(deep, torch.zeros(1, 4))
    small = ModuleSpace(partial(deep, layers=20), torch.zeros(1, 4), "shallow")
    assert (large.most_in_a_stage, small.most_in_a_stage) == (120_000 // 103, 120_000 // 23), "the layers, input and output"
    assert Guided(small).inner == Guided(SPACE).inner == Generations(200, 20)
    assert Guided(large).inner == Generations(200, 4)
    assert Guided(large, population=20).inner == Generations(20, 20)
    assert Guided(large, generations=20).inner == Guided(large, inner={"kind": "generations"}).inner == Generations(200, 20)


def test_islands_are_as_many_as_actors_unless_the_space_is_ranked_completely() -> None:
    assert Guided(SPACE, enumerable=0, actors=3).islands == 3
    assert Guided(SPACE, enumerable=0, actors=3, islands=2).islands == 2
    assert Guided(SPACE, enumerable=SPACE.size, actors=3, islands=2).islands == 1


@pytest.mark.parametrize("islands", [0, 1.5, True])
def test_a_wrong_number_of_islands_is_refused(islands: Any) -> None:
    with pytest.raises(ConfigurationError, match="islands: expected a whole number of at least 1"):
        Guided(SPACE, islands=islands)
