"""The best candidates of a search, ranked: for the terminal, for files and for the report."""

from __future__ import annotations

import csv
import math
import re
import textwrap
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from archsearch.platform import units
from archsearch.platform.summary import SearchSummary

_WIDTH = 110


@dataclass(frozen=True, slots=True)
class RankedRow:
    """One of the best candidates. `None` where a figure was not recorded.

    Args:
        rank: From 1, best first.
        candidate: Its place in the order of proposal, from 0.
        architecture: Its text.
        key: Its canonical identity.
        score: Higher is better; a fraction for accuracies.
        test_accuracy: A fraction.
        params: Learned numbers.
        macs: Multiply-accumulates of one input.
        seconds: What its evaluation cost.
    """

    rank: int
    candidate: int
    architecture: str
    key: str
    score: float
    test_accuracy: float | None
    params: float | None
    macs: float | None
    seconds: float | None


def ranked_rows(table: pa.Table, top: int) -> list[RankedRow]:
    """Return the `top` candidates with the highest scores, one a key; of equal scores the earlier candidate stands first.

    Args:
        table: Evaluations, as in `SearchSummary`.
        top: Largest number of rows.
    """
    scores = table.column("score").to_numpy()
    fine = np.isfinite(scores) & ~table.column("error").is_valid().to_numpy()
    candidates = table.column("candidate").to_numpy()
    order = np.lexsort((candidates, -np.where(fine, scores, 0.0)))
    rows: dict[str, RankedRow] = {}
    keys = table.column("key")
    for index in order[fine[order]]:
        if len(rows) >= top:
            break
        key = keys[int(index)].as_py()
        if key not in rows:
            rows[key] = _row(table, int(index), len(rows) + 1)
    return list(rows.values())


def _row(table: pa.Table, index: int, rank: int) -> RankedRow:
    values = {name: table.column(name)[index].as_py() for name in table.column_names}

    def number(name: str) -> float | None:
        value = values.get(name)
        return float(value) if value is not None and math.isfinite(value) else None

    return RankedRow(
        rank=rank,
        candidate=values["candidate"],
        architecture=values["architecture"],
        key=values["key"],
        score=values["score"],
        test_accuracy=number("test_accuracy"),
        params=number("params"),
        macs=number("macs"),
        seconds=number("seconds"),
    )


def ranked_table(table: pa.Table, top: int, percent: bool) -> list[list[str]]:
    """Return the ranking as texts: a heading, then one row a candidate, the architecture last.

    Columns of which nothing is known are left out.
    """
    rows = ranked_rows(table, top)
    columns: dict[str, list[str]] = {
        "rank": [str(row.rank) for row in rows],
        "score %" if percent else "score": [units.score(row.score, percent) for row in rows],
        "test %": [units.score(row.test_accuracy, True) for row in rows],
        "params": [units.quantity(row.params) for row in rows],
        "MACs": [units.quantity(row.macs) for row in rows],
        "time": [units.duration(row.seconds) for row in rows],
        "architecture": [row.architecture for row in rows],
    }
    known = {name: cells for name, cells in columns.items() if any(cell != "-" for cell in cells)}
    return [list(known), *([cells[index] for cells in known.values()] for index in range(len(rows)))]


def format_ranked(summary: SearchSummary, top: int = 10) -> str:
    """Return the ranking as aligned plain text; see `aligned`."""
    cells = ranked_table(summary.evaluations, top, summary.percent)
    return aligned(cells) if len(cells) > 1 else f"No candidate was scored ({len(summary.evaluations)} tried)."


def aligned(cells: list[list[str]]) -> str:
    """Return a heading and rows of texts as aligned plain text, no wider than 110 columns.

    The last column holds architectures; one that does not fit beside the figures stands below them, on lines of its own.
    """
    heading, *rows = cells
    *names, last = heading
    widths = [max(len(row[column]) for row in [heading, *rows]) for column in range(len(names))]
    indent = sum(widths) + 2 * len(widths)
    beside = all(len(row[-1]) <= _WIDTH - indent and "\n" not in row[-1] for row in rows)

    def figures(row: list[str]) -> str:
        return "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=False))

    if beside:
        return "\n".join(f"{figures(row)}  {row[-1]}" for row in [heading, *rows])
    lines = [f"{figures(heading)}  ({last} below)"]
    for row in rows:
        lines += [figures(row), *_block(row[-1])]
    return "\n".join(lines)


def _block(text: str) -> list[str]:
    indent = " " * 6
    wrapped = [textwrap.wrap(line, _WIDTH - len(indent)) for line in text.splitlines()]
    return [indent + part for parts in wrapped for part in parts]


def write_csv(rows: list[RankedRow], path: Path) -> None:
    """Write rows with full precision; fractions stay fractions."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(RankedRow)])
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


def failures(table: pa.Table) -> list[tuple[str, int]]:
    """Return the reasons of failed evaluations with their numbers, most frequent first.

    Reasons that differ in numbers only, such as sizes or addresses, count as one, shown as its first occurrence.
    """
    scored = pc.fill_null(pc.is_finite(table.column("score")), False)
    failed = pc.or_(table.column("error").is_valid(), pc.invert(scored))
    groups: dict[str, tuple[str, int]] = {}
    for error in table.filter(failed).column("error").to_pylist():
        reason = next(iter((error or "").strip().splitlines()), "") or "no score (not a finite number)"
        kind = re.sub(r"\d+", "#", reason)
        first, count = groups.get(kind, (reason, 0))
        groups[kind] = (first, count + 1)
    return sorted(groups.values(), key=lambda group: -group[1])
