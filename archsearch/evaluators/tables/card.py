"""The data card of a benchmark table: source, columns, ranges and notes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class ColumnCard:
    """One column of a table.

    Args:
        name: Name of the column.
        meaning: Meaning and unit; empty where the source does not say.
        missing: Rows without a value.
        lowest: Smallest value, or None where there is none at all.
        highest: Largest value.
    """

    name: str
    meaning: str
    missing: int
    lowest: float | None
    highest: float | None


@dataclass(frozen=True)
class TableCard:
    """The data card of a benchmark table.

    Args:
        name: Name of the table.
        space: Name of its space.
        source: Origin of the table.
        rows: Number of architectures with distinct texts.
        structures: Number of architectures with distinct keys.
        score: Column to score by unless the user says otherwise.
        chance: Score of a random guess, a fraction.
        cost: Arguments of `space.cost` for the networks of the table.
        columns: The metrics, and `seconds` where there are any.
        notes: Changes and omissions of the import.
        date: Day of the import, as 2025-12-31.
    """

    name: str
    space: str
    source: str
    rows: int
    structures: int
    score: str
    chance: float
    cost: Mapping[str, Any]
    columns: tuple[ColumnCard, ...]
    notes: tuple[str, ...]
    date: str

    def to_json(self) -> str:
        """Return the card as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> TableCard:
        """Return the card that `to_json` wrote.

        Raises:
            ValueError, KeyError, TypeError: The string is not a card.
        """
        content = json.loads(text)
        columns = tuple(ColumnCard(**column) for column in content.pop("columns"))
        return cls(columns=columns, notes=tuple(content.pop("notes")), **content)

    def markdown(self) -> str:
        """Return the card as a human-readable page in Markdown."""
        cost = ", ".join(f"{name} = {value}" for name, value in self.cost.items())
        lines = [
            f"# {self.name}",
            "",
            f"- space: {self.space}",
            f"- rows: {self.rows:,} architectures of {self.structures:,} distinct structures",
            f"- scored by: {self.score}, unless another column is named",
            f"- score of guessing: {self.chance:g}",
            f"- networks: {cost or 'as space.cost has them by default'}",
            f"- source: {self.source}",
            f"- imported: {self.date}",
            "",
            "| column | meaning | lowest | highest | rows without |",
            "| --- | --- | --- | --- | --- |",
            *(_line(column) for column in self.columns),
        ]
        return "\n".join([*lines, *(["", "Notes", "", *(f"- {note}" for note in self.notes)] if self.notes else []), ""])


def _line(column: ColumnCard) -> str:
    bounds = ["" if bound is None else f"{bound:.6g}" for bound in (column.lowest, column.highest)]
    meaning = column.meaning.replace("|", "\\|")
    return f"| {column.name} | {meaning} | {bounds[0]} | {bounds[1]} | {f'{column.missing:,}' if column.missing else ''} |"
