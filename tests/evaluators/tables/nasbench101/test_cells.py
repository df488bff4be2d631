"""The cells of a record file of NAS-Bench-101, by hash."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from archsearch.errors import TableError
from archsearch.evaluators.tables.nasbench101.cells import CellTable
from archsearch.evaluators.tables.nasbench101.record import Training
from archsearch.evaluators.tables.nasbench101.tfrecord import Record
from archsearch.spaces.nasbench101.space import NASBench101

SPACE = NASBench101()
POOL = "maxpool3x3"
PLAIN = ("010001000", f"input,{POOL},output")
DIRECT = ("0100", "input,output")
DENSE = "".join("0" * (row + 1) + "1" * (6 - row) for row in range(7))


def given(cell: str, raw: tuple[str, str], params: int) -> Training:
    return Training(cell, 108, *raw, params, 1.0, 0.9, 0.9, 0.9)


def params_of(raw: tuple[str, str]) -> int:
    size = int(len(raw[0]) ** 0.5)
    rows = [[int(digit) for digit in raw[0][size * row : size * (row + 1)]] for row in range(size)]
    return SPACE.cost(SPACE.parse(f"{rows} [{raw[1]}]")).params


def test_a_cell_that_comes_again_has_one_row() -> None:
    cells = CellTable("table")
    rows = [
        cells.row(given(cell, raw, params_of(raw)), Record(number, 10 * number, b""))
        for number, (cell, raw) in enumerate([("f" * 32, DIRECT), ("1" * 32, PLAIN), ("f" * 32, DIRECT)])
    ]
    assert rows == [0, 1, 0]
    assert len(cells) == 2
    assert cells.describe(1) == f"table, record 1 at byte 10: cell {'1' * 32}"
    assert cells.params.tolist() == [params_of(DIRECT), params_of(PLAIN)]


@pytest.mark.parametrize(
    ("cell", "raw", "params", "reason"),
    [
        ("1" * 32, ("010001000", f"input,{POOL},end"), 1, "expected the labels input, at most 5 of"),
        ("1" * 32, ("010001000", "input,conv5x5,output"), 1, "expected the labels input, at most 5 of"),
        ("1" * 32, ("0" * 64, f"input,{','.join([POOL] * 6)},output"), 1, "expected the labels input, at most 5 of"),
        ("1" * 32, ("0", "input"), 1, "expected the labels input, at most 5 of"),
        ("1" * 32, ("0100010", f"input,{POOL},output"), 1, "expected 3x3 digits 0 and 1"),
        ("1" * 32, ("010001002", f"input,{POOL},output"), 1, "expected 3x3 digits 0 and 1"),
        ("1" * 32, ("000001000", f"input,{POOL},output"), 1, "is not in the space nasbench101"),
        ("1" * 32, ("010001100", f"input,{POOL},output"), 1, "is not in the space nasbench101"),
        ("1" * 32, (DENSE, f"input,{','.join([POOL] * 5)},output"), 1, "is not in the space nasbench101"),
        ("1" * 32, DIRECT, 1, "is also that of"),
        ("f" * 32, PLAIN, 1, "differ from those of record 0"),
        ("f" * 32, DIRECT, 1, "differ from those of record 0"),
        ("1" * 32, PLAIN, params_of(PLAIN) + 1, f"{params_of(PLAIN) + 1} parameters in the file and {params_of(PLAIN)} in the"),
    ],
)
def test_wrong_cell_is_named(cell: str, raw: tuple[str, str], params: int, reason: str) -> None:
    cells = CellTable("bad")
    with pytest.raises(TableError) as caught:
        cells.row(given("f" * 32, DIRECT, params_of(DIRECT)), Record(0, 0, b""))
        cells.row(given(cell, raw, params), Record(1, 416, b""))
        _ = cells.codes, cells.params
    assert "bad, record 1 at byte 416" in str(caught.value)
    assert reason in str(caught.value)


def test_texts_are_those_of_the_space_on_cells_of_the_benchmark(data: Path) -> None:
    columns = ["adjacency", "ops", "n_vertices", "params"]
    table = pq.read_table(data / "nasbench101.parquet", columns=columns)
    rows: list[dict[str, Any]] = table.take(np.arange(0, len(table), 211)).to_pylist()
    cells, expected = CellTable("table"), []
    for number, row in enumerate(rows):
        size = row["n_vertices"]
        matrix = [["0"] * size for _ in range(size)]
        for target in range(size):
            for source in range(target):
                matrix[source][target] = str(row["adjacency"] >> source + target * (target - 1) // 2 & 1)
        labels = ["input", *(SPACE.operators[operator] for operator in row["ops"][: size - 2]), "output"]
        digits = "".join("".join(line) for line in matrix)
        given = Training(f"{number:032x}", 108, digits, ",".join(labels), row["params"], 1.0, 0.9, 0.9, 0.9)
        assert cells.row(given, Record(number, 0, b"")) == number
        expected.append(str(SPACE.from_adjacency(row["adjacency"], row["ops"][: size - 2])))
    assert cells.texts() == expected
    assert cells.params.tolist() == [row["params"] for row in rows]
