"""A graph hypernetwork as the surrogate that an actor of a model pool holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archsearch.errors import ArchSearchError
from archsearch.evaluators.datasets import Splits
from archsearch.evaluators.ghn.ghn import GHN
from archsearch.evaluators.proxies.surrogate import ProxySurrogate
from archsearch.spaces import SearchSpace

_SHARED = ("space", "dataset", "root", "seed", "device", "threads", "image_size")


class GHNSurrogate:
    """A `Surrogate` that scores architectures, given as strings, with the weights that a graph hypernetwork generates.

    Args:
        space: Space of the architectures.
        dataset: Name for `datasets.load`, such as `digits`, or splits that are loaded already.
        seed: Seed of the training.
        proxies: Training-free scores that `evaluate` gives too, of networks of the same size with their initial weights.
        **arguments: Further arguments of `GHN`.
    """

    def __init__(
        self, space: SearchSpace, dataset: str | Splits, seed: int = 0, *, proxies: Sequence[str] = (), **arguments: Any
    ) -> None:
        self._proxies = proxies
        self._arguments = {"space": space, "dataset": dataset, "seed": seed, **arguments}

    @cached_property
    def ghn(self) -> GHN:
        """The evaluator, made when it is first needed."""
        return GHN(**self._arguments)

    @cached_property
    def proxies(self) -> ProxySurrogate | None:
        """The training-free scores, if there are some."""
        if not self._proxies:
            return None
        shared = {name: self._arguments[name] for name in _SHARED if name in self._arguments}
        return ProxySurrogate(proxies=self._proxies, scale=self.ghn.scale, **shared)

    def load(self, state: Mapping[str, Any]) -> None:
        self.ghn.load(state)

    def score(self, batch: Sequence[str]) -> NDArray[np.float64]:
        """Return the validation accuracy of each candidate, `[batch]`, a fraction."""
        scores: NDArray[np.float64] = self.evaluate(batch)["score"]
        return scores

    def evaluate(self, architectures: Sequence[str]) -> dict[str, NDArray[np.float64]]:
        """Return columns by name, `[batch]` each: `score`, `seconds`, the metrics of `GHN.evaluate`, and proxies.

        Raises:
            ArchSearchError: A candidate cannot be scored; the message names it.
        """
        evaluations = self.ghn.evaluate([self.ghn.space.parse(text) for text in architectures])
        for evaluation in evaluations:
            if not evaluation.ok:
                raise ArchSearchError(f"{evaluation.architecture}: {evaluation.error}")
        names = list(evaluations[0].metrics) if evaluations else []
        further = {} if self.proxies is None else self.proxies.evaluate(architectures)
        return {
            **further,
            "score": np.array([evaluation.score for evaluation in evaluations]),
            "seconds": np.array([evaluation.seconds for evaluation in evaluations]),
            **{name: np.array([evaluation.metrics[name] for evaluation in evaluations]) for name in names},
        }

    def fit(self, rows: object = None, *, steps: int, checkpoint: str | Path | None = None) -> dict[str, Any]:
        """Train until the total number of steps is `steps`, and return the state.

        Args:
            rows: Not read: a graph hypernetwork learns from images, not from scores.
            steps: See `GHN.fit`.
            checkpoint: See `GHN.fit`; on storage that outlives the process a repeated fit continues from it.
        """
        return self.ghn.fit(steps, checkpoint=checkpoint).state()
