"""A predictor that is resident in an actor, and searches a space for what it ranks highest."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from archsearch.searchers.fitness import fitness
from archsearch.searchers.goals import Goals
from archsearch.spaces import Architecture, SearchSpace

if TYPE_CHECKING:
    from archsearch.evaluators.predictors.predictor import Predictor


class PredictorSurrogate:
    """A `Surrogate` with a predictor for each objective that only an evaluation tells; it proposes by an inner search.

    The inner search is the one of GATES (X. Ning et al., ECCV 2020, arXiv 2004.01899, predictor-based search), scored in whole
    populations: mutations of the best known and of the best found, over some generations. A small space is ranked as a whole.

    Args:
        space: Space of the architectures.
        enumerable: Spaces of so many genotypes are ranked as a whole.
        **predictor: Arguments of `Predictor` but space and seed.
    """

    def __init__(self, space: SearchSpace, *, enumerable: int = 20_000, **predictor: Any) -> None:
        self.space, self.enumerable, self.arguments = space, enumerable, predictor
        self._predictors: dict[str, Predictor] = {}
        # Torch takes seconds to load: that begins now, beside the first evaluations, and not with the first fit.
        threading.Thread(target=_predictor_class, daemon=True).start()

    def load(self, state: Mapping[str, Any]) -> None:
        self._predictors = {name: self._made(0).load(part) for name, part in state.items()}

    def fit(self, rows: Mapping[str, Any], *, seed: int, learned: Mapping[str, int]) -> dict[str, Any]:
        """Return the states of fresh predictors.

        Args:
            rows: `architectures` (texts) and `values` `[rows, objectives]`, larger is better.
            seed: Of the fits.
            learned: Column of each objective to learn, by name.
        """
        architectures = [self.space.parse(text) for text in rows["architectures"]]
        self._predictors = {
            name: self._made(seed).fit(architectures, rows["values"][:, column]) for name, column in learned.items()
        }
        return {name: predictor.state() for name, predictor in self._predictors.items()}

    def score(self, batch: Sequence[str], **options: Any) -> NDArray[np.float64]:
        """Return what the first predictor gives texts, `[batch]`."""
        predictor = next(iter(self._predictors.values()))
        return predictor.predict([self.space.parse(text) for text in batch])

    def propose(
        self, n: int, *, seed: int, exclude: Sequence[str], best: Sequence[str], goals: Goals, population: int, generations: int
    ) -> dict[str, list[Any]]:
        """Return the `n` best by prediction among new feasible architectures: `architectures` and `predictions`, best first.

        Args:
            n: How many are wanted.
            seed: Of the inner search.
            exclude: Keys of what is evaluated or on its way.
            best: Texts of the best known, as parents.
            goals: Objectives and constraints.
            population: Children in a generation of the inner search.
            generations: Its length.
        """
        rng, known = np.random.default_rng(seed), set(exclude)
        if self.space.size <= self.enumerable:
            found = {key: each for key, each in self._whole.items() if key not in known and goals.excess(each) == 0.0}
        else:
            parents = [self.space.parse(text) for text in best]
            found = self._evolved(n, parents, known, goals, rng, population, generations)
        architectures = list(found.values())
        if not architectures:
            return {"architectures": [], "predictions": []}
        values = self._expected(architectures, goals)
        ranking = fitness(values.tolist())
        order = sorted(range(len(architectures)), key=ranking.__getitem__, reverse=True)[:n]
        return {"architectures": [str(architectures[at]) for at in order], "predictions": values[order, 0].tolist()}

    def _evolved(
        self,
        n: int,
        parents: list[Architecture],
        known: set[str],
        goals: Goals,
        rng: np.random.Generator,
        population: int,
        generations: int,
    ) -> dict[str, Architecture]:
        """Return new feasible architectures by key, the survivors of an inner evolution that began from parents and chance."""
        kept: dict[str, Architecture] = {}
        pool = [*parents, *(self.space.sample(rng) for _ in range(population))]
        children = pool
        for _ in range(generations + 1):
            for child in children:
                key = self.space.key(child)
                if key not in known and key not in kept and goals.excess(child) == 0.0:
                    kept[key] = child
            if kept:
                ranking = fitness(self._expected(list(kept.values()), goals).tolist())
                order = sorted(range(len(kept)), key=ranking.__getitem__, reverse=True)[: max(n, population // 2)]
                keys = list(kept)
                kept = {keys[at]: kept[keys[at]] for at in order}
                # Parents that are evaluated already stay: the way to the best may lead through them.
                pool = [*list(kept.values())[: population // 4], *parents]
            children = [self.space.mutate(pool[at], rng) for at in rng.integers(len(pool), size=population)]
        return kept

    def _expected(self, architectures: Sequence[Architecture], goals: Goals) -> NDArray[np.float64]:
        predicted = {name: predictor.predict(architectures) for name, predictor in self._predictors.items()}
        return goals.with_predicted(architectures, predicted)

    def _made(self, seed: int) -> Predictor:
        return _predictor_class()(self.space, seed=seed, **self.arguments)

    @cached_property
    def _whole(self) -> dict[str, Architecture]:
        """One architecture of each structure of a small space, by key."""
        found: dict[str, Architecture] = {}
        for genotype in itertools.product(*(range(len(alternatives)) for alternatives in self.space.choices.values())):
            architecture = self.space.from_genotype(genotype)
            found.setdefault(self.space.key(architecture), architecture)
        return found


def _predictor_class() -> type[Predictor]:
    from archsearch.evaluators.predictors.predictor import Predictor  # torch is needed in the actor alone

    return Predictor
