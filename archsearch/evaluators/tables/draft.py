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
    """

    space: str
    rows: pa.Table
    score: str
    source: str
    chance: float = 0.0
    cost: Mapping[str, Any] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)


Progress = Callable[[int, int], None]
"""Called repeatedly with the amount done and the total: bytes of a file, files of a folder, or rows of a table."""
