"""One stage of a surrogate search: a fit and the proposals of the fitted model, in a background thread."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import zip_longest
from typing import Any, NamedTuple

from archsearch.cluster.pool.answer import PoolError, Reply
from archsearch.cluster.pool.model_pool import ModelPool
from archsearch.spaces import Architecture

# Attempts at a training, each of which continues from its file, so that it ends although machines are preempted.
_TRAININGS = 5


class Proposal(NamedTuple):
    """A candidate that waits to be suggested.

    Args:
        architecture: The candidate.
        key: Its canonical key.
        prediction: Prediction of the surrogate; None for a random candidate.
    """

    architecture: Architecture
    key: str
    prediction: float | None


class Stage:
    """Fits the surrogate in the pool, publishes its state, and lets it propose, in a background thread.

    Args:
        pool: Pool of the surrogate.
        rows: Data of the fit.
        fit_options: Keyword arguments of the fit.
        wanted: Number of candidates to propose.
        propose_options: Keyword arguments of the proposal.
        islands: Number of proposals at once, with different seeds; their candidates are interleaved, best first.
    """

    fit_seconds: float
    """Seconds of the fit; 0 until it is done."""
    propose_seconds: float
    """Seconds of the longest proposal; 0 until all are done."""
    details: Mapping[str, Any]
    """Details that the model returns with its proposals, for figures; empty until they are there."""

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
        """Return whether the stage has ended, with a result or an error."""
        return self._future.done()

    def wait(self) -> None:
        """Wait until the stage has ended, with a result or an error."""
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
        self._pool.publish(self._fitted(rows, fit_options))
        proposed = self._proposed(wanted, propose_options)
        self.propose_seconds = max(each.seconds for each in proposed)
        self.details = proposed[0].value.get("details", {})
        ranked = [zip(each.value["architectures"], map(float, each.value["predictions"]), strict=True) for each in proposed]
        merged: dict[str, float] = {}
        for places in zip_longest(*ranked):
            for text, prediction in filter(None, places):
                merged.setdefault(text, prediction)
        return list(merged.items())

    def _fitted(self, rows: Any, fit_options: Mapping[str, Any]) -> Any:
        """Return the state of a surrogate that was fitted, and note the seconds of the fit."""
        fitted = self._pool.fit(rows, **fit_options)
        self.fit_seconds = fitted.seconds
        return fitted.value

    def _proposed(self, wanted: int, options: Mapping[str, Any]) -> list[Reply]:
        if self._islands == 1:
            return [self._pool.propose(wanted, **options)]
        seeds = [options["seed"] + island for island in range(self._islands)]
        return [future.result() for future in [self._pool.submit_propose(wanted, **{**options, "seed": seed}) for seed in seeds]]


def finished(train: Callable[[], Future[Reply]]) -> Reply:
    """Return the reply of a training when it is done; one that fails is started again, a few times.

    Args:
        train: Returns the running or finished training; starts it again if it failed.

    Raises:
        PoolError: The last attempt failed too.
    """
    for _ in range(_TRAININGS - 1):
        training = train()
        try:
            return training.result()
        except PoolError:
            continue
    return train().result()
