"""Memory-mapped Parquet files, with typed errors."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from archsearch.errors import TableError, first_line


def open_parquet(path: Path) -> pq.ParquetFile:
    """Return an open Parquet file; its columns are read when they are asked for.

    Raises:
        TableError: The file is missing or corrupt.
    """
    if not path.is_file():
        raise TableError(f"table: expected a Parquet file; there is none at {path}.")
    try:
        return pq.ParquetFile(path, memory_map=True)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise _corrupt(path, error) from error


def read_parquet(path: Path) -> pa.Table:
    """Return all columns of a Parquet file.

    Raises:
        TableError: The file is missing or corrupt.
    """
    with open_parquet(path) as file:
        try:
            return file.read()
        except (pa.ArrowException, OSError) as error:
            raise _corrupt(path, error) from error


def _corrupt(path: Path, error: Exception) -> TableError:
    """Return the error of a file that is cut short, corrupt or not a Parquet file."""
    reason = first_line(error)
    return TableError(f"table: {path} is corrupt or not a Parquet file ({reason}); fetch or make it again.")
