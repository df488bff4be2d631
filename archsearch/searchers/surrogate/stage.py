"""One stage of a surrogate search: a fit and the proposals that follow from it, run beside the search."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import zip_longest
from typing import Any, NamedTuple

from archsearch.cluster.pool.answer import Reply
from archsearch.cluster.pool.model_pool import ModelPool
from archsearch.spaces import Architecture


class Proposal(NamedTuple):
    """A candidate that waits for its turn.

    Args:
        architecture: What to evaluate.
        key: Its canonical identity.
        prediction: What the surrogate expects of it; None for one that was drawn at random.
    """

    architecture: Architecture
    key: str
    prediction: float | None


class Stage:
    """Fits the surrogate in the pool, publishes what it learned, and has it propose, in a thread of its own.

    Args:
        pool: Where the surrogate is resident.
        rows: What to learn from.
        fit_options: Keyword arguments of the fit.
        wanted: Candidates to propose.
        propose_options: Keyword arguments of the proposal.
        islands: Proposals that run side by side, with seeds of their own; the best of each come first.
    """

    fit_seconds: float
    """What the fit took, once it is done."""
    propose_seconds: float
    """What the proposal took, once it is done; of several the longest."""
    details: Mapping[str, Any]
    """What the model tells of how it came to its proposals, once they are there."""

    def __init__(
        self,
        pool: ModelPool,
        rows: Any,
        fit_options: Mapping[str, Any],
        wanted: int,
        propose_options: Mapping[str, Any],
        islands: int = 1,
    ) -> None:
        self.fit_seconds = self.propose_seconds = 0.0
        self.details = {}
        self._islands = islands
        self._pool = pool
        executor = ThreadPoolExecutor(1, "surrogate-stage")
        self._future: Future[list[tuple[str, float]]] = executor.submit(self._run, rows, fit_options, wanted, propose_options)
        executor.shutdown(wait=False)

    def done(self) -> bool:
        """Return whether there is a result, or an error."""
        return self._future.done()

    def wait(self) -> None:
        """Return when there is a result, or an error."""
        self._future.exception()

    def result(self) -> list[tuple[str, float]]:
        """Return text and prediction of each proposal, best first.

        Raises:
            PoolError: A call to the pool failed.
        """
        return self._future.result()

    def _run(
        self, rows: Any, fit_options: Mapping[str, Any], wanted: int, propose_options: Mapping[str, Any]
    ) -> list[tuple[str, float]]:
        fitted = self._pool.fit(rows, **fit_options)
        self.fit_seconds = fitted.seconds
        self._pool.publish(fitted.value)
        proposed = self._proposed(wanted, propose_options)
        self.propose_seconds = max(each.seconds for each in proposed)
        self.details = proposed[0].value.get("details", {})
        ranked = [zip(each.value["architectures"], map(float, each.value["predictions"]), strict=True) for each in proposed]
        merged: dict[str, float] = {}
        for places in zip_longest(*ranked):
            for text, prediction in filter(None, places):
                merged.setdefault(text, prediction)
        return list(merged.items())

    def _proposed(self, wanted: int, options: Mapping[str, Any]) -> list[Reply]:
        if self._islands == 1:
            return [self._pool.propose(wanted, **options)]
        seeds = [options["seed"] + island for island in range(self._islands)]
        return [future.result() for future in [self._pool.submit_propose(wanted, **{**options, "seed": seed}) for seed in seeds]]
