"""The cells of a record file of NAS-Bench-101, by the benchmark's hash."""

from __future__ import annotations

from array import array
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archsearch.errors import TableError
from archsearch.evaluators.tables.nasbench101.record import Training
from archsearch.evaluators.tables.nasbench101.tfrecord import Record
from archsearch.spaces.graph import INPUT, OUTPUT
from archsearch.spaces.nasbench101.code import (
    INTERIOR,
    MAX_VERTICES,
    OPERATOR_BITS,
    OPERATORS,
    Codes,
    canonical,
    edges_of,
    from_adjacency,
    is_valid,
    pruned,
)
from archsearch.spaces.nasbench101.graphs import graphs_of
from archsearch.spaces.nasbench101.space import NASBench101

COST: dict[str, Any] = {"input_shape": [3, 32, 32], "num_classes": 10, "channels": 128, "cells_per_stack": 3, "stacks": 3}
"""Arguments of `space.cost` for the networks of the benchmark (section 2.1 of the paper)."""

_COMPARED = 1000
"""Cells of which the parameters are compared with those of the space: counting takes some 0.1 ms a cell."""


class CellTable:
    """The cells of a file, in the order in which they come.

    Args:
        name: Name of the file, for messages.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._rows: dict[str, int] = {}
        self._labels: dict[str, int] = {}
        self._operators: list[list[int]] = []
        self._label, self._matrix, self._parameters = array("i"), array("q"), array("q")
        self._numbers, self._offsets = array("q"), array("q")

    def __len__(self) -> int:
        return len(self._rows)

    def row(self, given: Training, record: Record) -> int:
        """Return the row of the cell that a record is about, a new one if it was not met before.

        Raises:
            TableError: The labels or the matrix are of no cell, or an earlier record has another cell with this hash.
        """
        label = self._labels.get(given.labels)
        if label is None:
            label = self._new_labels(given.labels, record)
        vertices = len(self._operators[label]) + 2
        if len(given.matrix) != vertices * vertices or given.matrix.strip("01"):
            raise TableError(
                f"{_at(self._name, record.number, record.offset)}: expected {vertices}x{vertices} digits 0 and 1 for the labels "
                f"{given.labels}; got {given.matrix!r}. Fetch the file again."
            )
        content = label, int(given.matrix, 2), given.params
        row = self._rows.setdefault(given.cell, len(self._rows))
        if row == len(self._numbers):
            for column, value in zip((self._label, self._matrix, self._parameters), content, strict=True):
                column.append(value)
            self._numbers.append(record.number)
            self._offsets.append(record.offset)
        elif (self._label[row], self._matrix[row], self._parameters[row]) != content:
            raise TableError(
                f"{_at(self._name, record.number, record.offset)}: its cell or its parameters differ from those of record "
                f"{self._numbers[row]}, which has the same hash {given.cell}. Fetch the file again."
            )
        return row

    def describe(self, row: int) -> str:
        """Return the place of the first record of a cell, and its hash, for messages."""
        hashes = list(self._rows)
        return f"{_at(self._name, self._numbers[row], self._offsets[row])}: cell {hashes[row]}"

    @property
    def params(self) -> NDArray[np.int64]:
        """Trainable parameters, `[cells]`.

        Raises:
            TableError: Cells that were compared have other parameters in the space.
        """
        params = np.array(self._parameters)
        space = NASBench101()
        compared = np.unique(np.linspace(0, len(self) - 1, _COMPARED).astype(np.int64))
        for row, architecture in zip(compared.tolist(), space.decode(graphs_of(self.codes[compared])), strict=True):
            counted = space.cost(architecture, **COST).params
            if counted != params[row]:
                raise TableError(
                    f"{self.describe(row)} has {params[row]} parameters in the file and {counted} in the published network. "
                    "Give the path of an official file."
                )
        return params

    @cached_property
    def codes(self) -> Codes:
        """The cells as canonical codes of the space, `[cells]`.

        Raises:
            TableError: A cell is not in the space, or two hashes stand for one cell.
        """
        label = np.array(self._label)
        operators = np.full((len(self._operators), INTERIOR), -1)
        for index, row in enumerate(self._operators):
            operators[index, : len(row)] = row
        adjacency, backward = _adjacency(np.array(self._matrix), 2 + (operators >= 0).sum(axis=1)[label])
        codes = from_adjacency(adjacency, operators[label])
        fits = is_valid(codes) & ~backward
        if not fits.all():
            raise TableError(
                f"{self.describe(int(np.argmin(fits)))} is not in the space nasbench101: its edges run backwards, do not join "
                "input and output, or are more than 9. Fetch the file again."
            )
        codes = canonical(pruned(codes))
        order = np.argsort(codes, kind="stable")
        if (twice := codes[order][1:] == codes[order][:-1]).any():
            first, second = order[np.argmax(twice)], order[np.argmax(twice) + 1]
            raise TableError(f"{self.describe(int(second))} is also that of {self.describe(int(first))}. Fetch the file again.")
        return codes

    def texts(self) -> list[str]:
        """Return the cells as texts of the space, `[cells]`.

        Matrix and labels of a text are those of any cell with these edges, and with these operators: there are few of both.
        """
        matrices, matrix = _parts(self.codes, edges_of(self.codes), 0)
        labels, label = _parts(self.codes, self.codes & (1 << OPERATOR_BITS) - 1, 1)
        return [
            f"{matrices[edges]} {labels[operators]}" for edges, operators in zip(matrix.tolist(), label.tolist(), strict=True)
        ]

    def _new_labels(self, text: str, record: Record) -> int:
        first, *inner, last = text.split(",") if "," in text else ("", "")
        if first != INPUT or last != OUTPUT or len(inner) > INTERIOR or not set(inner) <= set(OPERATORS):
            raise TableError(
                f"{_at(self._name, record.number, record.offset)}: expected the labels {INPUT}, at most {INTERIOR} of "
                f"{', '.join(OPERATORS)}, and {OUTPUT}; got {text!r}. Give the path of an official file."
            )
        self._operators.append([OPERATORS.index(operator) for operator in inner])
        return self._labels.setdefault(text, len(self._labels))


def _adjacency(matrix: NDArray[np.int64], vertices: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the edges of matrices given as their digits, as `from_adjacency` takes them, and whether some run backwards."""
    adjacency = np.zeros(len(matrix), dtype=np.int64)
    backward = np.zeros(len(matrix), dtype=bool)
    for size in range(2, MAX_VERTICES + 1):
        rows = np.flatnonzero(vertices == size)
        for source in range(size):
            for target in range(size):
                bit = matrix[rows] >> size * size - 1 - (source * size + target) & 1
                if source < target:
                    adjacency[rows] |= bit << source + target * (target - 1) // 2
                else:
                    backward[rows] |= bit.astype(bool)
    return adjacency, backward


def _parts(codes: Codes, by: NDArray[np.int64], part: int) -> tuple[list[str], NDArray[np.int64]]:
    """Return the distinct matrices (part 0) or labels (part 1) of cells, and which of them each cell has."""
    _, example, which = np.unique(by, return_index=True, return_inverse=True)
    return [str(cell).split(" ")[part] for cell in NASBench101().decode(graphs_of(codes[example]))], which


def _at(name: str, number: int, offset: int) -> str:
    return f"{name}, record {number} at byte {offset}"
