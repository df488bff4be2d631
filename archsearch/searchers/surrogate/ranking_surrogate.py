"""Base class of surrogates that rank architectures and search a space for those that rank highest."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from archsearch.searchers.fitness import places
from archsearch.searchers.goals import Goals
from archsearch.searchers.surrogate.inner_search import InnerSearch, Landscape, best_first
from archsearch.spaces import Architecture, SearchSpace


class Ranking(Protocol):
    """A model that learns from scored architectures to rank others, such as a `Predictor`."""

    def prepare(self, architectures: Sequence[Architecture]) -> Any:
        """Return architectures in the form that `predict` reads, which does not depend on a fit."""

    def fit(self, architectures: Sequence[Architecture], scores: ArrayLike) -> Ranking:
        """Learn from architectures and their scores, `[architectures]`, larger is better, and return itself."""

    def predict(self, architectures: Any) -> NDArray[np.float64]:
        """Return scores `[architectures]` of a sequence of architectures, or of what `prepare` returned."""

    def state(self) -> dict[str, Any]:
        """Return the fitted model as plain data."""

    def load(self, state: Mapping[str, Any]) -> Ranking:
        """Load a state, and return itself."""


class RankingSurrogate(ABC):
    """A `Surrogate` with a ranking for each objective that needs an evaluation; it proposes by an inner search.

    The search is the predictor-based one of GATES (X. Ning et al., ECCV 2020, arXiv 2004.01899); see `inner_search`. In a small
    space all architectures are ranked instead.

    Args:
        space: Space of the architectures.
        enumerable: Largest number of genotypes at which all architectures of a space are ranked.
    """

    def __init__(self, space: SearchSpace, *, enumerable: int = 20_000) -> None:
        self.space, self.enumerable = space, enumerable
        self._predictors: dict[str, Ranking] = {}

    @abstractmethod
    def _made(self, seed: int) -> Ranking:
        """Return a new ranking that is not fitted."""

    def load(self, state: Mapping[str, Any]) -> None:
        self._predictors = {name: self._made(0).load(part) for name, part in state.items()}

    def fit(self, rows: Mapping[str, Any], *, seed: int, learned: Mapping[str, int]) -> dict[str, Any]:
        """Fit new rankings, and return their states by objective.

        Args:
            rows: `architectures` (texts) and `values` `[rows, objectives]`, larger is better; under a scheduler also `fidelities`
                and `rungs`, see `SurrogateSearcher`.
            seed: Seed of the fits.
            learned: Column of each objective to learn, by name.
        """
        architectures = [self.space.parse(text) for text in rows["architectures"]]
        self._predictors = {name: self._fitted(seed, architectures, rows, column) for name, column in learned.items()}
        return {name: predictor.state() for name, predictor in self._predictors.items()}

    def _fitted(self, seed: int, architectures: Sequence[Architecture], rows: Mapping[str, Any], column: int) -> Ranking:
        """Return a ranking that has learned one objective, from stopped candidates in the order of steps and then values."""
        return self._made(seed).fit(architectures, targets(rows, column))

    def score(self, batch: Sequence[str], **options: Any) -> NDArray[np.float64]:
        """Return the predictions of the first ranking for architectures given as texts, `[batch]`."""
        predictor = next(iter(self._predictors.values()))
        return predictor.predict([self.space.parse(text) for text in batch])

    def propose(
        self, n: int, *, seed: int, exclude: Sequence[str], best: Sequence[str], goals: Goals, inner: InnerSearch
    ) -> dict[str, list[Any]]:
        """Return the `n` new feasible architectures with the best predictions: `architectures` and `predictions`, best first.

        Args:
            n: Number of architectures.
            seed: Seed of the inner search.
            exclude: Keys of architectures that were proposed before.
            best: Texts of the best known architectures, as parents.
            goals: Objectives and constraints.
            inner: The inner search.
        """
        known = set(exclude)
        if self.space.size <= min(self.enumerable, self.space.enumerable):
            architectures, values = self._enumerated(known, goals)
        else:
            landscape = Landscape(
                self.space,
                [self.space.parse(text) for text in best],
                lambda each: self._expected(each, each, goals),
                lambda each: goals.excess(each) == 0.0,
                frozenset(known),
            )
            architectures = list(inner.run(n, landscape, np.random.default_rng(seed)).values())
            values = self._expected(architectures, architectures, goals)
        if not architectures:
            return {"architectures": [], "predictions": []}
        order = best_first(values)[:n]
        return {"architectures": [str(architectures[at]) for at in order], "predictions": values[order, 0].tolist()}

    def _enumerated(self, known: set[str], goals: Goals) -> tuple[list[Architecture], NDArray[np.float64]]:
        """Return all new feasible architectures of a small space, and the predictions for each."""
        everything = list(self._whole.items())
        rows = [at for at, (key, each) in enumerate(everything) if key not in known and goals.excess(each) == 0.0]
        architectures = [everything[at][1] for at in rows]
        return architectures, self._expected(architectures, self._whole_prepared, goals, rows)

    def _expected(
        self, architectures: Sequence[Architecture], ranked: Any, goals: Goals, rows: Sequence[int] | None = None
    ) -> NDArray[np.float64]:
        """Return predictions for architectures, `[architectures, objectives]`, from the given rows, or all, of `ranked`."""
        if not architectures:
            return np.empty((0, len(goals.objectives)))
        predicted = {name: predictor.predict(ranked) for name, predictor in self._predictors.items()}
        if rows is not None:
            predicted = {name: values[rows] for name, values in predicted.items()}
        return goals.with_predicted(architectures, predicted)

    @cached_property
    def _whole(self) -> dict[str, Architecture]:
        """One architecture for each key of a small space."""
        found: dict[str, Architecture] = {}
        for genotype in self.space.all_genotypes():
            architecture = self.space.from_genotype(genotype)
            found.setdefault(self.space.key(architecture), architecture)
        return found

    @cached_property
    def _whole_prepared(self) -> Any:
        return self._made(0).prepare(list(self._whole.values()))


def targets(rows: Mapping[str, Any], column: int) -> NDArray[np.float64]:
    """Return what to learn of one objective, `[rows]`: its values; under a scheduler places, in the order of steps first."""
    values: NDArray[np.float64] = rows["values"][:, column]
    return np.asarray(places(values, rows["fidelities"]), dtype=np.float64) if "fidelities" in rows else values
