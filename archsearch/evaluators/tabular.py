"""The evaluator that looks scores up in a benchmark table."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from archsearch.errors import ArchitectureError, ConfigurationError, TableError, unknown_name
from archsearch.evaluators.evaluation import Evaluation
from archsearch.evaluators.evaluator import Evaluator
from archsearch.spaces import Architecture, SearchSpace

_ARCHITECTURE_COLUMNS = ("architecture", "arch")
_SECONDS = "seconds"


class TabularEvaluator(Evaluator):
    """Scores candidates by one column of a table; the other numeric columns come along as metrics.

    A candidate is found by its text, or else by its key: structures that are equal share a row.

    Args:
        space: Space of the architectures.
        table: One row an architecture: the column `architecture` (or `arch`), `score`, and any further numeric columns.
            A column `seconds` holds what each evaluation cost when it was made, and is charged to the search.
        score: Column to score by; higher is better.
        name: What the table is called.
        percent: Whether the score column is in percent and is to be divided by 100; None decides by its largest value.

    Raises:
        TableError: A column is missing, or the scores are not numbers.
    """

    def __init__(
        self, space: SearchSpace, table: pa.Table, score: str, *, name: str = "table", percent: bool | None = None
    ) -> None:
        super().__init__(space)
        self.name, self.score = name, score
        self._texts = _texts(table, name)
        numeric = [field.name for field in table.schema if pa.types.is_floating(field.type) or pa.types.is_integer(field.type)]
        self._columns: dict[str, NDArray[np.float64]] = {
            column: table[column].to_numpy().astype(np.float64) for column in numeric if column not in (_SECONDS, "key")
        }
        if score not in self._columns:
            raise TableError(f"score: {unknown_name(f'column of {name}', score, self._columns)}")
        scores = self._columns[score]
        if not np.isfinite(scores).any():
            raise TableError(f"score: the column {score!r} of {name} holds no number; choose another column.")
        highest = float(np.nanmax(scores))
        if percent if percent is not None else 1.0 < highest <= 100.0:
            self._columns[score] = scores / 100.0
        card = {name.decode(): value.decode() for name, value in (table.schema.metadata or {}).items()}
        self._chance = float(card.get("archsearch.chance", 0.0))
        self._cost_arguments: dict[str, Any] = json.loads(card.get("archsearch.cost", "{}"))
        self._seconds = table[_SECONDS].to_numpy().astype(np.float64) if _SECONDS in numeric else np.zeros(len(table))

    @classmethod
    def from_parquet(cls, space: SearchSpace, path: str | Path, score: str, *, percent: bool | None = None) -> TabularEvaluator:
        """Return the evaluator of a Parquet file.

        Raises:
            TableError: The file is missing, is not a whole Parquet file, or lacks a column.
        """
        return cls(space, _read(Path(path)), score, name=Path(path).stem, percent=percent)

    @classmethod
    def embedded(cls, name: str, score: str = "valid_accuracy", space: SearchSpace | None = None) -> TabularEvaluator:
        """Return the evaluator of a table that the package ships; see `embedded_tables`.

        Raises:
            TableError: There is none of that name, or it lacks the column.
            ConfigurationError: The table is of another space.
        """
        if name not in embedded_tables():
            raise TableError(f"table: {unknown_name('table', name, embedded_tables())} Or give the path of a Parquet file.")
        table = _read(_folder() / f"{name}.parquet")
        owner = (table.schema.metadata or {}).get(b"archsearch.space", b"").decode()
        if space is not None and space.name != owner:
            raise ConfigurationError(f"space: the table {name} is of {owner}; got {space.name}. Use space={owner!r}.")
        if space is None:
            from archsearch.spaces import get

            space = get(owner)
        return cls(space, table, score, name=name)

    @property
    def task(self) -> str:
        return self.name

    @property
    def score_name(self) -> str:
        return self.score

    @property
    def score_is_fraction(self) -> bool:
        scores = self._columns[self.score]
        return bool(np.nanmin(scores) >= 0.0 and np.nanmax(scores) <= 1.0)

    @property
    def chance(self) -> float:
        return self._chance

    @property
    def is_lookup(self) -> bool:
        return True

    @property
    def cost_arguments(self) -> Mapping[str, Any]:
        return self._cost_arguments

    def __len__(self) -> int:
        return len(self._texts)

    @property
    def architectures(self) -> list[str]:
        """The texts of the table's architectures, in its order."""
        return list(self._texts)

    def column(self, name: str) -> NDArray[np.float64]:
        """Return a numeric column, `[rows]` float64."""
        if name not in self._columns:
            raise TableError(unknown_name(f"column of {self.name}", name, self._columns))
        return self._columns[name]

    def settings(self) -> Mapping[str, Any]:
        return {"space": self.space.name, "table": self._digest, "score": self.score}

    def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        return [self._evaluate(architecture) for architecture in architectures]

    def _evaluate(self, architecture: Architecture) -> Evaluation:
        key = self.space.key(architecture)
        row = self._rows.get(str(architecture))
        if row is None:
            row = self._rows_by_key.get(key)
        if row is None:
            return self.failed(architecture, f"not in the table {self.name}")
        metrics = {name: float(values[row]) for name, values in self._columns.items() if np.isfinite(values[row])}
        if self.score not in metrics:
            return self.failed(architecture, f"the table {self.name} has no {self.score} for it")
        return Evaluation(architecture, key, metrics[self.score], metrics, float(self._seconds[row]))

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

    @cached_property
    def _digest(self) -> str:
        digest = hashlib.blake2b("\n".join(self._texts).encode(), digest_size=8)
        digest.update(np.ascontiguousarray(self._columns[self.score]).data)
        return digest.hexdigest()


def embedded_tables() -> list[str]:
    """Return the names of the tables that the package ships."""
    return sorted(path.stem for path in _folder().glob("*.parquet"))


def _folder() -> Path:
    return Path(str(resources.files("archsearch.evaluators"))) / "tables"


def _read(path: Path) -> pa.Table:
    if not path.is_file():
        raise TableError(f"table: expected a Parquet file; there is none at {path}.")
    try:
        return pq.read_table(path, memory_map=True)
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise TableError(f"table: {path} is not a whole Parquet file ({reason}); fetch or make it again.") from error


def _texts(table: pa.Table, name: str) -> list[str]:
    for column in _ARCHITECTURE_COLUMNS:
        if column in table.column_names:
            texts: list[str] = table[column].to_pylist()
            return texts
    raise TableError(
        f"table {name}: expected a column {' or '.join(map(repr, _ARCHITECTURE_COLUMNS))} with the architectures' texts; "
        f"it has {', '.join(table.column_names)}."
    )
