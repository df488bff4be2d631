"""The evaluator that looks up scores in a benchmark table."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from archsearch.errors import ConfigurationError, TableError, check_kind, unknown_name
from archsearch.evaluators.evaluation import Evaluation
from archsearch.evaluators.evaluator import Evaluator
from archsearch.evaluators.tables.columns import ROUNDING, failure_mark, is_cost, spans_percent
from archsearch.evaluators.tables.content import TableContent
from archsearch.evaluators.tables.in_memory import InMemoryContent
from archsearch.evaluators.tables.installed import (
    EMBEDDED_SCORE,
    embedded_path,
    embedded_tables,
    installed_path,
    installed_tables,
    space_of,
)
from archsearch.evaluators.tables.mapped import MappedContent
from archsearch.evaluators.tables.parquet_file import read_parquet
from archsearch.evaluators.tables.table_file import is_layout
from archsearch.spaces import Architecture, SearchSpace
from archsearch.spaces.listed import listed

__all__ = ["TabularEvaluator", "embedded_tables", "installed_tables"]


class TabularEvaluator(Evaluator):
    """Scores candidates by one column of a table; the other numeric columns become metrics.

    A candidate is found by its text form, else by its key: equal structures share a row.

    An imported table stays in its file, is read column by column, and is pickled as a path. Any other table is held in memory and
    pickled with its rows.

    Args:
        space: Space of the architectures.
        table: One row an architecture: the column `architecture` (or `arch`), `score`, and any further numeric columns.
            A column `seconds` holds the duration of each evaluation when it was made, which is charged to the search.
        score: Column to score by; higher is better.
        name: Name of the table.
        percent: Whether the score column is in percent and is to be divided by 100. None decides by its largest value; of an
            imported table, accuracies are fractions.

    Raises:
        TableError: A column is missing, or the scores are not numbers.

    Example:
        >>> import pyarrow as pa
        >>> from archsearch import spaces
        >>> from archsearch.evaluators import TabularEvaluator
        >>> space = spaces.get("nasbench201")
        >>> cell = space.from_genotype([3, 0, 1, 0, 0, 1])
        >>> table = pa.table({"architecture": [str(cell)], "valid_accuracy": [0.91], "params": [73306]})
        >>> [evaluation] = TabularEvaluator(space, table, "valid_accuracy").evaluate([cell])
        >>> evaluation.score, evaluation.metrics["params"]
        (0.91, 73306.0)
    """

    def __init__(
        self,
        space: SearchSpace,
        table: pa.Table | TableContent,
        score: str,
        *,
        name: str = "table",
        percent: bool | None = None,
    ) -> None:
        super().__init__(space)
        check_kind("table", table, (pa.Table, TableContent), "a pyarrow.Table; read files with from_parquet")
        self._content = table if isinstance(table, TableContent) else InMemoryContent(space, table, name)
        self.name, self.score = self._content.name, score
        self.path: Path | None = None
        if score not in self._content.metrics:
            raise TableError(f"score: {unknown_name(f'column of {self.name}', score, self._content.metrics)}")
        scores = self._content.column(score)
        if not np.isfinite(scores).any():
            raise TableError(f"score: the column {score!r} of {self.name} holds no number; choose another column.")
        if percent is None:
            percent = not isinstance(self._content, MappedContent) and spans_percent(
                scores[np.isfinite(scores) & (scores >= 0.0)]
            )
        self._divisor = 100.0 if percent else 1.0

    @classmethod
    def from_parquet(
        cls, space: SearchSpace, path: str | Path, score: str | None = None, *, percent: bool | None = None, **options: Any
    ) -> Self:
        """Return the evaluator of a Parquet file, imported or not.

        Args:
            space: Space of the architectures.
            path: Path of the file.
            score: Column to score by; an imported table has a default.
            percent: As for the constructor.
            **options: Further arguments of the constructor.

        Raises:
            TableError: The file is missing or corrupt, or lacks a column.
            ConfigurationError: The table was imported for another space.
        """
        check_kind("space", space, SearchSpace, "a search space, such as spaces.get('nasbench201')")
        check_kind("path", path, (str, Path), "the path of a Parquet file")
        path = Path(path)
        if is_layout(path):
            content = MappedContent(space, path)
            content.load_index()
            found = cls(space, content, score or content.score, percent=percent, **options)
        elif score is None:
            raise TableError(f"score: which column of {path} scores? Name it, or import the table.")
        else:
            found = cls(space, read_parquet(path), score, name=path.stem, percent=percent, **options)
        found.path = path.absolute()
        return found

    @classmethod
    def embedded(
        cls,
        name: str,
        score: str = EMBEDDED_SCORE,
        space: SearchSpace | None = None,
        *,
        percent: bool | None = None,
        **options: Any,
    ) -> Self:
        """Return the evaluator of a table that the package ships; see `embedded_tables`.

        Options are those of `from_parquet`.

        Raises:
            TableError: There is none of that name, or it lacks the column.
            ConfigurationError: The table is of another space.
        """
        check_kind("table", name, str, "the name of a table of the package")
        check_kind("space", space, (SearchSpace, type(None)), "a search space, such as spaces.get('nasbench201')")
        if name not in embedded_tables():
            raise TableError(f"table: {unknown_name('table', name, embedded_tables())} Or give the path of a Parquet file.")
        path = embedded_path(name)
        owner = space_of(path)
        if space is not None and space.name != owner:
            raise ConfigurationError(f"space: the table {name} is of {owner}; got {space.name}. Use space={owner!r}.")
        return cls.from_parquet(space or _space(owner), path, score, percent=percent, **options)

    @classmethod
    def installed(
        cls,
        name: str,
        score: str | None = None,
        space: SearchSpace | None = None,
        *,
        percent: bool | None = None,
        **options: Any,
    ) -> Self:
        """Return the evaluator of a table that `archsearch import` installed; see `installed_tables`.

        Options are those of `from_parquet`.

        Raises:
            TableError: There is none of that name, it is corrupt, or it lacks the column.
            ConfigurationError: The table is of another space.
        """
        check_kind("table", name, str, "the name of an imported table")
        path = installed_path(name)
        return cls.from_parquet(space or _space(space_of(path)), path, score, percent=percent, **options)

    def __getstate__(self) -> dict[str, Any]:
        derived = ("_scores", "_metrics", "_costs", "_digest")
        return {name: value for name, value in self.__dict__.items() if name not in derived}

    @property
    def task(self) -> str:
        return self.name

    @property
    def score_name(self) -> str:
        return self.score

    @property
    def score_is_fraction(self) -> bool:
        return bool(np.nanmin(self._scores) >= 0.0 and np.nanmax(self._scores) <= 1.0 + ROUNDING)

    @property
    def chance(self) -> float:
        return self._content.chance

    @property
    def is_lookup(self) -> bool:
        return True

    @property
    def cost_arguments(self) -> Mapping[str, Any]:
        return self._content.cost_arguments

    @property
    def metric_names(self) -> tuple[str, ...]:
        return tuple(name for name in self._content.metrics if name != self.score)

    @property
    def cost_names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*super().cost_names, *self._cost_columns)))

    def costs(self, architecture: Architecture) -> dict[str, float]:
        """Return the costs of an architecture, known before its score is looked up.

        They are the table's columns for which `is_cost` is True, except the score; `params` and `macs` are counted by
        `space.cost` if the table does not have them.
        """
        row = int(self._content.find([architecture])[0])
        known = _finite(self._cost_columns, self._costs[row].tolist()) if row >= 0 else {}
        return known if "params" in known and "macs" in known else {**super().costs(architecture), **known}

    def __len__(self) -> int:
        return len(self._content)

    @property
    def is_partial(self) -> bool:
        """Whether the table certainly lacks structures of the space."""
        return self._content.num_structures < (self.space.num_unique or self.space.size)

    def listed_space(self) -> SearchSpace:
        """Return the space of the architectures in the table."""
        if self.path is None:
            return listed(self.space, self.architectures)
        return listed(self.space, partial(_texts, self.space, self.path, self.score))

    def confined(self) -> Self:
        """Return this evaluator for the space of the architectures in the table."""
        made = copy.copy(self)
        vars(made)["space"] = self.listed_space()
        return made

    @property
    def architectures(self) -> list[str]:
        """The table's architectures in text form, in its order."""
        return list(self._content.texts)

    def column(self, name: str) -> NDArray[np.float64]:
        """Return a numeric column, `[rows]` float64."""
        if name not in self._content.metrics:
            raise TableError(unknown_name(f"column of {self.name}", name, self._content.metrics))
        return self._scores if name == self.score else self._content.column(name).astype(np.float64)

    def settings(self) -> Mapping[str, Any]:
        return {"space": self.space.name, "table": self._digest, "score": self.score}

    def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        if not architectures:
            return []
        rows = self._content.find(architectures)
        keys = self._content.keys(architectures, rows)
        figures, seconds = self._metrics[rows], self._content.seconds[rows].tolist()
        whole: NDArray[np.bool_] = np.logical_and.reduce(np.isfinite(figures), axis=1)
        names, place = self._content.metrics, self._content.metrics.index(self.score)
        evaluations = []
        for index, (architecture, row, values) in enumerate(zip(architectures, rows.tolist(), figures.tolist(), strict=True)):
            if row < 0:
                evaluations.append(_failed(architecture, keys[index], f"not in the table {self.name}"))
                continue
            metrics = dict(zip(names, values, strict=True)) if whole[index] else _finite(names, values)
            if self.score in metrics:
                evaluations.append(Evaluation(architecture, keys[index], values[place], metrics, seconds[index]))
            else:
                evaluations.append(_failed(architecture, keys[index], f"the table {self.name} has no {self.score} for it"))
        return evaluations

    @cached_property
    def _cost_columns(self) -> tuple[str, ...]:
        return tuple(name for name in self._content.metrics if is_cost(name) and name != self.score)

    @cached_property
    def _scores(self) -> NDArray[np.float64]:
        scores = self._content.column(self.score).astype(np.float64)
        mark = None if isinstance(self._content, MappedContent) else failure_mark(self.score, scores)
        if mark is not None:  # such as -1 for failed trainings; an imported table has none
            scores = np.where(scores == mark, np.nan, scores)
        return scores / self._divisor

    @cached_property
    def _metrics(self) -> NDArray[np.float64]:
        """All metrics, `[rows, metrics]`; those of an architecture are contiguous in memory."""
        return self._matrix(self._content.metrics)

    @cached_property
    def _costs(self) -> NDArray[np.float64]:
        """The costs, `[rows, costs]`."""
        return self._matrix(self._cost_columns)

    def _matrix(self, names: Sequence[str]) -> NDArray[np.float64]:
        matrix = np.empty((len(self), len(names)))
        for place, name in enumerate(names):
            matrix[:, place] = self._scores if name == self.score else self._content.column(name)
        return matrix

    @cached_property
    def _digest(self) -> str:
        return self._content.digest(self._scores, self.score)


def _texts(space: SearchSpace, path: Path, score: str) -> list[str]:
    return TabularEvaluator.from_parquet(space, path, score).architectures


def _finite(names: Sequence[str], values: Sequence[float]) -> dict[str, float]:
    return {name: value for name, value in zip(names, values, strict=True) if math.isfinite(value)}


def _failed(architecture: Architecture, key: str, error: str) -> Evaluation:
    return Evaluation(architecture, key, float("nan"), {}, 0.0, error)


def _space(name: str) -> SearchSpace:
    from archsearch.spaces import get

    return get(name)
