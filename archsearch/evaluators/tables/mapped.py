"""A table in an imported file, whose columns are read when they are first used."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from archsearch.errors import ArchitectureError, ConfigurationError, TableError
from archsearch.evaluators.tables.checks import ARCHITECTURE_HASH, KEY, KEY_HASH
from archsearch.evaluators.tables.columns import ARCHITECTURE, SECONDS
from archsearch.evaluators.tables.content import TableContent
from archsearch.evaluators.tables.hashes import HashIndex
from archsearch.evaluators.tables.table_file import LayoutFile
from archsearch.spaces import Architecture, SearchSpace


class MappedContent(TableContent):
    """The rows of a file in the layout. A column is read, and its checksum compared, when it is asked for.

    Only the path travels to other processes, which open the file when they first use it.

    Args:
        space: Space of the architectures.
        path: The file.

    Raises:
        TableError: The file is missing, corrupt or not in the layout, or the space has other keys than at the import.
        ConfigurationError: The table is of another space.
    """

    def __init__(self, space: SearchSpace, path: Path) -> None:
        super().__init__(space, path.stem)
        self.path = path.absolute()
        self._checksums: dict[str, str] | None = None
        self._checksums = self._file.checksums
        self._check_space()

    def __getstate__(self) -> dict[str, Any]:
        return {name: self.__dict__[name] for name in ("space", "name", "path", "_checksums")}

    @cached_property
    def _file(self) -> LayoutFile:
        """The open file; after unpickling in another process it must be the same one."""
        if self._checksums is not None and not self.path.is_file():
            raise TableError(
                f"table: {socket.gethostname()} does not see {self.path}. Put the table on storage that all nodes see: import "
                "it with ARCHSEARCH_CACHE set to a folder there, or name it as table:PATH#COLUMN."
            )
        file = LayoutFile(self.path)
        if self._checksums not in (None, file.checksums):
            raise TableError(f"table: {self.path} has changed since the search began; start the search again.")
        return file

    @property
    def score(self) -> str:
        """The column to score by unless another is named."""
        return self._file.card.score

    @property
    def metrics(self) -> tuple[str, ...]:
        return self._file.metrics

    def column(self, name: str) -> NDArray[Any]:
        return self._file.numbers(name)

    def meaning(self, name: str) -> str:
        return next((column.meaning for column in self._file.card.columns if column.name == name), "")

    @cached_property
    def seconds(self) -> NDArray[np.float64]:
        if SECONDS not in self._file.checksums:
            return np.zeros(len(self))
        return np.nan_to_num(self._file.numbers(SECONDS).astype(np.float64), nan=0.0)

    @property
    def texts(self) -> list[str]:
        texts: list[str] = self._file.strings(ARCHITECTURE).to_pylist()
        return texts

    @cached_property
    def chance(self) -> float:
        return self._file.card.chance

    @cached_property
    def cost_arguments(self) -> Mapping[str, Any]:
        return self._file.card.cost

    def find(self, architectures: Sequence[Architecture]) -> NDArray[np.int64]:
        rows = self._by_text.find([str(architecture) for architecture in architectures])
        missing = np.flatnonzero(rows < 0)
        if len(missing):
            rows[missing] = self._by_key.find([self.space.key(architectures[place]) for place in missing.tolist()])
        return rows

    def keys(self, architectures: Sequence[Architecture], rows: NDArray[np.int64]) -> list[str]:
        # The key of a row is that of its text, and also of the texts found by key.
        # pyarrow.array would import pandas, which takes longer than reading the table.
        places = pa.Int64Array.from_buffers(pa.int64(), len(rows), [None, pa.py_buffer(np.maximum(rows, 0))])
        keys: list[str] = self._keys.take(places).to_pylist()
        for place in np.flatnonzero(rows < 0).tolist():
            keys[place] = self.space.key(architectures[place])
        return keys

    def digest(self, scores: NDArray[np.float64], column: str) -> str:
        """Return a digest of the checksums in the file, and of scores that differ from the column; architectures are not read."""
        known = [self._file.checksums[ARCHITECTURE], self._file.checksums[column]]
        if not np.array_equal(scores, self.column(column), equal_nan=True):
            known.append(hashlib.blake2b(np.ascontiguousarray(scores).data, digest_size=8).hexdigest())
        return hashlib.blake2b("".join(known).encode(), digest_size=8).hexdigest()

    def __len__(self) -> int:
        return self._file.card.rows

    @property
    def num_structures(self) -> int:
        return len(np.unique(self._file.numbers(KEY_HASH)))

    def load_index(self) -> None:
        """Read the columns that look-ups need."""
        _ = self._by_text, self._by_key

    @cached_property
    def _by_text(self) -> HashIndex:
        return HashIndex(self._file.numbers(ARCHITECTURE_HASH).astype(np.uint64, copy=False))

    @cached_property
    def _by_key(self) -> HashIndex:
        return HashIndex(self._file.numbers(KEY_HASH).astype(np.uint64, copy=False))

    @cached_property
    def _keys(self) -> Any:
        return self._file.strings(KEY).combine_chunks()

    def _check_space(self) -> None:
        """Raise ConfigurationError for another space, and TableError for other keys than at the import."""
        owner = self._file.card.space
        if self.space.name != owner:
            raise ConfigurationError(f"space: the table {self.name} is of {owner}; got {self.space.name}. Use space={owner!r}.")
        for text, key in self._file.samples:
            try:
                same = self.space.key(self.space.parse(text)) == key
            except ArchitectureError:
                same = False
            if not same:
                raise TableError(
                    f"table: {self.path} was imported by a version of archsearch in which {owner} gave another key "
                    f"to {text}, or none; import the table again."
                )
