"""Inner searches: how a stage looks for the architectures that a surrogate ranks highest.

`Generations` is ours and the default. The others are those of GATES (X. Ning et al., ECCV 2020, arXiv 2004.01899), which searches
on the predictor by random search or by evolution, and of its authors' program, which anneals.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from archsearch.errors import ConfigurationError, check_kind, unknown_name
from archsearch.evaluators.settings import Between, MoreThan, check_settings, with_changes
from archsearch.searchers.fitness import fitness
from archsearch.spaces import Architecture, SearchSpace

_PATIENCE = 20  # samples for each new one that is wanted
_RERUNS = 3  # of searches that found nothing new


@dataclass(frozen=True)
class Landscape:
    """What an inner search may ask.

    Args:
        space: The space.
        parents: The best architectures that were evaluated.
        predict: Returns predictions `[architectures, objectives]`, larger is better.
        is_feasible: Returns whether an architecture satisfies the constraints.
        known: Keys of architectures that are not to be proposed.
    """

    space: SearchSpace
    parents: Sequence[Architecture]
    predict: Callable[[Sequence[Architecture]], NDArray[np.float64]]
    is_feasible: Callable[[Architecture], bool]
    known: frozenset[str]


class InnerSearch(ABC):
    """An inner search with its sizes; a frozen dataclass."""

    ranks_small_spaces: ClassVar[bool] = False
    """Whether all architectures of a small space are ranked instead, unless the user says otherwise."""

    @abstractmethod
    def run(self, wanted: int, landscape: Landscape, rng: np.random.Generator) -> dict[str, Architecture]:
        """Return new feasible architectures by key, in any order, at least `wanted` of them where it finds as many."""


@dataclass(frozen=True)
class Generations(InnerSearch):
    """Mutations of the best known architectures and of the best found, a population at once.

    Args:
        population: Children in a generation.
        generations: Number of generations.
    """

    population: Annotated[int, Between(1, 1_000_000)] = 200
    generations: Annotated[int, Between(0, 1_000_000)] = 20

    ranks_small_spaces: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_settings(self)

    def run(self, wanted: int, landscape: Landscape, rng: np.random.Generator) -> dict[str, Architecture]:
        space, parents = landscape.space, landscape.parents
        kept: dict[str, Architecture] = {}
        pool = [*parents, *(space.sample(rng) for _ in range(self.population))]
        children = pool
        for _ in range(self.generations + 1):
            for child in children:
                key = space.key(child)
                if key not in landscape.known and key not in kept and landscape.is_feasible(child):
                    kept[key] = child
            if kept:
                keys, candidates = list(kept), list(kept.values())
                order = best_first(landscape.predict(candidates))[: max(wanted, self.population // 2)]
                kept = {keys[at]: candidates[at] for at in order}
                # Evaluated parents stay in the pool: mutations of them may be the best.
                pool = [*list(kept.values())[: self.population // 4], *parents]
            children = [space.mutate(pool[at], rng) for at in rng.integers(len(pool), size=self.population)]
        return kept


@dataclass(frozen=True)
class RandomRanking(InnerSearch):
    """Random search on the predictor: of `ratio` times as many random architectures as are wanted, the best.

    Args:
        ratio: Random architectures for each one that is wanted; 50 for the 200 architectures of the ENAS space.
    """

    ratio: Annotated[int, Between(1, 1_000_000)] = 50

    def __post_init__(self) -> None:
        check_settings(self)

    def run(self, wanted: int, landscape: Landscape, rng: np.random.Generator) -> dict[str, Architecture]:
        found = _samples(self.ratio * wanted, landscape, rng)
        order = best_first(landscape.predict(list(found.values())))[:wanted] if found else []
        keys = list(found)
        return {keys[at]: found[keys[at]] for at in order}


@dataclass(frozen=True)
class TournamentEvolution(InnerSearch):
    """Regularized evolution on the predictor, once for each architecture that is wanted, of which the best new one is kept.

    A step mutates the best of a random tournament; the child replaces the oldest of the population (E. Real et al., AAAI 2019,
    arXiv 1802.01548). All evolutions of a stage run side by side, so that one prediction serves them all.

    Args:
        population: Random architectures at first.
        tournament: Members of a tournament.
        steps: Children.
    """

    population: Annotated[int, Between(1, 1_000_000)] = 20
    tournament: Annotated[int, Between(1, 1_000_000)] = 5
    steps: Annotated[int, Between(0, 1_000_000)] = 50

    def __post_init__(self) -> None:
        check_settings(self)
        if self.tournament > self.population:
            raise ConfigurationError(
                f"tournament: expected at most the population, {self.population}; got {self.tournament}. Make it smaller."
            )

    def run(self, wanted: int, landscape: Landscape, rng: np.random.Generator) -> dict[str, Architecture]:
        return _repeated(self._once, wanted, landscape, rng)

    def _once(self, number: int, landscape: Landscape, rng: np.random.Generator) -> list[_Visited]:
        first = [_feasible(self.population, landscape, rng) for _ in range(number)]
        values = landscape.predict([each for members in first for each in members])
        populations: list[deque[tuple[Architecture, NDArray[np.float64]]]] = []
        for members in first:
            populations.append(deque(zip(members, values[: len(members)], strict=True)))
            values = values[len(members) :]
        visited = [_Visited(list(population)) for population in populations]
        for _ in range(self.steps):
            children: list[tuple[int, Architecture]] = []
            for place, population in enumerate(populations):
                if population:
                    entrants = rng.choice(len(population), size=min(self.tournament, len(population)), replace=False)
                    winner = entrants[best_first(np.array([population[at][1] for at in entrants]))[0]]
                    child = landscape.space.mutate(population[winner][0], rng)
                    if landscape.is_feasible(child):
                        children.append((place, child))
            for (place, child), value in zip(children, landscape.predict([each for _, each in children]), strict=True):
                populations[place].popleft()
                populations[place].append((child, value))
                visited[place].rows.append((child, value))
        return visited


@dataclass(frozen=True)
class Annealing(InnerSearch):
    """Simulated annealing on the predictor, once for each architecture that is wanted, of which the best new one is kept.

    A walk starts at a random architecture. A mutation is accepted if its prediction s' is not below the present one s, else with
    the probability `exp((s' - s) / temperature)`; the temperature is multiplied by `cooling` after each step.

    Args:
        steps: Mutations of a walk.
        temperature: Temperature of the first step, in units of the prediction.
        cooling: Factor of the temperature.
    """

    steps: Annotated[int, Between(1, 1_000_000)] = 200
    temperature: Annotated[float, MoreThan(0)] = 1000.0
    cooling: Annotated[float, Between(0.0, 1.0)] = 0.95

    def __post_init__(self) -> None:
        check_settings(self)

    def run(self, wanted: int, landscape: Landscape, rng: np.random.Generator) -> dict[str, Architecture]:
        return _repeated(self._once, wanted, landscape, rng)

    def _once(self, number: int, landscape: Landscape, rng: np.random.Generator) -> list[_Visited]:
        present = _feasible(number, landscape, rng)
        if not present:
            return []
        values = list(landscape.predict(present))
        visited = [_Visited([row]) for row in zip(present, values, strict=True)]
        temperature = self.temperature
        for _ in range(self.steps):
            moves = [landscape.space.mutate(each, rng) for each in present]
            draws = rng.random(len(moves))
            for place, (move, value) in enumerate(zip(moves, landscape.predict(moves), strict=True)):
                if not landscape.is_feasible(move):
                    continue
                visited[place].rows.append((move, value))
                rise = float(value[0] - values[place][0])
                if rise >= 0.0 or (temperature > 0.0 and draws[place] < math.exp(rise / temperature)):
                    present[place], values[place] = move, value
            temperature *= self.cooling
        return visited


@dataclass(frozen=True)
class _Visited:
    """Architectures that one search came by, with their predictions `[objectives]`."""

    rows: list[tuple[Architecture, NDArray[np.float64]]]


def _repeated(
    once: Callable[[int, Landscape, np.random.Generator], list[_Visited]],
    wanted: int,
    landscape: Landscape,
    rng: np.random.Generator,
) -> dict[str, Architecture]:
    """Return the best new architecture of each of `wanted` searches; those that came by none are repeated a few times."""
    chosen: dict[str, Architecture] = {}
    for _ in range(1 + _RERUNS):
        for visited in once(wanted - len(chosen), landscape, rng):
            for at in best_first(np.array([value for _, value in visited.rows])):
                key = landscape.space.key(visited.rows[at][0])
                if key not in landscape.known and key not in chosen:
                    chosen[key] = visited.rows[at][0]
                    break
        if len(chosen) == wanted:
            break
    return chosen


def _samples(number: int, landscape: Landscape, rng: np.random.Generator) -> dict[str, Architecture]:
    """Return up to `number` new feasible random architectures by key."""
    found: dict[str, Architecture] = {}
    for _ in range(_PATIENCE * number):
        if len(found) == number:
            break
        architecture = landscape.space.sample(rng)
        key = landscape.space.key(architecture)
        if key not in landscape.known and key not in found and landscape.is_feasible(architecture):
            found[key] = architecture
    return found


def _feasible(number: int, landscape: Landscape, rng: np.random.Generator) -> list[Architecture]:
    """Return up to `number` feasible random architectures, which need not be new."""
    found: list[Architecture] = []
    for _ in range(_PATIENCE * number):
        if len(found) == number:
            break
        architecture = landscape.space.sample(rng)
        if landscape.is_feasible(architecture):
            found.append(architecture)
    return found


def best_first(values: NDArray[np.float64]) -> list[int]:
    """Return the indices of predictions `[architectures, objectives]`, best first."""
    ranking = fitness(values.tolist())
    return sorted(range(len(ranking)), key=ranking.__getitem__, reverse=True)


KINDS: Mapping[str, type[InnerSearch]] = {
    "generations": Generations,
    "random": RandomRanking,
    "evolution": TournamentEvolution,
    "annealing": Annealing,
}


def inner_search(given: object) -> InnerSearch:
    """Return an inner search by its name, such as `random`, or by its name and sizes, such as `{"kind": "random", "ratio": 50}`.

    Raises:
        ConfigurationError: There is no such inner search or size, or a size is out of its range.
    """
    if isinstance(given, InnerSearch):
        return given
    check_kind(
        "inner", given, (str, Mapping), "the name of an inner search, or a mapping such as {'kind': 'random', 'ratio': 50}"
    )
    sizes: dict[str, Any] = {"kind": given} if isinstance(given, str) else dict(given)  # type: ignore[call-overload]
    kind = sizes.pop("kind", None)
    if not isinstance(kind, str) or kind not in KINDS:
        raise ConfigurationError(unknown_name("inner", kind, KINDS))
    made: Any = KINDS[kind]()
    return with_changes(made, f"inner: {kind}", sizes)  # type: ignore[no-any-return]
