"""A benchmark table as it comes from its source."""

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
            what an evaluation cost when it was made.
        score: The column to score by unless the user says otherwise.
        source: Where the table comes from, for the data card.
        chance: The score of guessing, a fraction.
        cost: Arguments of `space.cost` for the networks of the table.
        columns: What a column is, with its unit, by the column's name.
    """

    space: str
    rows: pa.Table
    score: str
    source: str
    chance: float = 0.0
    cost: Mapping[str, Any] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)


Progress = Callable[[int, int], None]
"""Called now and then with how much is done and how much there is: bytes of a file, files of a folder, or rows of a table."""
