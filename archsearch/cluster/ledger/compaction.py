"""Merges the small parts of a ledger into large ones, level by level."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa

from archsearch.cluster.ledger.part_files import LEVELS, PartFiles
from archsearch.cluster.ledger.records import in_order

MOST_PARTS = 64
"""Number of parts that a level may hold before they are merged."""

_ROWS_PER_PART = 100_000
_PARTS_AT_ONCE = 512


def compact(parts: PartFiles, most: int = MOST_PARTS) -> int:
    """Merge the parts of each level that holds more than `most` of them into parts of the next; return how many were merged.

    It may be killed at any moment and needs no lock: a merged part is written before its sources are removed, and readers drop
    duplicate rows. Two compactions at once write the same part, or duplicate rows.

    Raises:
        LedgerError: The folder cannot be read or written.
    """
    merged = 0
    for level in range(LEVELS - 1):
        paths = parts.names(level)
        if len(paths) > most:
            merged += merge(parts, paths, level + 1)
    return merged


def merge(parts: PartFiles, paths: Sequence[str], level: int) -> int:
    """Merge parts into as few as memory allows, at the given level; return how many were merged.

    Raises:
        LedgerError: A part cannot be read or written.
    """
    merged = 0
    for sources, tables in _groups(parts, paths):
        table = in_order(pa.concat_tables(tables))
        parts.write(f"merged~{table['recorded'][0].as_py():020d}~", table, level)
        parts.remove(sources)
        merged += len(sources)
    return merged


def _groups(parts: PartFiles, paths: Sequence[str]) -> Iterator[tuple[list[str], list[pa.Table]]]:
    """Yield the paths of the parts that will be one merged part, and their tables, without missing and corrupt parts."""
    sources: list[str] = []
    tables: list[pa.Table] = []
    for start in range(0, len(paths), _PARTS_AT_ONCE):
        some = paths[start : start + _PARTS_AT_ONCE]
        for path, table in zip(some, parts.read(some), strict=True):
            if table is not None and table.num_rows:
                sources.append(path)
                tables.append(table)
        if sources and (start + _PARTS_AT_ONCE >= len(paths) or sum(table.num_rows for table in tables) >= _ROWS_PER_PART):
            yield sources, tables
            sources, tables = [], []
    if sources:
        yield sources, tables
