"""Parquet parts, written atomically, in levels (as in an LSM tree): compaction moves rows only to higher levels."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from archsearch.cluster.storage import write_atomically
from archsearch.errors import LedgerError, first_line

logger = logging.getLogger(__name__)

LEVELS = 3
_SUFFIX, _DAMAGED = ".parquet", ".damaged"
_DIGEST = re.compile(rf"~([0-9a-f]{{16}}){re.escape(_SUFFIX)}$")
_THREADS = 8

Result = TypeVar("Result")


class PartFiles:
    """The parts of one ledger: a folder with new parts, and one folder for each level of merged ones.

    A part's name ends in a digest of its content, so that a corrupt part is recognised before it is parsed. Compaction writes
    rows to the next level before it removes them from their own. A reader that lists the levels from the lowest to the highest
    therefore meets every row at least once, however many compactions run at the same time: a row that left a level before it
    was listed is in a higher one, which is listed later.

    Args:
        files: Any pyarrow file system.
        folder: Path of the folder in it.
        schema: Columns of the parts.
        optional: Columns that may hold nulls.
    """

    def __init__(self, files: pafs.FileSystem, folder: str, schema: pa.Schema, optional: Collection[str] = ("error",)) -> None:
        self.files, self.folder, self.schema, self.optional = files, folder, schema, optional
        self._left_out: set[str] = set()

    def write(self, prefix: str, table: pa.Table, level: int = 0, *, durable: bool = True) -> str:
        """Write a part atomically and return its path; it survives a power cut, or if not `durable` the death of this process.

        Raises:
            LedgerError: It cannot be written; no incomplete part is left.
        """
        try:
            stream = pa.BufferOutputStream()
            pq.write_table(table, stream)
            content = stream.getvalue()
            path = f"{self._level(level)}/{prefix}{_digest(content)}{_SUFFIX}"
            if level:
                self.files.create_dir(self._level(level), recursive=True)
            write_atomically(self.files, path, content, durable=durable)
        except (OSError, pa.ArrowException) as error:
            raise LedgerError(
                f"storage: cannot write to the ledger in {self.folder} ({first_line(error)}); mend that, then resume."
            ) from error
        return path

    def names(self, level: int, prefix: str = "") -> list[str]:
        """Return the paths of the parts of one level, in order of their names.

        Raises:
            LedgerError: The folder cannot be read.
        """
        try:
            infos = self.files.get_file_info(pafs.FileSelector(self._level(level), allow_not_found=level > 0))
        except (OSError, pa.ArrowException) as error:
            raise self._unreadable(error) from error
        names = (info for info in infos if info.base_name.startswith(prefix) and info.base_name.endswith(_SUFFIX))
        return sorted(info.path for info in names if info.path not in self._left_out)

    def read_all(self, prefix: str = "") -> list[pa.Table]:
        """Return the tables of all merged parts, and of the new parts whose names begin with the prefix.

        Rows of a part that is being merged may come twice, but none is missed.

        Raises:
            LedgerError: The folder or a part cannot be read.
        """
        tables: dict[str, pa.Table] = {}
        while True:
            listed = [path for level in range(LEVELS) for path in self.names(level, "" if level else prefix)]
            new = [path for path in listed if path not in tables]
            found = dict(zip(new, self.read(new), strict=True))
            tables |= {path: table for path, table in found.items() if table is not None}
            if all(table is not None for table in found.values()):
                return list(tables.values())
            # A part was merged since it was listed, its rows are in a higher level; or it is corrupt, and not listed again.

    def read(self, paths: Sequence[str]) -> list[pa.Table | None]:
        """Return the table of each part, None for a part that is missing or corrupt; corrupt ones are renamed to `*.damaged`.

        Raises:
            LedgerError: A part exists but cannot be read.
        """
        return _for_each(self._read, paths)

    def remove(self, paths: Sequence[str]) -> None:
        """Remove parts whose rows were merged; those that another process removed already are no error.

        Raises:
            LedgerError: A part cannot be removed.
        """
        _for_each(self._remove, paths)

    def _level(self, level: int) -> str:
        return f"{self.folder}/level{level}" if level else self.folder

    def _read(self, path: str) -> pa.Table | None:
        try:
            with self.files.open_input_file(path) as file:
                content = file.read()
        except FileNotFoundError:
            return None
        except (OSError, pa.ArrowException) as error:
            raise self._unreadable(error) from error
        try:
            return self._parse(path, content)
        except (OSError, pa.ArrowException, LookupError, OverflowError, TypeError, ValueError) as error:
            self._set_aside(path, first_line(error))
            return None

    def _parse(self, path: str, content: bytes) -> pa.Table:
        if (digest := _DIGEST.search(path)) and digest[1] != _digest(content):
            raise ValueError("its content does not match the digest in its name")
        table = pq.ParquetFile(pa.BufferReader(content)).read(use_threads=False)
        if not table.schema.equals(self.schema):
            table = table.select(self.schema.names).cast(self.schema)
        if gaps := [name for name in self.schema.names if name not in self.optional and table[name].null_count]:
            raise ValueError(f"it has gaps in {', '.join(gaps)}")
        return table

    def _set_aside(self, path: str, why: str) -> None:
        logger.warning("the ledger part %s is corrupt (%s); it is set aside as *%s", path, why, _DAMAGED)
        self._left_out.add(path)
        with suppress(OSError, pa.ArrowException):  # another reader has renamed it, or this one may not write
            self.files.move(path, path + _DAMAGED)

    def _remove(self, path: str) -> None:
        try:
            with suppress(FileNotFoundError):
                self.files.delete_file(path)
        except (OSError, pa.ArrowException) as error:
            raise LedgerError(f"storage: cannot remove the merged part {path} ({first_line(error)}).") from error

    def _unreadable(self, error: BaseException) -> LedgerError:
        return LedgerError(f"storage: cannot read the ledger in {self.folder} ({first_line(error)}); mend that, then resume.")


def _for_each(function: Callable[[str], Result], paths: Sequence[str]) -> list[Result]:
    """Return the results in order; threads hide the latency of object stores, and in part that of disks."""
    if len(paths) <= _THREADS:
        return [function(path) for path in paths]
    with ThreadPoolExecutor(_THREADS) as threads:
        return list(threads.map(function, paths))


def _digest(content: bytes | pa.Buffer) -> str:
    return hashlib.blake2b(content, digest_size=8).hexdigest()
