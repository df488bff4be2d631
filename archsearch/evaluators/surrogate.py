"""The protocol of models that stay resident in a worker process, where they score, fit and propose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Batch: TypeAlias = Any
"""Candidates: a sequence such as a list of strings, an array `[batch, ...]`, arrays by name that all have the same first
dimension, or any object with a length and slices, such as a `GraphBatch`."""
State: TypeAlias = Any
"""All that a fit has learnt, as plain data: numpy arrays, tensors on the CPU, numbers, strings, and dicts and lists of these."""


class Surrogate(Protocol):
    """A model that scores candidates without training them, or much cheaper than by training them.

    A surrogate is made by a function without arguments, in the process where it stays. It needs only the methods that are
    called: to score it takes `score`, to follow states also `load`. A class may inherit from this one, or just have the
    methods; each may take further keyword arguments.

    Scores must not depend on which other candidates are in the batch, because batches are cut to size. A method that raises is
    called again with parts of its batch, until the candidates at fault are alone; after `MemoryError` and torch's
    `OutOfMemoryError` batches are smaller. Arrays that are passed in are read-only.

    Example:
        >>> import numpy as np
        >>> from archsearch.evaluators.surrogate import Surrogate
        >>> class Lengths(Surrogate):
        ...     factor = 1.0
        ...
        ...     def load(self, state):
        ...         self.factor = state["factor"]
        ...
        ...     def score(self, batch):
        ...         return np.array([self.factor * len(text) for text in batch])
        >>> Lengths().score(["ab", "abc"]).tolist()
        [2.0, 3.0]
    """

    def load(self, state: State) -> None:
        """Load a state that `fit` returned, in this or another process; it replaces all that earlier calls had changed."""
        raise _missing(self, "load")

    def score(self, batch: Batch) -> NDArray[np.floating[Any]]:
        """Return a score for each candidate: `[batch]`, or `[batch, figures]`; higher is better. The model is not changed."""
        raise _missing(self, "score")

    def evaluate(self, architectures: Sequence[str]) -> Mapping[str, NDArray[np.floating[Any]]]:
        """Return columns of figures for architectures in text form; the model is not changed.

        Returns:
            `score`, `[batch]`, higher is better, and further columns by name, each `[batch]` or `[batch, ...]`.
        """
        raise _missing(self, "evaluate")

    def fit(self, rows: Any) -> State:
        """Learn from rows of data and return the new state.

        It starts from the state loaded last, or from a new model. All randomness comes from a seed, in the arguments or the
        model, so that a fit that is repeated after a crash gives the same state.
        """
        raise _missing(self, "fit")

    def propose(self, n: int) -> Any:
        """Return `n` proposals as plain data, such as a list of strings; randomness as in `fit`. The model is not changed."""
        raise _missing(self, "propose")


def _missing(model: object, method: str) -> NotImplementedError:
    return NotImplementedError(f"{method}: {type(model).__name__} has no such method; define it, or do not call it.")
