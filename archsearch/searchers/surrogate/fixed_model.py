"""Base class of searchers whose model no outcome changes: it is trained once, or needs no training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

from archsearch.cluster.pool.answer import Reply
from archsearch.cluster.pool.model_pool import ModelPool
from archsearch.searchers.observation import Observation
from archsearch.searchers.surrogate.searcher import SurrogateSearcher


class FixedModelSearcher(SurrogateSearcher):
    """Evaluates candidates of a model that no outcome changes.

    The training starts with the pool, while the first `initial` candidates are evaluated. A subclass starts it in
    `start_training`; its stages get it from `training`, and begin it again if it failed.

    Raises:
        ConfigurationError: A setting is out of range.

    Example:
        >>> from functools import partial
        >>> from archsearch import searchers, spaces
        >>> from archsearch.evaluators.supernet.surrogate import SupernetSurrogate
        >>> from archsearch.searchers.surrogate.fixed_model import FixedModelSearcher
        >>> class Shared(FixedModelSearcher):
        ...     def surrogate(self):
        ...         return partial(SupernetSurrogate, "enas", self.space, "digits")
        ...
        ...     def start_training(self, pool):
        ...         return pool.submit_fit(None, seed=self.seed, steps=100)
        >>> Shared(spaces.get("nasbench201"), seed=0, initial=1).suggest("t0")["batch"]  # a random candidate needs no pool
        0
    """

    learns_from_others = False
    _training: Future[Reply] | None = None

    def start_training(self, pool: ModelPool) -> Future[Reply] | None:
        """Start the training of the model, and return it; None for a model that needs none."""
        return None

    def training(self, pool: ModelPool) -> Callable[[], Future[Reply]] | None:
        """Return a function that returns the training of the model, and starts it again if it failed; None if there is none."""

        def trained() -> Future[Reply]:
            training = self._trained_by(pool)
            assert training is not None
            return training

        return None if self._trained_by(pool) is None else trained

    def _trained_by(self, pool: ModelPool) -> Future[Reply] | None:
        """Return the training; start it if there is none yet, or if it failed."""
        if self._training is None or (self._training.done() and self._training.exception() is not None):
            self._training = self.start_training(pool)
        return self._training

    def open(self, cpus: float | None = None) -> None:
        super().open(cpus)
        assert self._pool is not None
        if self.num_candidates is None or self.num_candidates > self.initial:
            self._trained_by(self._pool)

    def close(self) -> None:
        super().close()
        self._training = None

    def can_fit(self) -> bool:
        return True  # it learns nothing from outcomes

    def learned(self, observations: Sequence[Observation]) -> int:
        return 0  # that their structures are not proposed is all it takes from outcomes of others

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_training": None}
