"""The interface of a benchmark table's rows, in memory or in a file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archsearch.spaces import Architecture, SearchSpace


class TableContent(ABC):
    """Rows of a benchmark table: architectures and numeric columns.

    Args:
        space: Space of the architectures.
        name: Name of the table.
    """

    def __init__(self, space: SearchSpace, name: str) -> None:
        self.space, self.name = space, name

    @property
    @abstractmethod
    def metrics(self) -> tuple[str, ...]:
        """Names of the numeric columns, `seconds` left out."""

    @abstractmethod
    def column(self, name: str) -> NDArray[Any]:
        """Return a column of `metrics`, `[rows]`, in the type of its source; NaN where a row has no value."""

    def meaning(self, name: str) -> str:
        """Return the meaning of a column of `metrics` in the table's card, with its unit; empty if it is not known."""
        return ""

    @cached_property
    @abstractmethod
    def seconds(self) -> NDArray[np.float64]:
        """Cost in seconds of each evaluation when it was made, `[rows]`; 0 where it is not recorded."""

    @property
    @abstractmethod
    def texts(self) -> list[str]:
        """The texts of the architectures, in the table's order."""

    @abstractmethod
    def find(self, architectures: Sequence[Architecture]) -> NDArray[np.int64]:
        """Return the row of each architecture, by its text or else by its key; -1 where there is none."""

    @abstractmethod
    def keys(self, architectures: Sequence[Architecture], rows: NDArray[np.int64]) -> list[str]:
        """Return the keys of architectures, given the rows that `find` returned."""

    @abstractmethod
    def digest(self, scores: NDArray[np.float64], column: str) -> str:
        """Return a digest of architectures and scores, 16 hexadecimal digits."""

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of rows."""

    @property
    def num_structures(self) -> int:
        """Number of distinct structures, or where that is not known the number of rows."""
        return len(self)

    @cached_property
    def chance(self) -> float:
        """Score of a random guess, a fraction."""
        return 0.0

    @cached_property
    def cost_arguments(self) -> Mapping[str, Any]:
        """Arguments of `space.cost` for the networks of the table."""
        return {}
