"""A table whose rows are in memory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from archsearch.errors import ArchitectureError, TableError
from archsearch.evaluators.tables.columns import SECONDS
from archsearch.evaluators.tables.content import TableContent
from archsearch.spaces import Architecture, SearchSpace

_ARCHITECTURE_COLUMNS = ("architecture", "arch")


class InMemoryContent(TableContent):
    """The rows of a pyarrow table; they travel with the evaluator to other processes.

    Args:
        space: Space of the architectures.
        table: One row an architecture: the column `architecture` (or `arch`) and numeric columns.
        name: Name of the table.

    Raises:
        TableError: There is no column of architectures.
    """

    def __init__(self, space: SearchSpace, table: pa.Table, name: str) -> None:
        super().__init__(space, name)
        self._texts = _texts(table, name)
        numeric = [field.name for field in table.schema if pa.types.is_floating(field.type) or pa.types.is_integer(field.type)]
        self._columns: dict[str, NDArray[np.float64]] = {
            column: table[column].to_numpy().astype(np.float64) for column in numeric if column not in (SECONDS, "key")
        }
        self._recorded = table[SECONDS].to_numpy().astype(np.float64) if SECONDS in numeric else np.zeros(len(table))
        self._metadata = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}

    @property
    def metrics(self) -> tuple[str, ...]:
        return tuple(self._columns)

    def column(self, name: str) -> NDArray[Any]:
        return self._columns[name]

    @cached_property
    def seconds(self) -> NDArray[np.float64]:
        return np.nan_to_num(self._recorded, nan=0.0)

    @property
    def texts(self) -> list[str]:
        return self._texts

    @cached_property
    def chance(self) -> float:
        return float(self._metadata.get("archsearch.chance", 0.0))

    @cached_property
    def cost_arguments(self) -> Mapping[str, Any]:
        arguments: dict[str, Any] = json.loads(self._metadata.get("archsearch.cost", "{}"))
        return arguments

    def find(self, architectures: Sequence[Architecture]) -> NDArray[np.int64]:
        return np.array([self._row(architecture) for architecture in architectures], dtype=np.int64)

    def keys(self, architectures: Sequence[Architecture], rows: NDArray[np.int64]) -> list[str]:
        return [self.space.key(architecture) for architecture in architectures]

    def digest(self, scores: NDArray[np.float64], column: str) -> str:
        digest = hashlib.blake2b("\n".join(self._texts).encode(), digest_size=8)
        digest.update(np.ascontiguousarray(scores).data)
        return digest.hexdigest()

    def __len__(self) -> int:
        return len(self._texts)

    def _row(self, architecture: Architecture) -> int:
        row = self._rows.get(str(architecture))
        return self._rows_by_key.get(self.space.key(architecture), -1) if row is None else row

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {text: row for row, text in enumerate(self._texts)}

    @cached_property
    def _rows_by_key(self) -> dict[str, int]:
        """The first row of each structure."""
        rows: dict[str, int] = {}
        for row, text in enumerate(self._texts):
            try:
                rows.setdefault(self.space.key(self.space.parse(text)), row)
            except ArchitectureError as error:
                raise TableError(f"table {self.name}, row {row}: {error}") from error
        return rows


def _texts(table: pa.Table, name: str) -> list[str]:
    for column in _ARCHITECTURE_COLUMNS:
        if column in table.column_names:
            texts: list[str] = table[column].to_pylist()
            return texts
    raise TableError(
        f"table {name}: expected a column {' or '.join(map(repr, _ARCHITECTURE_COLUMNS))} with the architectures' texts; "
        f"it has {', '.join(table.column_names)}."
    )
