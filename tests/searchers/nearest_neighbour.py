"""A surrogate whose predictions are easy to compute: the score of the nearest evaluated architecture."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from archsearch.evaluators.surrogate import Surrogate
from archsearch.searchers.surrogate.searcher import SurrogateSearcher
from archsearch.spaces import SearchSpace


class NearestNeighbour(Surrogate):
    """Gets the space with each call, so that searches of several spaces can share it."""

    def __init__(self) -> None:
        self.genes, self.values = np.empty((0, 0)), np.empty(0)

    def load(self, state: Any) -> None:
        self.genes, self.values = state["genes"], state["values"]

    def fit(self, rows: Any, *, seed: int, space: SearchSpace) -> Any:
        if (rows["values"] > 1.0).any():
            raise ValueError("a score above 1")
        genes = space.genotypes([space.parse(text) for text in rows["architectures"]])
        return {"genes": genes, "values": rows["values"][:, 0]}

    def propose(self, n: int, *, seed: int, exclude: list[str], best: list[str], space: SearchSpace) -> Any:
        rng, known = np.random.default_rng(seed), set(exclude)
        parents = [space.parse(text) for text in best]
        found: dict[str, Any] = {}
        for _ in range(20 * n):
            child = space.mutate(parents[int(rng.integers(len(parents)))], rng)
            if space.key(child) not in known:
                found.setdefault(space.key(child), child)
        children = list(found.values())
        predictions = self._expected(space.genotypes(children))
        order = np.argsort(-predictions, kind="stable")[:n]
        return {"architectures": [str(children[index]) for index in order], "predictions": predictions[order].tolist()}

    def _expected(self, genes: Any) -> Any:
        distances = (genes[:, None] != self.genes).sum(axis=2)
        return self.values[distances.argmin(axis=1)] - 0.01 * distances.min(axis=1)


class NeighbourSearcher(SurrogateSearcher):
    def surrogate(self) -> Callable[[], Surrogate]:
        return NearestNeighbour

    def fit_options(self) -> Mapping[str, Any]:
        return {"space": self.space}

    def propose_options(self) -> Mapping[str, Any]:
        return {"space": self.space}
