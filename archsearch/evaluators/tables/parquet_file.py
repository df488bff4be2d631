"""Parquet files by memory map, with errors that say what to do."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from archsearch.errors import TableError, first_line


def open_parquet(path: Path) -> pq.ParquetFile:
    """Return an open Parquet file; its columns are read when they are asked for.

    Raises:
        TableError: There is none, or it is not whole.
    """
    if not path.is_file():
        raise TableError(f"table: expected a Parquet file; there is none at {path}.")
    try:
        return pq.ParquetFile(path, memory_map=True)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise _not_whole(path, error) from error


def read_parquet(path: Path) -> pa.Table:
    """Return all columns of a Parquet file.

    Raises:
        TableError: There is none, or it is not whole.
    """
    with open_parquet(path) as file:
        try:
            return file.read()
        except (pa.ArrowException, OSError) as error:
            raise _not_whole(path, error) from error


def _not_whole(path: Path, error: Exception) -> TableError:
    """Return the error of a file that breaks off or is no Parquet file."""
    reason = first_line(error)
    return TableError(f"table: {path} is not a whole Parquet file ({reason}); fetch or make it again.")
