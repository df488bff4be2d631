"""Rows of a ledger as a snapshot in columns, with queries by run, batch and key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from archsearch.errors import ArchitectureError, LedgerError, check_kind
from archsearch.evaluators.evaluation import Evaluation
from archsearch.spaces import SearchSpace

SCHEMA = pa.schema(
    [
        ("space", pa.string()),
        ("key", pa.string()),
        ("evaluator", pa.string()),
        ("fidelity", pa.string()),
        ("seed", pa.int64()),
        ("architecture", pa.string()),
        ("score", pa.float64()),
        ("seconds", pa.float64()),
        ("error", pa.string()),
        ("metrics", pa.map_(pa.string(), pa.float64())),
        ("curves", pa.map_(pa.string(), pa.list_(pa.float64()))),
        ("run", pa.string()),
        ("batch", pa.int64()),
        ("position", pa.int64()),
        ("recorded", pa.int64()),
    ]
)
_EVALUATION = ("architecture", "key", "score", "metrics", "seconds", "error", "curves")
_PLACE = ("run", "batch", "position", "recorded")
_ROWS_AT_ONCE = 4096


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the ledger.

    Args:
        evaluation: The evaluation.
        run: Name of the run that evaluated it.
        batch: Number of the batch in that run.
        position: Position in the batch, from 0.
        recorded: Time of writing, nanoseconds since 1970.
    """

    evaluation: Evaluation
    run: str
    batch: int
    position: int
    recorded: int


class Records:
    """Rows of a ledger, read once, for several queries.

    Args:
        space: Space of the architectures.
        table: The rows, in the order of recording; columns as in `SCHEMA`.
    """

    def __init__(self, space: SearchSpace, table: pa.Table) -> None:
        check_kind("space", space, SearchSpace, "a search space, such as spaces.get('nasbench201')")
        self.space, self.table = space, table

    def of(self, run: str, batch: int | None = None) -> Records:
        """Return the records of one run, or of one of its batches."""
        mine = pc.equal(self.table["run"], run)
        if batch is not None:
            mine = pc.and_(mine, pc.equal(self.table["batch"], batch))
        return Records(self.space, self.table.filter(mine))

    def entries(self) -> list[Entry]:
        """Return one entry per key, in the order of recording: its first success, or else its first failure.

        Raises:
            LedgerError: A row holds a text that is no architecture of the space.
        """
        batches = self.table.select([*_EVALUATION, *_PLACE]).take(pa.array(self._rows)).to_batches(_ROWS_AT_ONCE)
        rows = (row for batch in batches for row in batch.to_pylist())
        return [Entry(evaluation=_evaluation(self.space, row), **{name: row[name] for name in _PLACE}) for row in rows]

    def evaluations(self) -> Mapping[str, Evaluation]:
        """Return one evaluation per key, as in `entries`; each is made when it is looked up."""
        return _ByKey(self.space, self.table, self._rows)

    def known(self, run: str) -> Mapping[str, Evaluation]:
        """Return by key what this run need not evaluate: the successes of all runs, overridden by all outcomes of this run."""
        successes = self._rows[self._succeeded[self._rows]]
        own = np.flatnonzero(np.asarray(pc.equal(self.table["run"], run).combine_chunks()))
        own = own[Records(self.space, self.table.take(pa.array(own)))._rows]
        return _ByKey(self.space, self.table, np.concatenate([successes, own]))

    @cached_property
    def _succeeded(self) -> NDArray[np.bool_]:
        table = self.table
        return np.asarray(pc.and_(pc.is_null(table["error"]), pc.is_finite(table["score"])).combine_chunks())

    @cached_property
    def _rows(self) -> NDArray[np.int64]:
        """For each key, the row that counts, in the order of recording."""
        keys = _codes(self.table["key"])
        order = np.lexsort((~self._succeeded, keys))  # stable: among equals, the first recorded comes first
        first = np.diff(keys[order], prepend=-1) != 0
        return np.sort(order[first])


class _ByKey(Mapping[str, Evaluation]):
    """Evaluations by key, made from columns at each look-up: a hundred thousand of them take a few megabytes."""

    def __init__(self, space: SearchSpace, table: pa.Table, rows: NDArray[np.int64]) -> None:
        self._space = space
        self._columns = table.select(_EVALUATION).take(pa.array(rows)).combine_chunks()
        self._rows = {key: row for row, key in enumerate(self._columns["key"].to_pylist())}

    def __getitem__(self, key: str) -> Evaluation:
        row = self._rows[key]
        return _evaluation(self._space, {name: self._columns[name][row].as_py() for name in _EVALUATION})

    def __contains__(self, key: object) -> bool:
        return key in self._rows

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


def in_order(table: pa.Table) -> pa.Table:
    """Return the rows in the order of recording, without duplicates."""
    columns = [_codes(table["key"]), *(table[name].to_numpy() for name in ("position", "batch", "recorded"))]
    order = np.lexsort(columns)
    distinct = np.zeros(len(order), dtype=np.bool_)
    distinct[:1] = True
    for column in columns:
        distinct[1:] |= np.diff(column[order]) != 0
    rows = order[distinct]
    if np.array_equal(rows, np.arange(table.num_rows)):
        return table  # the usual case; a copy would double the memory
    return table.take(pa.array(rows))


def _codes(column: pa.ChunkedArray) -> NDArray[np.int64]:
    """Return an integer for each string, the same for equal strings."""
    codes = column.combine_chunks().dictionary_encode().indices
    return np.asarray(codes, dtype=np.int64)


def _evaluation(space: SearchSpace, row: Mapping[str, Any]) -> Evaluation:
    try:
        architecture = space.parse(row["architecture"])
    except ArchitectureError as error:
        raise LedgerError(
            f"storage: the ledger holds {row['architecture']!r}, which is no architecture of the space {space.name} as it is now "
            f"({error}). Restore the space, or choose another storage."
        ) from error
    return Evaluation(
        architecture=architecture,
        key=row["key"],
        score=row["score"],
        metrics=dict(row["metrics"]),
        seconds=row["seconds"],
        error=row["error"],
        curves={name: tuple(values) for name, values in row["curves"]},
    )
