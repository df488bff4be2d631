"""Ranking of the best candidates of a search, for terminal, files and report."""

from __future__ import annotations

import csv
import math
import textwrap
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from archsearch.atomic_file import written_atomically
from archsearch.evaluators.score_names import MAE, MEAN_AVERAGE_PRECISION, R2
from archsearch.platform import units
from archsearch.platform.early_stopping import EarlyStopping
from archsearch.platform.failure_reasons import FailureReasons
from archsearch.platform.rank_order import FIDELITY, best_first
from archsearch.platform.short_form import shortened
from archsearch.platform.summary import SearchSummary, standard_error
from archsearch.spaces import SearchSpace

_WIDTH = 110
_TESTED = {
    f"test_{MEAN_AVERAGE_PRECISION}": ("test mAP %", True),
    f"test_{R2}": ("test R2", False),
    f"test_{MAE}": ("test MAE", False),
}
"""Heading, and whether it is in percent, of figures on test images for other tasks than classification."""


@dataclass(frozen=True, slots=True)
class RankedRow:
    """One of the best candidates; `None` where a metric was not recorded.

    Args:
        rank: Rank from 1, best first.
        candidate: Index in the order of proposal, from 0.
        architecture: The architecture as text.
        key: Canonical key of the architecture.
        score: Score, higher is better; a fraction for accuracies.
        test_accuracy: Test accuracy, a fraction.
        params: Number of trainable parameters.
        macs: Multiply-accumulates of one input.
        seconds: Cost of the evaluation, seconds.
        fidelity: Number of steps after which it was scored, if a scheduler stopped it early; None if its evaluation is complete.
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
    fidelity: int | None = None


def ranked_rows(table: pa.Table, top: int) -> list[RankedRow]:
    """Return the `top` best candidates, one per key; see `rank_order.best_first`.

    Args:
        table: Evaluations, as in `SearchSummary`.
        top: Maximum number of rows.
    """
    rows: dict[str, RankedRow] = {}
    keys = table.column("key")
    for index in best_first(table):
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
        fidelity=values.get(FIDELITY),
    )


def ranked_table(
    table: pa.Table,
    top: int,
    percent: bool,
    images: float | None = None,
    early: EarlyStopping | None = None,
    loss: str = "",
) -> list[list[str]]:
    """Return the ranking as strings: a heading, then one row per candidate, the architecture last.

    Columns without any value are left out.

    Args:
        table: Evaluations, as in `SearchSummary`.
        top: Maximum number of rows.
        percent: Whether scores are accuracies, shown in percent.
        images: Number of images that an accuracy is the mean of; the column `± %` has its standard error.
        loss: Name of the figure that scores are the negatives of, which is shown instead; empty if there is none.
        early: What the scheduler did; a column, such as `epochs`, has the number of steps after which each was scored.
    """
    rows, lower = ranked_rows(table, top), bool(loss)
    columns: dict[str, list[str]] = {
        "rank": [str(row.rank) for row in rows],
        loss or ("score %" if percent else "score"): [units.score(row.score, percent, lower) for row in rows],
        "\u00b1 %": [units.score(standard_error(row.score, images if percent else None), True) for row in rows],
        **({early.fidelity_name: [str(row.fidelity or early.max_fidelity) for row in rows]} if early else {}),
        "test %": [units.score(row.test_accuracy, True) for row in rows],
        **_tested(table, rows),
        "params": [units.quantity(row.params) for row in rows],
        "MACs": [units.quantity(row.macs) for row in rows],
        "time": [units.duration(row.seconds) for row in rows],
        "architecture": [row.architecture for row in rows],
    }
    known = {name: cells for name, cells in columns.items() if any(cell != "-" for cell in cells)}
    return [list(known), *([cells[index] for cells in known.values()] for index in range(len(rows)))]


def _tested(table: pa.Table, rows: list[RankedRow]) -> dict[str, list[str]]:
    """Return the columns of figures on test images that searches for other tasks than classification have."""
    found = {}
    for name, (heading, percent) in _TESTED.items():
        if name in table.column_names:
            values = dict(zip(table.column("candidate").to_pylist(), table.column(name).to_pylist(), strict=True))
            found[heading] = [units.score(values[row.candidate], percent) for row in rows]
    return found


def format_ranked(summary: SearchSummary, top: int = 10, space: SearchSpace | None = None) -> str:
    """Return the ranking as a plain-text table; see `aligned`.

    Args:
        summary: The search.
        top: Maximum number of rows.
        space: The space, for short names and outlines; None shows the architectures in full.
    """
    cells = ranked_table(summary.evaluations, top, summary.percent, summary.score_images, summary.early_stopping, summary.loss)
    cells = cells if space is None else shortened(cells, space)
    return aligned(cells) if len(cells) > 1 else f"No candidate has a score ({len(summary.evaluations)} evaluated)."


def aligned(cells: list[list[str]]) -> str:
    """Return a heading and rows as a plain-text table, at most 110 characters wide.

    The last column contains architectures; if one does not fit, all are printed below their rows, on separate lines.
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
    """Write rows as CSV with full precision; accuracies stay fractions. Without a scheduler there is no column `fidelity`."""
    names = [field.name for field in fields(RankedRow)]
    if all(row.fidelity is None for row in rows):
        names.remove(FIDELITY)
    with written_atomically(path, durable=False) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


def failures(table: pa.Table) -> list[tuple[str, int]]:
    """Return the reasons of failed evaluations with their counts, most frequent first.

    Reasons that differ only in numbers, such as sizes or addresses, count as one, and the first of them is returned.
    """
    scored = pc.fill_null(pc.is_finite(table.column("score")), False)
    failed = pc.or_(table.column("error").is_valid(), pc.invert(scored))
    reasons = FailureReasons()
    for error in table.filter(failed).column("error").to_pylist():
        reasons.add(error)
    return reasons.counted()
