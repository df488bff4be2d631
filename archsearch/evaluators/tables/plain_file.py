"""User-defined tables: CSV and Parquet files with a column of architectures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.csv

from archsearch.errors import TableError, first_line, unknown_name
from archsearch.evaluators.evaluation import is_report_only
from archsearch.evaluators.tables.columns import ARCHITECTURE, SECONDS, is_accuracy
from archsearch.evaluators.tables.draft import TableDraft
from archsearch.evaluators.tables.parquet_file import read_parquet

_PREFERRED = "valid_accuracy"


def read_plain_file(
    path: Path,
    space: str,
    architecture: str,
    *,
    score: str | None = None,
    seconds: str | None = None,
    rename: Mapping[str, str] | None = None,
) -> TableDraft:
    """Return the table of a CSV file (with a header) or a Parquet file.

    Args:
        path: The file, ending in `.csv` or `.parquet`.
        space: Name of the space of its architectures.
        architecture: Column of the architectures' texts.
        score: Column to score by. None takes `valid_accuracy`, or else the first column of accuracies not measured on test data.
        seconds: Column of the cost of each evaluation when it was made, if it is not called `seconds`.
        rename: New names of columns, by the old ones; `score` may be named by either.

    Raises:
        TableError: The file is missing or cannot be read, or a column is missing or named twice.
    """
    rows = _read(path, architecture)
    names = {name: name for name in rows.column_names}
    special = {architecture: ARCHITECTURE, **({seconds: SECONDS} if seconds else {})}
    for option, given in (("architecture", [architecture]), ("seconds", [seconds] if seconds else []), ("rename", rename or {})):
        for name in given:
            if name not in names:
                raise TableError(unknown_name(f"{option}: column of {path.name}", name, names))
    names |= {**(rename or {}), **special}
    rows = _renamed(rows, names, path)
    score = _default_score(rows, path) if score is None else names.get(score, score)
    places = [ARCHITECTURE, *(name for name in rows.column_names if name != ARCHITECTURE)]
    return TableDraft(space, rows.select(places), score, source=f"the file {path.name}")


def _read(path: Path, architecture: str) -> pa.Table:
    if path.suffix.lower() in (".parquet", ".pq"):
        return read_parquet(path)
    if path.suffix.lower() != ".csv":
        raise TableError(f"table: expected a file ending in .csv or .parquet; got {path}.")
    try:
        return pa.csv.read_csv(path, convert_options=pa.csv.ConvertOptions(column_types={architecture: pa.string()}))
    except FileNotFoundError as error:
        raise TableError(f"table: expected a CSV file; there is none at {path}.") from error
    except (pa.ArrowException, OSError) as error:
        reason = first_line(error)
        raise TableError(
            f"table: cannot read {path} ({reason}). Expected a header and one row an architecture; quote texts that hold commas."
        ) from error


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


def _default_score(rows: pa.Table, path: Path) -> str:
    if _PREFERRED in rows.column_names:
        return _PREFERRED
    for field in rows.schema:
        if pa.types.is_floating(field.type) and is_accuracy(field.name) and not is_report_only(field.name):
            return str(field.name)
    columns = ", ".join(name for name in rows.column_names if name not in (ARCHITECTURE, SECONDS))
    raise TableError(f"score: which column of {path.name} scores? Name one with --score; it has {columns}.")
