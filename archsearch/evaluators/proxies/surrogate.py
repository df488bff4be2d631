"""Training-free scores as the surrogate that an actor of a model pool holds."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archsearch.errors import ArchSearchError
from archsearch.evaluators.devices import cpu_threads, failure_text
from archsearch.evaluators.proxies.evaluator import ProxyEvaluator
from archsearch.spaces import SearchSpace


class ProxySurrogate:
    """A `Surrogate` that scores architectures, given as strings, by training-free scores of their untrained networks.

    Args:
        space: Space of the architectures.
        proxies: Names of training-free scores.
        dataset: Name for `datasets.load`, such as `digits`.
        seed: Seed of the images and of all initial weights.
        **arguments: Further arguments of `ProxyEvaluator`.
    """

    def __init__(self, space: SearchSpace, proxies: Sequence[str], dataset: str, seed: int = 0, **arguments: Any) -> None:
        self._arguments = {"space": space, "proxies": tuple(proxies), "dataset": dataset, "seed": seed, **arguments}

    @cached_property
    def evaluator(self) -> ProxyEvaluator:
        """The evaluator, made when it is first needed."""
        return ProxyEvaluator(**self._arguments)

    def evaluate(self, architectures: Sequence[str]) -> dict[str, NDArray[np.float64]]:
        """Return a column `[batch]` by the name of each score, NaN or infinite where it is not defined, and `score`, the first.

        Raises:
            ArchSearchError: The network of a candidate cannot be made or run; the message names it.
        """
        found = []
        with cpu_threads(self.evaluator.threads):
            for text in architectures:
                try:
                    found.append(self.evaluator.scores(self.evaluator.space.parse(text)))
                except Exception as error:
                    raise ArchSearchError(f"{text}: {failure_text(error)}") from error
        columns = {name: np.array([scores[name] for scores in found], dtype=np.float64) for name in self.evaluator.proxies}
        return {**columns, "score": columns[self.evaluator.score_name]}
