"""User-defined tables: CSV and Parquet files with a column of architectures."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from archsearch.errors import TableError, unknown_name
from archsearch.evaluators.evaluation import is_report_only
from archsearch.evaluators.tables.columns import ARCHITECTURE, SECONDS, is_accuracy
from archsearch.evaluators.tables.csv_file import SPREADSHEETS, SUFFIXES, check_names, read_csv, without_index
from archsearch.evaluators.tables.draft import TableDraft
from archsearch.evaluators.tables.parquet_file import read_parquet
from archsearch.evaluators.tables.written_numbers import read_numbers

_PREFERRED = "valid_accuracy"
_SCORE = "score"
_ARCHITECTURES = ("architecture", "arch", "arch_str", "cell", "genotype", "model", "network")


def read_plain_file(
    path: Path,
    space: str,
    architecture: str,
    *,
    score: str | None = None,
    seconds: str | None = None,
    rename: Mapping[str, str] | None = None,
    decimal: str | None = None,
    missing: Collection[str] = (),
) -> TableDraft:
    """Return the table of a CSV file (with a header) or a Parquet file.

    Numbers may be written as `csv_file` and `written_numbers` describe: with semicolons and decimal commas, percent signs,
    thousands separators and marks of missing values, and beside the index column of pandas.

    Args:
        path: The file, ending in `.csv`, `.tsv`, `.txt` or `.parquet`.
        space: Name of the space of its architectures.
        architecture: Column of the architectures' texts.
        score: Column to score by. None takes `valid_accuracy`, or else the first column of accuracies not measured on test data,
            or else the column `score`.
        seconds: Column of the cost of each evaluation when it was made, if it is not called `seconds`.
        rename: New names of columns, by the old ones; `score` may be named by either.
        decimal: Decimal separator of numbers that are written as texts, `.` or `,`; None finds it.
        missing: Further texts that mean that there is no value, such as `failed`.

    Raises:
        TableError: The file is missing or cannot be read, a column is missing or named twice, or a number is none.
    """
    if decimal not in (None, ".", ","):
        raise TableError(f"decimal: expected '.' or ','; got {decimal!r}.")
    keep = {name for name in (architecture, score, seconds, *(rename or {})) if name}
    rows, places, semicolons, notes = _read(path, architecture, keep)
    names = {name: name for name in rows.column_names}
    special = {architecture: ARCHITECTURE, **({seconds: SECONDS} if seconds else {})}
    for option, given in (("architecture", [architecture]), ("seconds", [seconds] if seconds else []), ("rename", rename or {})):
        for name in given:
            if name not in names:
                raise TableError(unknown_name(f"{option}: column of {path.name}", name, names))
    names |= {**(rename or {}), **special}
    rows = _renamed(rows, names, path)
    draft = TableDraft(space, rows, "", source=f"the file {path.name}", places=places, notes=notes)
    wanted = {
        name for name in ([names.get(score, score)] if score else []) + ([SECONDS] if seconds else []) if name in names.values()
    }
    draft = _with_numbers(draft, path, wanted, decimal, semicolons, missing)
    if score is None:
        if texts := _accuracies_as_texts(draft.rows):  # what is written there is no number, which this names with its row
            draft = _with_numbers(draft, path, texts, decimal, semicolons, missing)
        score = _default_score(draft.rows, path)
    else:
        score = names.get(score, score)
    order = [ARCHITECTURE, *(name for name in rows.column_names if name != ARCHITECTURE)]
    return replace(draft, rows=draft.rows.select(order), score=score)


def architectures_of(path: Path) -> tuple[str, dict[str, int], list[str]]:
    """Find the column of architectures of a CSV or Parquet file by its name, such as `architecture` or `arch`.

    Returns:
        The name of the column, the place of every column by name, and the architectures.

    Raises:
        TableError: The file is missing or cannot be read, or no column has such a name.
    """
    rows, _, _, _ = _read(path, "", ())
    names = {name: place for place, name in enumerate(rows.column_names)}
    found = next((name for name in names if name.lower() in _ARCHITECTURES), None)
    if found is None:
        raise TableError(
            f"table: expected a column of architectures in {path.name}, called {', '.join(_ARCHITECTURES)}; it has "
            f"{', '.join(names)}. Rename it."
        )
    return found, names, [str(text) for text in rows[found].to_pylist()]


def _read(path: Path, architecture: str, keep: Collection[str]) -> tuple[pa.Table, tuple[int, ...], bool, tuple[str, ...]]:
    """Return the rows, their places in the file if it is a CSV, whether semicolons separate its columns, and notes."""
    if path.suffix.lower() in (".parquet", ".pq"):
        rows = read_parquet(path)
        check_names(rows.column_names, path)
        rows, notes = without_index(rows, keep)
        return rows, (), False, tuple(notes)
    if path.suffix.lower() not in (*SUFFIXES, *SPREADSHEETS):
        raise TableError(f"table: expected a file ending in .csv or .parquet; got {path}.")
    file = read_csv(path, architecture, keep)
    return file.rows, file.places, file.delimiter == ";", file.notes


def _with_numbers(
    draft: TableDraft, path: Path, needed: Collection[str], decimal: str | None, semicolons: bool, missing: Collection[str]
) -> TableDraft:
    """Return a draft whose columns of written numbers are columns of numbers."""
    rows = draft.rows
    texts: dict[str, list[str | None]] = {}
    for field in rows.schema:
        if pa.types.is_decimal(field.type):
            rows = rows.set_column(rows.column_names.index(field.name), field.name, rows[field.name].cast(pa.float64()))
        elif field.name != ARCHITECTURE and (pa.types.is_string(field.type) or pa.types.is_large_string(field.type)):
            texts[field.name] = rows[field.name].to_pylist()
    found = read_numbers(
        texts,
        needed={name for name in needed if name in texts},
        place=lambda row: f"{draft.place(row)} of {path.name}",
        decimal=decimal,
        semicolons=semicolons,
        missing=missing,
    )
    for name, column in found.items():
        values = pa.array(column.values, from_pandas=True)
        rows = rows.set_column(rows.column_names.index(name), name, values)
    signs = {name: column.decimal for name, column in found.items() if column.decimal == ","}
    commas = [f"Decimal commas were read in: {', '.join(signs)}."] if signs else []
    fractions = frozenset(name for name, column in found.items() if column.percent)
    return replace(draft, rows=rows, fractions=fractions, notes=(*draft.notes, *commas))


def _renamed(rows: pa.Table, names: Mapping[str, str], path: Path) -> pa.Table:
    new = [names[name] for name in rows.column_names]
    for name in new:
        if new.count(name) > 1:
            olds = [old for old in rows.column_names if names[old] == name]
            raise TableError(
                f"table: the columns {', '.join(olds)} of {path.name} would all be called {name!r}; give one another name with "
                "--rename OLD=NEW."
            )
    return rows.rename_columns(new)


def _accuracies_as_texts(rows: pa.Table) -> set[str]:
    """Return the first column that is named as an accuracy but holds texts, if no column can be the score."""
    numbers = {field.name for field in rows.schema if _is_numeric(field.type)}
    named = [name for name in rows.column_names if is_accuracy(name) and not is_report_only(name)]
    if {*named, _PREFERRED, _SCORE} & numbers:
        return set()
    return set(named[:1])


def _default_score(rows: pa.Table, path: Path) -> str:
    if _PREFERRED in rows.column_names:
        return _PREFERRED
    for field in rows.schema:
        if _is_numeric(field.type) and is_accuracy(field.name) and not is_report_only(field.name):
            return str(field.name)
    if _SCORE in rows.column_names and _is_numeric(rows.schema.field(_SCORE).type):
        return _SCORE
    columns = ", ".join(name for name in rows.column_names if name not in (ARCHITECTURE, SECONDS))
    raise TableError(
        f"score: which column of {path.name} scores? Name one with --score, or as {path.name}#COLUMN after --learn-from; it has "
        f"{columns}."
    )


def _is_numeric(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))
