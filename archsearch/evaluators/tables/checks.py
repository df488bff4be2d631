"""Checks of a table before it is written: rows are of its space, each once, each with a score."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from archsearch.errors import ArchitectureError, ConfigurationError, TableError, unknown_name
from archsearch.evaluators.tables.columns import ARCHITECTURE, SECONDS, in_percent
from archsearch.evaluators.tables.draft import Progress, TableDraft
from archsearch.spaces import SearchSpace

KEY, ARCHITECTURE_HASH, KEY_HASH = "key", "architecture_hash", "key_hash"
RESERVED = (ARCHITECTURE, KEY, ARCHITECTURE_HASH, KEY_HASH)

_ROWS_BETWEEN_REPORTS = 5_000


@dataclass(frozen=True)
class CheckedTable:
    """The rows of a table that passed all checks.

    Args:
        texts: The architectures, as their space writes them.
        keys: Their canonical identities; several texts may share one.
        columns: The metrics by name, `[rows]`, and `seconds` last where there are any.
        percent: Columns that were converted from percent to fractions.
        notes: Changes and omissions.
    """

    texts: list[str]
    keys: list[str]
    columns: dict[str, NDArray[Any]]
    percent: tuple[str, ...]
    notes: tuple[str, ...]


def check(
    draft: TableDraft,
    space: SearchSpace,
    *,
    percent: Collection[str] | None = None,
    drop_missing: bool = False,
    progress: Progress | None = None,
) -> CheckedTable:
    """Return the rows of a draft as they are to be written.

    Args:
        draft: What was read.
        space: Its space.
        percent: Columns that are in percent and become fractions; None decides by `in_percent` for each.
        drop_missing: Whether rows without a score are left out; else they are an error.
        progress: Called every 5,000 rows with the numbers of rows checked and of all rows.

    Raises:
        TableError: There are no rows, architectures are not of the space or come twice, scores are missing, or a column is.
        ConfigurationError: The draft is of another space.
    """
    if draft.space != space.name:
        raise ConfigurationError(f"space: the table is of {draft.space}; got {space.name}. Use space={draft.space!r}.")
    numeric, notes = _numeric(draft.rows)
    if draft.score not in numeric or draft.score == SECONDS:
        raise TableError(unknown_name("score: column of the table", draft.score, set(numeric) - {SECONDS}))
    kept = _scored_rows(draft, numeric[draft.score], drop_missing)
    if len(kept) < len(draft.rows):
        notes.append(f"{len(draft.rows) - len(kept):,} rows without {draft.score} were left out.")
    columns = {name: values[kept] for name, values in numeric.items() if name != SECONDS}
    columns, fractions = _as_fractions(columns, percent)
    if fractions:
        notes.append(f"Percent were converted to fractions: {', '.join(fractions)}.")
    if SECONDS in numeric:
        columns[SECONDS], unknown = _seconds(numeric[SECONDS], kept)
        if unknown:
            notes.append(f"{unknown:,} rows have no seconds; their evaluations cost nothing.")
    texts, keys = _architectures(draft.rows, kept, space, progress)
    return CheckedTable(texts, keys, columns, fractions, tuple(notes))


def _numeric(rows: pa.Table) -> tuple[dict[str, NDArray[Any]], list[str]]:
    """Return the numeric columns, integers with missing values as float64, and notes on the columns that are left out."""
    columns: dict[str, NDArray[Any]] = {}
    dropped = []
    for field in rows.schema:
        if field.name == ARCHITECTURE:
            continue
        if field.name in RESERVED or not (pa.types.is_floating(field.type) or pa.types.is_integer(field.type)):
            dropped.append(f"{field.name} ({field.type})")
            continue
        values = rows[field.name].to_numpy()
        columns[field.name] = values.astype(np.float32) if values.dtype == np.float16 else values
    return columns, [f"Columns that are no metrics were left out: {', '.join(dropped)}."] if dropped else []


def _scored_rows(draft: TableDraft, scores: NDArray[Any], drop_missing: bool) -> NDArray[np.int64]:
    """Return the rows that have a score."""
    if not len(scores):
        raise TableError("table: expected one row or more; it has none. Check that the file is the right one.")
    kept = np.flatnonzero(np.isfinite(scores))
    missing = len(scores) - len(kept)
    if not len(kept):
        raise TableError(f"score: the column {draft.score!r} holds no number; choose another column with --score.")
    if missing and not drop_missing:
        first = int(np.argmin(np.isfinite(scores)))
        raise TableError(
            f"score: {missing:,} of {len(scores):,} rows have no {draft.score!r} (empty, NaN or infinite); the first is row "
            f"{first}: {_text(draft.rows, first)}. Leave them out with --drop-missing, or choose another column with --score."
        )
    return kept


def _as_fractions(
    columns: dict[str, NDArray[Any]], percent: Collection[str] | None
) -> tuple[dict[str, NDArray[Any]], tuple[str, ...]]:
    """Return the columns with percent divided by 100, and the names of those that were divided."""
    for name in percent or ():
        if name not in columns:
            raise TableError(unknown_name("percent: column of the table", name, columns))
    chosen = tuple(name for name, values in columns.items() if (in_percent(name, values) if percent is None else name in percent))
    divided = {name: columns[name].astype(np.float64) / 100.0 for name in chosen}
    types = {name: values.dtype if values.dtype.kind == "f" else np.dtype(np.float64) for name, values in columns.items()}
    return {name: divided[name].astype(types[name]) if name in divided else columns[name] for name in columns}, chosen


def _seconds(values: NDArray[Any], kept: NDArray[np.int64]) -> tuple[NDArray[Any], int]:
    """Return the seconds of the rows that are kept, and how many are unknown."""
    with np.errstate(invalid="ignore"):
        wrong = np.isinf(values) | (values < 0)
    if wrong[kept].any():
        first = int(kept[np.argmax(wrong[kept])])
        raise TableError(
            f"seconds: expected times of 0 or more; got {values[first]} in row {first}. Correct it, or leave --seconds out."
        )
    return values[kept], int(np.isnan(values[kept]).sum()) if values.dtype.kind == "f" else 0


def _architectures(
    rows: pa.Table, kept: NDArray[np.int64], space: SearchSpace, progress: Progress | None
) -> tuple[list[str], list[str]]:
    """Return texts as the space writes them, and keys.

    Raises:
        TableError: Architectures are not of the space or come twice, counted over the whole table.
    """
    given = _given_texts(rows).take(pa.array(kept)).to_pylist()
    texts, keys = [], []
    strangers, repeated = [], []
    seen: dict[str, int] = {}
    for row, text in zip(kept.tolist(), given, strict=True):
        try:
            architecture = space.parse(text)
        except ArchitectureError as error:
            strangers.append((row, text, error))
            continue
        written = str(architecture)
        if seen.setdefault(written, row) != row:
            repeated.append((row, written))
        texts.append(written)
        keys.append(space.key(architecture))
        if progress and len(texts) % _ROWS_BETWEEN_REPORTS == 0:
            progress(len(texts), len(given))
    if strangers:
        row, text, reason = strangers[0]
        raise TableError(
            f"table: {len(strangers):,} of {len(given):,} architectures do not belong to {space.name}; the first is row {row}: "
            f"{text} ({reason}) Check --space and --architecture."
        )
    if repeated:
        row, text = repeated[0]
        raise TableError(
            f"table: {len(repeated):,} of {len(given):,} rows repeat an architecture; the first is row {row}, which is that of "
            f"row {seen[text]}: {text}. Leave one row for each."
        )
    return texts, keys


def _given_texts(rows: pa.Table) -> pa.ChunkedArray:
    if ARCHITECTURE not in rows.column_names:
        raise TableError(f"table: expected a column {ARCHITECTURE!r}; it has {', '.join(rows.column_names)}.")
    texts = rows[ARCHITECTURE]
    if pa.types.is_dictionary(texts.type):
        texts = texts.cast(texts.type.value_type)
    if not (pa.types.is_string(texts.type) or pa.types.is_large_string(texts.type)):
        raise TableError(f"architecture: expected a column of strings; got {texts.type}. Choose another with --architecture.")
    return texts


def _text(rows: pa.Table, row: int) -> str:
    return str(_given_texts(rows)[row].as_py())
