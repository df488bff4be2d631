"""Answers of a model pool, and the sheet that collects them from chunks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archsearch.errors import ArchSearchError

NO_VERSION = -1
"""Version of a candidate that got no answer."""


class PoolError(ArchSearchError):
    """A pool cannot be started or found, or a call to it failed for all candidates."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Figures of candidates, in the order of the batch.

    Args:
        columns: `score` and further figures by name, each `[candidates]` or `[candidates, ...]`; NaN for those with an error.
        versions: `[candidates]` int64, the version of the state that gave each figure; -1 for those with an error.
        errors: For each candidate without figures, by its position, the reason.
    """

    columns: Mapping[str, NDArray[np.floating[Any]]]
    versions: NDArray[np.int64]
    errors: Mapping[int, str]

    def __len__(self) -> int:
        return len(self.versions)

    @property
    def values(self) -> NDArray[np.floating[Any]]:
        """The scores, `[candidates]` or `[candidates, figures]`."""
        return self.columns["score"]


@dataclass(frozen=True, slots=True)
class Reply:
    """The result of a fit or a proposal.

    Args:
        value: The state, or the proposals.
        version: Version of the state from which it started; 0 is a new model.
        seconds: Seconds in the actor.
    """

    value: Any
    version: int
    seconds: float


class AnswerSheet:
    """Collects the answers to the chunks of a batch.

    Args:
        size: Number of candidates.
    """

    def __init__(self, size: int) -> None:
        self.size = self.open = size
        self._columns: dict[str, NDArray[Any]] = {}
        self._versions = np.full(size, NO_VERSION, dtype=np.int64)
        self._errors: dict[int, str] = {}

    def write(self, start: int, stop: int, columns: Mapping[str, NDArray[Any]], version: int) -> None:
        """Store the figures of the candidates from `start` up to `stop`.

        Raises:
            PoolError: The figures have other names or shapes than those stored before.
        """
        if not self._columns:
            kinds = {
                name: part.dtype if np.issubdtype(part.dtype, np.floating) else np.dtype(np.float64)
                for name, part in columns.items()
            }
            self._columns = {
                name: np.full((self.size, *part.shape[1:]), np.nan, dtype=kinds[name]) for name, part in columns.items()
            }
        before, now = _shapes(self._columns), _shapes(columns)
        if before != now:
            raise PoolError(
                f"model: it gave figures {before} for some candidates and {now} for others; give the same columns for all."
            )
        for name, part in columns.items():
            self._columns[name][start:stop] = part
        self._versions[start:stop] = version
        self.open -= stop - start

    def refuse(self, start: int, stop: int, error: str) -> None:
        """Store an error for the candidates from `start` up to `stop`."""
        self._errors.update(dict.fromkeys(range(start, stop), error))
        self.open -= stop - start

    def answer(self) -> Answer:
        """Return the answer for the batch."""
        columns = self._columns or {"score": np.full(self.size, np.nan)}
        return Answer(columns, self._versions, dict(sorted(self._errors.items())))


def _shapes(columns: Mapping[str, NDArray[Any]]) -> dict[str, tuple[int, ...]]:
    return {name: part.shape[1:] for name, part in sorted(columns.items())}
