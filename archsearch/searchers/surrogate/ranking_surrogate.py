"""Base class of surrogates that rank architectures and search a space for those that rank highest."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from archsearch.searchers.fitness import places
from archsearch.searchers.goals import Goals
from archsearch.searchers.surrogate.inner_search import InnerSearch, Landscape, best_first
from archsearch.spaces import Architecture, GraphBatch, SearchSpace
from archsearch.spaces.representatives import representatives

_SCREENED = 5000  # architectures with the best rough scores that get a prediction


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


@runtime_checkable
class ScreeningRanking(Ranking, Protocol):
    """A ranking with rough scores that cost so little that hundreds of thousands of architectures have one."""

    def prepare_to_screen(self, graphs: GraphBatch) -> Any:
        """Return graphs in the form that `screen` reads, which does not depend on a fit."""

    def screen(self, prepared: Any) -> NDArray[np.float64]:
        """Return a rough score of each architecture that `prepare_to_screen` returned."""


class RankingSurrogate(ABC):
    """A `Surrogate` with a ranking for each objective that needs an evaluation; it proposes by an inner search.

    The search is the predictor-based one of GATES (X. Ning et al., ECCV 2020, arXiv 2004.01899); see `inner_search`. In a small
    space all architectures are ranked. So are they in a larger one that can be listed, with a single objective that is learned
    and a `ScreeningRanking`: all get a rough score, and the first few thousand of them a prediction.

    Args:
        space: Space of the architectures.
        enumerable: Largest number of architectures at which all of a space are ranked.
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
        known, listed = set(exclude), self.space.num_listed
        if listed is None or listed > self.enumerable or not (listed <= self.space.enumerable or self._screens(goals)):
            landscape = Landscape(
                self.space,
                [self.space.parse(text) for text in best],
                lambda each: self._expected(each, each, goals),
                lambda each: goals.excess(each) == 0.0,
                frozenset(known),
            )
            architectures = list(inner.run(n, landscape, np.random.default_rng(seed)).values())
            values = self._expected(architectures, architectures, goals)
        elif listed <= self.space.enumerable:
            architectures, values = self._enumerated(known, goals)
        else:
            architectures, values = self._screened(n, known, goals)
        if not architectures:
            return {"architectures": [], "predictions": []}
        order = best_first(values)[:n]
        return {"architectures": [str(architectures[at]) for at in order], "predictions": values[order, 0].tolist()}

    def _screens(self, goals: Goals) -> bool:
        """Return whether the only objective is one for which there are rough scores."""
        names = [objective.name for objective in goals.objectives]
        return len(names) == 1 and isinstance(self._predictors.get(names[0]), ScreeningRanking)

    def _screened(self, n: int, known: set[str], goals: Goals) -> tuple[list[Architecture], NDArray[np.float64]]:
        """Return the new feasible architectures with the best rough scores, or `n` where these are few, and their predictions."""
        (ranking,) = self._predictors.values()
        assert isinstance(ranking, ScreeningRanking)
        graphs, prepared = self._screening
        order = np.argsort(-ranking.screen(prepared), kind="stable")
        chosen = order[: _SCREENED + len(known)]
        predicted = ranking.predict(graphs[chosen])
        found: list[Architecture] = []
        values: list[float] = []
        for at in np.argsort(-predicted, kind="stable").tolist():
            (architecture,) = self.space.decode(graphs[chosen[at : at + 1]])
            if self.space.key(architecture) not in known and goals.excess(architecture) == 0.0:
                found.append(architecture)
                values.append(float(predicted[at]))
                if len(found) == n:
                    break
        return found, np.array(values).reshape(-1, 1)

    def _enumerated(self, known: set[str], goals: Goals) -> tuple[list[Architecture], NDArray[np.float64]]:
        """Return all new feasible architectures of a small space, and the predictions for each."""
        everything = list(representatives(self.space).items())
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
    def _whole_prepared(self) -> Any:
        return self._made(0).prepare(list(representatives(self.space).values()))

    @cached_property
    def _screening(self) -> tuple[GraphBatch, Any]:
        """All architectures of a space that can be listed, as graphs and in the form that rough scores read."""
        graphs, ranking = self.space.listed_graphs(), self._made(0)
        assert isinstance(ranking, ScreeningRanking)
        return graphs, ranking.prepare_to_screen(graphs)


def targets(rows: Mapping[str, Any], column: int) -> NDArray[np.float64]:
    """Return what to learn of one objective, `[rows]`: its values; under a scheduler places, in the order of steps first."""
    values: NDArray[np.float64] = rows["values"][:, column]
    return np.asarray(places(values, rows["fidelities"]), dtype=np.float64) if "fidelities" in rows else values
