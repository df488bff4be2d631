"""Checks of a table before it is written: rows are of its space, each once, each with a score."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from archsearch.errors import ArchitectureError, ConfigurationError, TableError, unknown_name
from archsearch.evaluators.tables.columns import (
    ARCHITECTURE,
    ROUNDING,
    SECONDS,
    failure_mark,
    in_percent,
    is_accuracy,
    words_of,
)
from archsearch.evaluators.tables.draft import Progress, TableDraft
from archsearch.spaces import SearchSpace

KEY, ARCHITECTURE_HASH, KEY_HASH = "key", "architecture_hash", "key_hash"
RESERVED = (ARCHITECTURE, KEY, ARCHITECTURE_HASH, KEY_HASH)

SEEDS = "seeds"

_ROWS_BETWEEN_REPORTS = 5_000
_NUMBERING = ("seed", "run", "repeat", "trial", "fold", "replicate", "repetition")


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
    average_seeds: bool = False,
    progress: Progress | None = None,
) -> CheckedTable:
    """Return the rows of a draft as they are to be written.

    Args:
        draft: What was read.
        space: Its space.
        percent: Columns that are in percent and become fractions; None decides by `in_percent` for each, apart from marks of
            failed trainings such as -1, which count as missing.
        drop_missing: Whether rows without a score are left out; else they are an error.
        average_seeds: Whether rows of one architecture are averaged, with their number in the column `seeds`; else they are an
            error.
        progress: Called every 5,000 rows with the numbers of rows checked and of all rows.

    Raises:
        TableError: There are no rows, architectures are not of the space or come twice, scores are missing, or a column is.
        ConfigurationError: The draft is of another space.
    """
    if draft.space != space.name:
        raise ConfigurationError(f"space: the table is of {draft.space}; got {space.name}. Use space={draft.space!r}.")
    numeric, dropped = _numeric(draft.rows)
    notes = [*draft.notes, *dropped]
    if draft.score not in numeric or draft.score == SECONDS:
        raise TableError(unknown_name("score: column of the table", draft.score, set(numeric) - {SECONDS}))
    mark = failure_mark(draft.score, numeric[draft.score]) if percent is None else None
    if percent is None:
        numeric = {name: _without_marks(name, values, notes) for name, values in numeric.items()}
        _check_scale(draft, numeric[draft.score])
    kept = _scored_rows(draft, numeric[draft.score], drop_missing, mark)
    if len(kept) < len(draft.rows):
        notes.append(f"{len(draft.rows) - len(kept):,} rows without {draft.score} were left out.")
    columns = {name: values[kept] for name, values in numeric.items() if name != SECONDS}
    columns, converted = _as_fractions(columns, percent, draft.fractions)
    fractions = tuple(name for name in columns if name in converted or name in draft.fractions)
    if fractions:
        notes.append(f"Percent were converted to fractions: {', '.join(fractions)}.")
    notes += _low_percent(draft, columns, converted, kept)
    if percent is None:
        columns = {name: _rounded(name, values, notes) for name, values in columns.items()}
    if SECONDS in numeric:
        columns[SECONDS], unknown = _seconds(draft, numeric[SECONDS], kept)
        if unknown:
            notes.append(f"{unknown:,} rows have no seconds; their evaluations cost nothing.")
    texts, keys = _architectures(draft, kept, space, average_seeds, progress)
    if average_seeds:
        texts, keys, columns = _averaged(draft, kept, texts, keys, columns, notes)
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


def _scored_rows(draft: TableDraft, scores: NDArray[Any], drop_missing: bool, mark: float | None) -> NDArray[np.int64]:
    """Return the rows that have a score; `mark` is the number that stood for failed trainings, if there was one."""
    if not len(scores):
        raise TableError("table: expected one row or more; it has none. Check that the file is the right one.")
    kept = np.flatnonzero(np.isfinite(scores))
    missing = len(scores) - len(kept)
    if not len(kept):
        raise TableError(f"score: the column {draft.score!r} holds no number; choose another column with --score.")
    if missing and not drop_missing:
        first = int(np.argmin(np.isfinite(scores)))
        marks = "empty, NaN or infinite" if mark is None else f"empty, NaN, infinite or {mark:g}"
        raise TableError(
            f"score: {missing:,} of {len(scores):,} rows have no {draft.score!r} ({marks}); the first is {draft.place(first)}: "
            f"{_text(draft.rows, first)}. Leave them out with --drop-missing, or choose another column with --score."
        )
    return kept


def _without_marks(name: str, values: NDArray[Any], notes: list[str]) -> NDArray[Any]:
    """Return a column with NaN for the mark of failed trainings, such as -1, and add a note."""
    mark = failure_mark(name, values)
    if mark is None:
        return values
    rows = values == mark
    notes.append(f"{int(rows.sum()):,} values of {mark:g} in {name} count as missing.")
    return np.where(rows, np.nan, values)


def _check_scale(draft: TableDraft, scores: NDArray[Any]) -> None:
    """Raise TableError for accuracies that are neither fractions nor percent."""
    if not {"acc", "accuracy", "top1", "top5"} & words_of(draft.score) or not is_accuracy(draft.score):
        return
    with np.errstate(invalid="ignore"):
        wrong = np.flatnonzero(np.isfinite(scores) & ((scores < 0.0) | (scores > 100.0 * (1.0 + ROUNDING))))
    if len(wrong):
        row = int(wrong[0])
        raise TableError(
            f"score: expected accuracies from 0 to 1, or from 0 to 100; got {scores[row]:g} in {draft.place(row)}, column "
            f"{draft.score!r}. Correct it, or take the column as it is with --percent and no names."
        )


def _as_fractions(
    columns: dict[str, NDArray[Any]], percent: Collection[str] | None, known: Collection[str]
) -> tuple[dict[str, NDArray[Any]], tuple[str, ...]]:
    """Return the columns with percent divided by 100, and the names of those that were divided; `known` are fractions already."""
    for name in percent or ():
        if name not in columns:
            raise TableError(unknown_name("percent: column of the table", name, columns))
    chosen = tuple(
        name
        for name, values in columns.items()
        if name not in known and (in_percent(name, values) if percent is None else name in percent)
    )
    divided = {name: columns[name].astype(np.float64) / 100.0 for name in chosen}
    types = {name: values.dtype if values.dtype.kind == "f" else np.dtype(np.float64) for name, values in columns.items()}
    return {name: divided[name].astype(types[name]) if name in divided else columns[name] for name in columns}, chosen


def _low_percent(
    draft: TableDraft, columns: Mapping[str, NDArray[Any]], converted: Collection[str], kept: NDArray[np.int64]
) -> list[str]:
    """Return a note on values of the score between 0 and 1 percent, which may be fractions among percent."""
    if draft.score not in converted:
        return []
    values = columns[draft.score]
    low = np.flatnonzero((values > 0.0) & (values < 0.01))
    if not len(low):
        return []
    first = int(low[0])
    return [
        f"{len(low):,} values of {draft.score} below 1 were taken as percent too; the first is {100 * values[first]:g} in "
        f"{draft.place(int(kept[first]))}."
    ]


def _rounded(name: str, values: NDArray[Any], notes: list[str]) -> NDArray[Any]:
    """Return fractions with 1 for those that rounding lifted a little above it, and add a note."""
    finite = values[np.isfinite(values)]
    if not is_accuracy(name) or not len(finite) or not 1.0 < finite.max() <= 1.0 + ROUNDING:
        return values
    notes.append(
        f"{int((finite > 1.0).sum()):,} values of {name} are above 100 % by rounding (up to {finite.max():.2%}); set to 1."
    )
    rounded: NDArray[Any] = np.minimum(values, values.dtype.type(1.0))
    return rounded


def _averaged(
    draft: TableDraft,
    kept: NDArray[np.int64],
    texts: list[str],
    keys: list[str],
    columns: dict[str, NDArray[Any]],
    notes: list[str],
) -> tuple[list[str], list[str], dict[str, NDArray[Any]]]:
    """Return the means over the rows of each architecture, in the order of their first rows, with the number of rows as `seeds`.

    Columns that number the rows of an architecture, such as `seed` or `fold`, are left out.
    """
    if SEEDS in columns:
        raise TableError(f"average_seeds: the table has a column {SEEDS!r}, the name of the number of rows; rename it.")
    groups: dict[str, int] = {}
    group = np.array([groups.setdefault(text, len(groups)) for text in texts])
    counts = np.bincount(group, minlength=len(groups))
    numbering = [name for name in columns if name.lower() in _NUMBERING]
    for name in numbering:
        pairs: dict[tuple[int, float], int] = {}
        for row, pair in enumerate(zip(group.tolist(), columns[name].tolist(), strict=True)):
            if (first := pairs.setdefault(pair, row)) != row:
                raise TableError(
                    f"table: {draft.place(int(kept[row]))} repeats architecture and {name} of {draft.place(int(kept[first]))}: "
                    f"{texts[row]}. Leave one of them."
                )
    first_rows = np.unique(group, return_index=True)[1]
    averaged = {name: _means(values, group, len(groups)) for name, values in columns.items() if name not in numbering}
    seconds = {SECONDS: averaged.pop(SECONDS)} if SECONDS in averaged else {}
    notes.append(
        f"Rows of one architecture were averaged: {len(texts):,} rows of {len(groups):,} architectures, {counts.min()} to "
        f"{counts.max()} each (column {SEEDS})."
    )
    if numbering:
        notes.append(f"Columns that number the rows of an architecture were left out: {', '.join(numbering)}.")
    keys = [keys[row] for row in first_rows.tolist()]
    return list(groups), keys, {**averaged, SEEDS: counts.astype(np.int64), **seconds}


def _means(values: NDArray[Any], group: NDArray[np.int64], groups: int) -> NDArray[np.float64]:
    """Return the mean of the finite values of each group, NaN where there is none."""
    known = np.isfinite(values)
    sums = np.bincount(group[known], weights=values[known], minlength=groups)
    counts = np.bincount(group[known], minlength=groups)
    with np.errstate(invalid="ignore"):
        means: NDArray[np.float64] = sums / counts
    return means


def _seconds(draft: TableDraft, values: NDArray[Any], kept: NDArray[np.int64]) -> tuple[NDArray[Any], int]:
    """Return the seconds of the rows that are kept, and how many are unknown."""
    with np.errstate(invalid="ignore"):
        wrong = np.isinf(values) | (values < 0)
    if wrong[kept].any():
        first = int(kept[np.argmax(wrong[kept])])
        raise TableError(
            f"seconds: expected times of 0 or more; got {values[first]} in {draft.place(first)}. Correct it, or leave "
            "--seconds out."
        )
    return values[kept], int(np.isnan(values[kept]).sum()) if values.dtype.kind == "f" else 0


def _architectures(
    draft: TableDraft, kept: NDArray[np.int64], space: SearchSpace, repeats: bool, progress: Progress | None
) -> tuple[list[str], list[str]]:
    """Return texts as the space writes them, and keys.

    Raises:
        TableError: Architectures are not of the space, or unless `repeats` come twice, counted over the whole table.
    """
    given = _given_texts(draft.rows).take(pa.array(kept)).to_pylist()
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
            f"table: {len(strangers):,} of {len(given):,} architectures do not belong to {space.name}; the first is "
            f"{draft.place(row)}: {text} ({reason}) Check --space and --architecture."
        )
    if repeated and not repeats:
        row, text = repeated[0]
        raise TableError(
            f"table: {len(repeated):,} of {len(given):,} rows repeat an architecture; the first is {draft.place(row)}, which is "
            f"that of {draft.place(seen[text])}: {text}. Leave one row for each, or average them with --average-seeds."
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
