"""Inner searches: what they propose is new, feasible and well predicted, and random search and evolution equal plain twins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from archsearch import spaces
from archsearch.errors import ConfigurationError
from archsearch.searchers import GATESEvolution, GaussianProcessSearch
from archsearch.searchers.goals import Goals, Objective
from archsearch.searchers.surrogate.guided_evolution import ENUMERABLE
from archsearch.searchers.surrogate.inner_search import (
    KINDS,
    Annealing,
    Generations,
    InnerSearch,
    Landscape,
    RandomRanking,
    TournamentEvolution,
    inner_search,
)
from archsearch.spaces import Architecture

SPACE = spaces.get("nasbench201")
SMALL: dict[str, InnerSearch] = {
    "generations": Generations(20, 4),
    "random": RandomRanking(10),
    "evolution": TournamentEvolution(10, 3, 20),
    "annealing": Annealing(20, 0.5, 0.9),
}


def value(architecture: Architecture) -> float:
    """A made-up prediction, which differs between almost all cells."""
    text = str(architecture)
    return text.count("conv_3x3") + 0.1 * text.count("skip") + 0.001 * (hash_of(text) % 97)


def hash_of(text: str) -> int:
    return sum(at * ord(letter) for at, letter in enumerate(text))


def predicted(architectures: Sequence[Architecture]) -> NDArray[np.float64]:
    return np.array([[value(each)] for each in architectures]).reshape(-1, 1)


def landscape(
    known: Sequence[str] = (), is_feasible: Callable[[Architecture], bool] = lambda each: True, parents: int = 3
) -> Landscape:
    rng = np.random.default_rng(99)
    return Landscape(SPACE, [SPACE.sample(rng) for _ in range(parents)], predicted, is_feasible, frozenset(known))


@pytest.mark.parametrize("inner", SMALL.values(), ids=list(SMALL))
def test_proposals_are_new_feasible_repeatable_and_better_than_chance(inner: InnerSearch) -> None:
    def light(architecture: Architecture) -> bool:
        return "avg_pool" not in str(architecture)

    first = inner.run(6, landscape(is_feasible=light), np.random.default_rng(0))
    again = inner.run(6, landscape(is_feasible=light), np.random.default_rng(0))
    assert list(first) == list(again)
    assert all(light(each) for each in first.values())
    assert all(SPACE.key(each) == key for key, each in first.items())
    others = inner.run(6, landscape(list(first), light), np.random.default_rng(0))
    assert len(others) >= 6 and not others.keys() & first.keys()
    rng = np.random.default_rng(1)
    chance = np.mean([value(SPACE.sample(rng)) for _ in range(200)])
    assert np.mean(sorted(map(value, first.values()))[-6:]) > chance + 0.5


def test_random_search_takes_the_best_of_ratio_times_as_many() -> None:
    rng, drawn = np.random.default_rng(3), dict[str, Architecture]()
    while len(drawn) < 4 * 25:
        architecture = SPACE.sample(rng)
        drawn.setdefault(SPACE.key(architecture), architecture)
    best = sorted(drawn, key=lambda key: value(drawn[key]), reverse=True)[:4]
    found = RandomRanking(25).run(4, landscape(), np.random.default_rng(3))
    assert [value(each) for each in found.values()] == [value(drawn[key]) for key in best]


def test_evolution_replaces_the_oldest_by_a_mutation_of_the_best_of_a_tournament() -> None:
    """One evolution, step by step: the plain loop of regularized evolution with the same draws."""
    rng = np.random.default_rng(5)
    population = [SPACE.sample(rng) for _ in range(6)]
    visited = list(population)
    for _ in range(15):
        entrants = [population[at] for at in rng.choice(6, size=2, replace=False)]
        child = SPACE.mutate(max(entrants, key=value), rng)
        population = [*population[1:], child]
        visited.append(child)
    best = max(visited, key=value)
    found = TournamentEvolution(6, 2, 15).run(1, landscape(), np.random.default_rng(5))
    assert [value(each) for each in found.values()] == [value(best)]


def test_annealing_climbs_when_it_is_cold_and_wanders_when_it_is_hot() -> None:
    def ends(temperature: float) -> list[float]:
        walks = Annealing(60, temperature, 1.0)._once(20, landscape(), np.random.default_rng(0))
        return [float(np.mean([row[1][0] for row in walk.rows[-20:]])) for walk in walks]

    assert np.mean(ends(1e-9)) > np.mean(ends(1000.0)) + 1.0


def test_what_cannot_be_found_is_left_out() -> None:
    """Where everything is known, nothing is proposed, and the search ends."""
    for inner in SMALL.values():
        assert inner.run(3, landscape(is_feasible=lambda each: False), np.random.default_rng(0)) == {}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("random", RandomRanking(50)),
        ({"kind": "evolution", "steps": 7}, TournamentEvolution(20, 5, 7)),
        (Annealing(3), Annealing(3)),
    ],
)
def test_names_and_mappings(given: Any, expected: InnerSearch) -> None:
    assert inner_search(given) == expected
    assert {type(each) for each in SMALL.values()} == set(KINDS.values())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"inner": "anealing"}, "inner: expected one of .*; got 'anealing'. Did you mean 'annealing'"),
        ({"inner": 3}, "inner: expected the name of an inner search"),
        ({"inner": {"ratio": 3}}, "inner: expected one of .*; got None"),
        ({"inner": {"kind": ["random"]}}, "inner: expected one of"),
        ({"inner": {"kind": "random", "ration": 3}}, "inner: random: no setting 'ration'. Did you mean 'ratio'"),
        ({"inner": {"kind": "random", "ratio": 0}}, "ratio: expected a whole number from 1"),
        ({"inner": {"kind": "evolution", "tournament": 30}}, "tournament: expected at most the population, 20; got 30"),
        ({"inner": {"kind": "annealing", "temperature": 0}}, "temperature: expected a number above 0"),
        ({"inner": "random", "population": 30}, "population: a size of the inner search `generations`; got 30 with another"),
        ({"population": 0}, "population: expected a whole number of at least 1"),
        ({"enumerable": -1}, "enumerable: expected a whole number"),
    ],
)
def test_wrong_settings_are_refused_by_the_searcher(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        GaussianProcessSearch(SPACE, **settings)


def test_only_the_default_ranks_small_spaces_as_a_whole() -> None:
    assert GATESEvolution(SPACE).enumerable == ENUMERABLE
    assert GATESEvolution(SPACE, inner="random").enumerable == 0
    assert GATESEvolution(SPACE, inner="random", enumerable=500).enumerable == 500
    assert GATESEvolution(SPACE, population=30).inner == Generations(30, 20)


def test_annealing_needs_one_objective() -> None:
    goals = Goals((Objective("score"), Objective("macs", maximize=False)), cost_names=("macs",))
    with pytest.raises(ConfigurationError, match="inner: annealing compares predictions of one objective; got 2 objectives"):
        GATESEvolution(SPACE, inner="annealing", goals=goals)
    with pytest.raises(ConfigurationError, match="inner: annealing"):
        GATESEvolution(SPACE, inner="annealing").adopt(goals)
    GATESEvolution(SPACE, inner="evolution", goals=goals)
