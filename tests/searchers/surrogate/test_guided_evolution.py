"""Calls of guided evolution to its surrogate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from archsearch import spaces
from archsearch.errors import ConfigurationError
from archsearch.searchers.goals import Goals, Objective
from archsearch.searchers.surrogate.guided_evolution import GuidedEvolution
from archsearch.searchers.surrogate.inner_search import Generations

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


def test_islands_are_as_many_as_actors_unless_the_space_is_ranked_completely() -> None:
    assert Guided(SPACE, enumerable=0, actors=3).islands == 3
    assert Guided(SPACE, enumerable=0, actors=3, islands=2).islands == 2
    assert Guided(SPACE, enumerable=SPACE.size, actors=3, islands=2).islands == 1


@pytest.mark.parametrize("islands", [0, 1.5, True])
def test_a_wrong_number_of_islands_is_refused(islands: Any) -> None:
    with pytest.raises(ConfigurationError, match="islands: expected a whole number of at least 1"):
        Guided(SPACE, islands=islands)
