"""A benchmark table as read from its source, and the type of progress callbacks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa


@dataclass(frozen=True)
class TableDraft:
    """A benchmark table as read from its source, before it is checked against its space and written.

    Attributes:
        space: Name of the space.
        rows: One row an architecture: `architecture` (string) first, then numeric metric columns, and optionally `seconds`,
            the cost of each evaluation when it was made.
        score: Default column to score by.
        source: Origin of the table, for the data card.
        chance: Score of a random guess, a fraction.
        cost: Arguments of `space.cost` for the networks of the table.
        columns: Meaning of each column, with its unit, by name.
        fractions: Columns of accuracies that are known to be fractions, such as those written with percent signs.
        places: Row of the source for each of the rows, counted as a spreadsheet does; empty where they are the same from 0.
        notes: What was left out or guessed when the source was read.
    """

    space: str
    rows: pa.Table
    score: str
    source: str
    chance: float = 0.0
    cost: Mapping[str, Any] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    fractions: frozenset[str] = frozenset()
    places: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()

    def place(self, row: int) -> str:
        """Return the name of a row for messages."""
        return f"row {self.places[row]} (the header is row 1)" if self.places else f"row {row}"


Progress = Callable[[int, int], None]
"""Called repeatedly with the amount done and the total: bytes of a file, files of a folder, or rows of a table."""
