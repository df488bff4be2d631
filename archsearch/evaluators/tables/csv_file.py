"""CSV files as people and spreadsheets write them, as columns of strings."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path, PurePath

import pyarrow as pa

from archsearch.errors import TableError, first_line

SUFFIXES = (".csv", ".tsv", ".txt", ".tab")
_DELIMITERS = ",;\t|"
_INDEX = re.compile(r"|unnamed: ?\d+(_level_\d+)?|__index_level_\d+__", re.IGNORECASE)
SPREADSHEETS = (".xlsx", ".xls", ".xlsm", ".ods", ".numbers")


@dataclass(frozen=True)
class CsvFile:
    """The content of a CSV file.

    Args:
        rows: The rows as strings without the spaces around them; columns keep the order of the file.
        places: Row of the file for each of these rows, counted as a spreadsheet does: the first is 1.
        delimiter: What separates the columns.
        notes: What was left out or guessed.
    """

    rows: pa.Table
    places: tuple[int, ...]
    delimiter: str
    notes: tuple[str, ...]


def read_csv(path: PurePath, named: str, keep: Collection[str] = (), content: bytes | None = None) -> CsvFile:
    """Return a CSV file, whatever its delimiter (comma, semicolon, tab or bar) and encoding (UTF-8, UTF-16 or Windows-1252).

    Lines before the header that are empty, comments (`#`) or `sep=;` are skipped, and so are empty rows. Columns without a name
    and the index columns of pandas are left out.

    Args:
        path: The file, with a header.
        named: Column that is needed, such as that of the architectures; it tells the delimiter.
        keep: Names of columns that are not left out.
        content: Content of a file that is not on this machine; its path is then for messages alone.

    Raises:
        TableError: The file is missing or cannot be read, two columns have one name, or a row has too few or too many columns.
    """
    text, notes = _text(path, content)
    start, delimiter = _header(text, named)
    skipped = text[:start].count("\n")
    csv.field_size_limit(2**24)
    try:
        records = list(csv.reader(io.StringIO(text[start:], newline=""), delimiter=delimiter))
    except csv.Error as error:
        raise _unreadable(path, first_line(error)) from error
    if not records:
        raise _unreadable(path, "Empty CSV file")
    header = [name.strip() for name in records[0]]
    while header and not header[-1] and all(not any(map(str.strip, row[len(header) - 1 :])) for row in records[1:]):
        header.pop()  # a delimiter at the end of each row
    check_names(header, path)
    rows, places = [], []
    for number, record in enumerate(records[1:], 2 + skipped):
        cells = [cell.strip() for cell in record]
        if not any(cells):
            continue
        if len(cells) < len(header) or any(cells[len(header) :]):
            raise _unreadable(path, f"row {number}: Expected {len(header)} columns, got {len(cells)}")
        rows.append(cells[: len(header)])
        places.append(number)
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(header)
    table = pa.table([pa.array(column, pa.string()) for column in columns], names=header)
    table, dropped = without_index(table, {named, *keep})
    return CsvFile(table, tuple(places), delimiter, (*notes, *dropped))


def check_names(names: Collection[str], path: PurePath) -> None:
    """Raise TableError if two columns have one name."""
    listed = list(names)
    for name in listed:
        if name and listed.count(name) > 1:
            first, second = [place for place, other in enumerate(listed, 1) if other == name][:2]
            raise TableError(
                f"table: the columns {first} and {second} of {path.name} would all be called {name!r}; give one another name in "
                "the file."
            )


def without_index(rows: pa.Table, keep: Collection[str]) -> tuple[pa.Table, list[str]]:
    """Return a table without columns that have no name of their own or count its rows, and a note on them."""
    kept = [place for place, name in enumerate(rows.column_names) if name in keep or not _is_index(name, rows.column(place))]
    dropped = [place for place in range(rows.num_columns) if place not in kept]
    words = [repr(rows.column_names[place]) if rows.column_names[place] else f"column {place + 1}" for place in dropped]
    notes = [f"Columns without a name or that count the rows were left out: {', '.join(words)}."] if dropped else []
    return rows.select(kept), notes


def _is_index(name: str, column: pa.ChunkedArray) -> bool:
    if _INDEX.fullmatch(name):
        return True
    values = map(str, column.to_pylist()) if name.lower() in ("index", "level_0") else ()
    return name.lower() in ("index", "level_0") and all(value == str(place) for place, value in enumerate(values))


def _text(path: PurePath, content: bytes | None) -> tuple[str, list[str]]:
    """Return the content as a string with line feeds, and a note on an encoding that was guessed."""
    if path.suffix.lower() in SPREADSHEETS:
        raise TableError(f"table: expected a CSV or Parquet file; got the spreadsheet {path.name}. Save it as CSV first.")
    try:
        content = Path(path).read_bytes() if content is None else content
    except FileNotFoundError as error:
        raise TableError(f"table: expected a CSV file; there is none at {path}.") from error
    except OSError as error:
        raise _unreadable(path, first_line(error)) from error
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encoding = "utf-16"
    elif b"\0" in content[:2]:
        encoding = "utf-16-be" if content[:1] == b"\0" else "utf-16-le"
    else:
        encoding = "utf-8-sig"
    notes = []
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding != "utf-8-sig":
            raise _unreadable(path, f"no text in {encoding}") from error
        text = content.decode("cp1252", "replace")
        notes.append("The file is no UTF-8; it was read as Windows-1252.")
    if "\0" in text:
        raise _unreadable(path, "it holds zero bytes, so it is no text")
    return text.replace("\r\n", "\n").replace("\r", "\n"), notes


def _header(text: str, named: str) -> tuple[int, str]:
    """Return where the header begins, and the delimiter."""
    start, given = 0, ""
    while start < len(text):
        end = text.find("\n", start)
        line = text[start:] if end < 0 else text[start:end]
        separator = re.fullmatch(r"\"?sep=(.)\"?", line.strip(" "), re.IGNORECASE)
        if not separator and line.strip() and not line.startswith("#"):
            break
        given = separator[1] if separator else given
        start = len(text) if end < 0 else end + 1
    else:
        return start, ","
    found: dict[str, tuple[bool, int]] = {}
    for delimiter in [given] if given else _DELIMITERS:
        names = [name.strip() for name in next(csv.reader([line], delimiter=delimiter))]
        found[delimiter] = (named in names, len(names))
    return start, max(found, key=found.__getitem__)


def _unreadable(path: PurePath, reason: str) -> TableError:
    return TableError(
        f"table: cannot read {path} ({reason}). Expected a header and one row an architecture; quote texts that hold commas."
    )
