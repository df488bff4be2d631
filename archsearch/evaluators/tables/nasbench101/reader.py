"""Reader of NAS-Bench-101's official record files, `nasbench_only108.tfrecord` and `nasbench_full.tfrecord`.

C. Ying et al., "NAS-Bench-101: Towards Reproducible Neural Architecture Search", ICML 2019, arXiv 1902.09635. Each of the
423,624 cells was trained three times for 108 epochs, and in the full file three times each for 4, 12 and 36 as well.
"""

from __future__ import annotations

import hashlib
from array import array
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from archsearch.errors import TableError
from archsearch.evaluators.tables.draft import Progress, TableDraft
from archsearch.evaluators.tables.nasbench101.cells import COST, CellTable
from archsearch.evaluators.tables.nasbench101.record import training
from archsearch.evaluators.tables.nasbench101.tfrecord import Record, read_records

_CELLS = 423_624
_PUBLISHED = {  # SHA-256, from the README of google-research/nasbench
    "3d64db8180fb1b0207212f9032205064312b6907a3bbc81eabea10db2f5c7e9c": "nasbench_full.tfrecord",
    "4c39c3936e36a85269881d659e44e61a245babcb72cb374eacacf75d0e5f4fd1": "nasbench_only108.tfrecord",
}


def read_nasbench101(path: str | Path, *, progress: Progress | None = None) -> TableDraft:
    """Return the table of a record file of NAS-Bench-101, its cells in the order of the file.

    The columns are `valid_accuracy`, `test_accuracy` and `train_accuracy` after the longest training, means over the repeats;
    `valid_accuracy_run1` and so on, single repeats, of which the benchmark's own query draws one; `seconds`, the mean training
    time; `params`; and for each shorter training, such as that of 4 epochs, `valid_accuracy_e4`, `test_accuracy_e4` and
    `seconds_e4`.

    The file is read as a stream; the full one takes some 400 MB of memory for its numbers. A file that has the name of one of the
    two published files, or all of their cells, must have the SHA-256 of one of them, so that a single wrong bit is found. Any
    other file must have records of the right form; the source of the table then says that it is none of the published ones.

    Args:
        path: The file.
        progress: Called repeatedly with the bytes read and the bytes of the file.

    Raises:
        TableError: The file is missing, corrupt, cut short, or no record file of NAS-Bench-101; the record is named where one is
            wrong.
    """
    file = Path(path)
    trainings = _Trainings(file.name)
    for record in read_records(file, progress=progress):
        trainings.add(record)
    if not len(trainings.cells):
        raise TableError(f"{file.name}: expected records of NAS-Bench-101; the file is empty. Fetch it again.")
    columns, meanings = trainings.columns()
    rows = pa.table({"architecture": trainings.cells.texts(), **columns, "params": trainings.cells.params})
    meanings["params"] = "trainable parameters"
    return TableDraft(
        space="nasbench101",
        rows=rows,
        score="valid_accuracy",
        source=_source(file, len(rows)),
        chance=0.1,
        cost=COST,
        columns=meanings,
    )


class _Trainings:
    """The trainings of a file: a few columns of numbers."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.cells = CellTable(name)
        self._rows, self._epochs = array("i"), array("i")
        self._values = {name: array("d") for name in ("valid_accuracy", "test_accuracy", "train_accuracy", "seconds")}

    def add(self, record: Record) -> None:
        """Add one record."""
        try:
            given = training(record.data)
        except (ValueError, RecursionError) as error:
            raise TableError(
                f"{self._name}: record {record.number}, at byte {record.offset}, is not one of NAS-Bench-101: {error}. "
                "Give the path of nasbench_only108.tfrecord or nasbench_full.tfrecord."
            ) from error
        self._rows.append(self.cells.row(given, record))
        self._epochs.append(given.epochs)
        for name, values in self._values.items():
            values.append(getattr(given, name))

    def columns(self) -> tuple[dict[str, NDArray[np.float64]], dict[str, str]]:
        """Return the columns `[cells]`, and the meaning of each."""
        epochs = np.asarray(self._epochs)
        *shorter, longest = np.unique(epochs).tolist()
        table: dict[str, NDArray[np.float64]] = {}
        meanings: dict[str, str] = {}
        order = self._by_cell(epochs, longest)
        repeats = f"mean of {order.shape[1]} trainings"
        for name, what in _MEANINGS.items():
            values = np.asarray(self._values[name])[order]
            table[name], meanings[name] = values.mean(axis=1), f"{what.format(longest)}, {repeats}"
            if name == "valid_accuracy":
                for run in range(order.shape[1]):
                    table[f"{name}_run{run + 1}"] = values[:, run]
                    meanings[f"{name}_run{run + 1}"] = f"{what.format(longest)}, training {run + 1}"
        for budget in shorter:
            order = self._by_cell(epochs, budget)
            for name in ("valid_accuracy", "test_accuracy", "seconds"):
                column = f"{name}_e{budget}"
                table[column] = np.asarray(self._values[name])[order].mean(axis=1)
                meanings[column] = f"{_MEANINGS[name].format(budget)}, mean of {order.shape[1]} trainings"
        return table, meanings

    def _by_cell(self, epochs: NDArray[np.int64], budget: int) -> NDArray[np.int64]:
        """Return the trainings of a budget, `[cells, repeats]`, in the order of the file."""
        chosen = np.flatnonzero(epochs == budget)
        rows = np.asarray(self._rows)[chosen]
        counts = np.bincount(rows, minlength=len(self.cells))
        if (counts != counts[0]).any():
            usual = int(np.bincount(counts).argmax())
            row = int(np.argmax(counts != usual))
            raise TableError(
                f"{self.cells.describe(row)} was trained {counts[row]} times for {budget} epochs, and others {usual} times. The "
                f"file, of {len(epochs)} records, is not complete: fetch it again."
            )
        return chosen[np.argsort(rows, kind="stable")].reshape(len(self.cells), -1)


_MEANINGS = {
    "valid_accuracy": "accuracy on 10,000 images held out of the training set, after {} epochs, a fraction",
    "test_accuracy": "accuracy on the test set, after {} epochs, a fraction",
    "train_accuracy": "accuracy on 10,000 training images, after {} epochs, a fraction",
    "seconds": "training time for {} epochs without evaluation, on a TPU, seconds",
}


def _source(file: Path, cells: int) -> str:
    """Return the origin of the table, for its card.

    Raises:
        TableError: The file passes for a published one but has another SHA-256.
    """
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    if digest not in _PUBLISHED and (file.name in _PUBLISHED.values() or cells == _CELLS):
        raise TableError(
            f"{file.name}: expected the SHA-256 of a published file, {' or '.join(_PUBLISHED)}; got {digest}. The file is "
            "corrupt: fetch it again."
        )
    published = f"the published {_PUBLISHED[digest]}" if digest in _PUBLISHED else "neither of the two published files"
    part = "" if cells == _CELLS else f"; {cells:,} of the {_CELLS:,} cells"
    return f"NAS-Bench-101 (Ying et al. 2019), {file.name}, SHA-256 {digest}: {published}{part}"
