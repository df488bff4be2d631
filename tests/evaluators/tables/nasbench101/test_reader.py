"""The official record files of NAS-Bench-101, made small."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from archsearch.errors import TableError
from archsearch.evaluators.tables.nasbench101.cells import CellTable
from archsearch.evaluators.tables.nasbench101.reader import read_nasbench101
from archsearch.evaluators.tables.nasbench101.record import Training
from archsearch.evaluators.tables.nasbench101.tfrecord import Record
from archsearch.spaces.nasbench101.space import NASBench101

Writer = Callable[[Path, list[bytes]], Path]
SPACE = NASBench101()
A, B, C = "conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3"
# The cell, and one of its trainings, that the notebook NASBench.ipynb of google-research/nasbench prints.
INCEPTION = ("0111100000000100000010000001000001000000010000000", f"input,{A},{B},{C},{A},{A},output")
PRINTED = {"time": 1155.85302734375, "train": 1.0, "valid": 0.9376001358032227, "test": 0.9311898946762085}
PLAIN = ("010001000", f"input,{C},output")
DIRECT = ("0100", "input,output")
CELLS = {"c" * 32: INCEPTION, "1" * 32: PLAIN, "f" * 32: DIRECT}
BUDGETS = (4, 12, 36, 108)


def messages() -> type:
    """The message ModelMetrics, as nasbench/lib/model_metrics.proto describes it."""
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="model_metrics.proto", package="nasbench", syntax="proto2")
    metrics, evaluation = file.message_type.add(name="ModelMetrics"), file.message_type.add(name="EvaluationData")
    metrics.field.add(name="evaluation_data", number=1, label=3, type=kinds.TYPE_MESSAGE, type_name=".nasbench.EvaluationData")
    metrics.field.add(name="trainable_parameters", number=2, label=1, type=kinds.TYPE_INT32)
    metrics.field.add(name="total_time", number=3, label=1, type=kinds.TYPE_DOUBLE)
    names = ("current_epoch", "training_time", "train_accuracy", "validation_accuracy", "test_accuracy")
    for number, name in enumerate(names, 1):
        evaluation.field.add(name=name, number=number, label=1, type=kinds.TYPE_DOUBLE)
    evaluation.field.add(name="checkpoint_path", number=6, label=1, type=kinds.TYPE_STRING)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("nasbench.ModelMetrics"))


METRICS = messages()


def metrics(params: int | None, end: dict[str, float], total: float | None = None) -> bytes:
    """Return measurements whose evaluations at the begin and half-way must not matter."""
    message = METRICS(total_time=total)
    if params is not None:
        message.trainable_parameters = params
    names = {"time": "training_time", "train": "train_accuracy", "valid": "validation_accuracy", "test": "test_accuracy"}
    for epoch in (0.0, 54.0):
        message.evaluation_data.add(current_epoch=epoch, **dict.fromkeys(names.values(), 0.05), checkpoint_path="model.ckpt-1")
    message.evaluation_data.add(current_epoch=108.0, **{names[name]: value for name, value in end.items()})
    return bytes(message.SerializeToString())


def record(cell: str, epochs: int, raw: tuple[str, str], content: bytes) -> bytes:
    return json.dumps([cell, epochs, *raw, base64.b64encode(content).decode()]).encode()


def params_of(raw: tuple[str, str]) -> int:
    matrix, labels = raw
    size = math.isqrt(len(matrix))
    rows = [[int(digit) for digit in matrix[size * row : size * (row + 1)]] for row in range(size)]
    return SPACE.cost(SPACE.parse(f"{rows} [{labels}]")).params


def measured(cell: str, epochs: int, repeat: int) -> dict[str, float]:
    """Make numbers up, different for all."""
    rng = np.random.default_rng([int(cell[0], 16), epochs, repeat])
    return dict(zip(("train", "valid", "test"), rng.random(3).tolist(), strict=True)) | {"time": float(rng.random() * 1000)}


def full() -> list[bytes]:
    """Return the records of all cells, budgets and repeats."""
    return [
        record(cell, epochs, raw, metrics(params_of(raw), measured(cell, epochs, repeat), total=repeat or None))
        for cell, raw in CELLS.items()
        for epochs in BUDGETS
        for repeat in range(3)
    ]


def test_full_file_gives_every_budget(tmp_path: Path, write_records: Writer) -> None:
    draft = read_nasbench101(write_records(tmp_path / "full.tfrecord", full()))
    rows = draft.rows.to_pylist()
    assert (draft.space, draft.score, draft.chance) == ("nasbench101", "valid_accuracy", 0.1)
    assert [row["architecture"] for row in rows] == [
        f"[[0,1,1,1,1,0,0],[0,0,0,0,0,0,1],[0,0,0,0,0,0,1],[0,0,0,0,0,0,1],[0,0,0,0,0,1,0],[0,0,0,0,0,0,1],[0,0,0,0,0,0,0]] "
        f"[input,{A},{B},{C},{A},{A},output]",
        f"[[0,1,0],[0,0,1],[0,0,0]] [input,{C},output]",
        "[[0,1],[0,0]] [input,output]",
    ]
    for (cell, raw), row in zip(CELLS.items(), rows, strict=True):
        runs = {budget: [measured(cell, budget, repeat) for repeat in range(3)] for budget in BUDGETS}
        expected = {"architecture": row["architecture"], "params": params_of(raw)}
        for name, short in (
            ("valid_accuracy", "valid"),
            ("test_accuracy", "test"),
            ("train_accuracy", "train"),
            ("seconds", "time"),
        ):
            expected[name] = pytest.approx(np.mean([run[short] for run in runs[108]]), rel=1e-12)
            if name != "train_accuracy":
                for budget in (4, 12, 36):
                    expected[f"{name}_e{budget}"] = pytest.approx(np.mean([run[short] for run in runs[budget]]), rel=1e-12)
        expected |= {f"valid_accuracy_run{repeat + 1}": run["valid"] for repeat, run in enumerate(runs[108])}
        assert row == expected
    assert set(draft.columns) == set(draft.rows.column_names) - {"architecture"}
    assert (
        draft.columns["seconds_e36"] == "training time for 36 epochs without evaluation, on a TPU, seconds, mean of 3 trainings"
    )
    assert "3 of the 423,624 cells" in draft.source
    assert "none of the two published files" in draft.source


def test_order_of_records_does_not_matter_but_cells_keep_theirs(tmp_path: Path, write_records: Writer) -> None:
    records = full()
    whole = read_nasbench101(write_records(tmp_path / "whole", records)).rows
    turned = read_nasbench101(write_records(tmp_path / "turned", records[::-1])).rows
    assert turned["architecture"].to_pylist() == whole["architecture"].to_pylist()[::-1]
    assert turned["valid_accuracy_run1"].to_pylist() == whole["valid_accuracy_run3"].to_pylist()[::-1]
    assert np.allclose(turned["seconds_e12"].to_numpy(), whole["seconds_e12"].to_numpy()[::-1], rtol=1e-12, atol=0)


def test_numbers_that_the_benchmark_prints(tmp_path: Path, write_records: Writer) -> None:
    records = [record("c" * 32, 108, INCEPTION, metrics(2694282, PRINTED))] * 3
    [row] = read_nasbench101(write_records(tmp_path / "one", records)).rows.to_pylist()
    assert (row["params"], row["seconds"], row["train_accuracy"]) == (2694282, 1155.85302734375, 1.0)
    assert (row["valid_accuracy_run2"], row["test_accuracy"]) == (
        0.9376001358032227,
        pytest.approx(0.9311898946762085, rel=1e-15),
    )
    assert set(row) == {
        *("architecture", "valid_accuracy", "valid_accuracy_run1", "valid_accuracy_run2", "valid_accuracy_run3"),
        *("test_accuracy", "train_accuracy", "seconds", "params"),
    }


def test_cell_numbered_otherwise_is_the_same_architecture(tmp_path: Path, write_records: Writer) -> None:
    # As the notebook asks for it.
    asked = ("0111010000000100000010000100000000100000010000000", f"input,{B},{A},{A},{A},{C},output")
    records = [record("c" * 32, 108, asked, metrics(2694282, PRINTED))]
    [row] = read_nasbench101(write_records(tmp_path / "one", records)).rows.to_pylist()
    assert row["architecture"].endswith(f"[input,{A},{B},{C},{A},{A},output]")


def test_accuracy_a_little_above_one_is_one(tmp_path: Path, write_records: Writer) -> None:
    records = [record("f" * 32, 108, DIRECT, metrics(params_of(DIRECT), PRINTED | {"train": 1.0000001}))]
    assert read_nasbench101(write_records(tmp_path / "one", records)).rows["train_accuracy"].to_pylist() == [1.0]


def test_progress_ends_with_the_file(tmp_path: Path, write_records: Writer) -> None:
    told: list[tuple[int, int]] = []
    path = write_records(tmp_path / "full", full())
    read_nasbench101(path, progress=lambda done, whole: told.append((done, whole)))
    assert told[-1] == (path.stat().st_size, path.stat().st_size)


def test_missing_repeat_is_found(tmp_path: Path, write_records: Writer) -> None:
    records = full()
    with pytest.raises(TableError) as caught:
        read_nasbench101(write_records(tmp_path / "short", records[:-1]))
    assert "record 24 at byte" in str(caught.value)
    assert f"cell {'f' * 32} was trained 2 times for 108 epochs, and others 3 times" in str(caught.value)
    assert "of 35 records, is not complete" in str(caught.value)
    with pytest.raises(TableError, match="trained 0 times for 12 epochs"):
        read_nasbench101(write_records(tmp_path / "short", records[:3] + records[9:]))


def test_cut_file_names_the_record(tmp_path: Path, write_records: Writer) -> None:
    path = write_records(tmp_path / "full", full())
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(
        TableError, match=r"full: the file ends in the middle of record 35, which begins at byte \d+ and takes \d+"
    ):
        read_nasbench101(path)


def test_empty_file_is_refused(tmp_path: Path, write_records: Writer) -> None:
    with pytest.raises(TableError, match="the file is empty"):
        read_nasbench101(write_records(tmp_path / "empty", []))


GOOD = metrics(params_of(PLAIN), PRINTED)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b"no JSON", "Expecting value"),
        (b"\xc3(", "decode"),
        (b"[" * 4000, "recursion"),
        (b'{"hash": 1}', "no list of hash, epochs, matrix, labels and measurements"),
        (json.dumps(["1" * 32, "108", *PLAIN, ""]).encode(), "no list of hash"),
        (json.dumps(["1" * 32, 108, *PLAIN, "*"]).encode(), "base64"),
        (record("1" * 32, 0, PLAIN, GOOD), "0 epochs"),
        (record("1" * 32, 108, PLAIN, b""), "0 evaluations of 3"),
        (record("1" * 32, 108, PLAIN, GOOD[:-1]), "whole number has no end"),
        (record("1" * 32, 108, PLAIN, metrics(None, PRINTED)), "None parameters"),
        (record("1" * 32, 108, PLAIN, metrics(1, {"time": 1.0, "train": 0.5, "test": 0.5})), "lacks one of training_time, "),
        (record("1" * 32, 108, PLAIN, metrics(1, PRINTED | {"valid": 93.7})), "no fractions"),
        (record("1" * 32, 108, PLAIN, metrics(1, PRINTED | {"test": math.nan})), "no fractions"),
        (record("1" * 32, 108, PLAIN, metrics(1, PRINTED | {"time": -1.0})), "-1.0 seconds"),
        (record("1" * 32, 108, PLAIN, metrics(1, PRINTED | {"time": math.inf})), "inf seconds"),
    ],
)
def test_record_of_another_form_is_named(tmp_path: Path, write_records: Writer, bad: bytes, reason: str) -> None:
    good = record("f" * 32, 108, DIRECT, metrics(params_of(DIRECT), PRINTED))
    with pytest.raises(TableError) as caught:
        read_nasbench101(write_records(tmp_path / "bad", [good, bad]))
    assert str(caught.value).startswith(f"bad: record 1, at byte {len(good) + 16}, is none of NAS-Bench-101: ")
    assert reason in str(caught.value)
    assert str(caught.value).endswith("Give the path of nasbench_only108.tfrecord or nasbench_full.tfrecord.")


DENSE = "".join("0" * (row + 1) + "1" * (6 - row) for row in range(7))


@pytest.mark.parametrize(
    ("cell", "raw", "params", "reason"),
    [
        ("1" * 32, ("010001000", f"input,{C},end"), 1, "expected the labels input, at most 5 of"),
        ("1" * 32, ("010001000", "input,conv5x5,output"), 1, "expected the labels input, at most 5 of"),
        ("1" * 32, ("0" * 64, f"input,{','.join([C] * 6)},output"), 1, "expected the labels input, at most 5 of"),
        ("1" * 32, ("0", "input"), 1, "expected the labels input, at most 5 of"),
        ("1" * 32, ("0100010", f"input,{C},output"), 1, "expected 3x3 digits 0 and 1"),
        ("1" * 32, ("010001002", f"input,{C},output"), 1, "expected 3x3 digits 0 and 1"),
        ("1" * 32, ("000001000", f"input,{C},output"), 1, "is not in the space nasbench101"),
        ("1" * 32, ("010001100", f"input,{C},output"), 1, "is not in the space nasbench101"),
        ("1" * 32, (DENSE, f"input,{','.join([C] * 5)},output"), 1, "is not in the space nasbench101"),
        ("1" * 32, DIRECT, 1, "is also that of"),
        ("f" * 32, PLAIN, 1, "differ from those of record 0"),
        ("f" * 32, DIRECT, 1, "differ from those of record 0"),
        ("1" * 32, PLAIN, params_of(PLAIN) + 1, f"{params_of(PLAIN) + 1} parameters in the file and {params_of(PLAIN)} in the"),
    ],
)
def test_wrong_cell_is_named(
    tmp_path: Path, write_records: Writer, cell: str, raw: tuple[str, str], params: int, reason: str
) -> None:
    good = record("f" * 32, 108, DIRECT, metrics(params_of(DIRECT), PRINTED))
    with pytest.raises(TableError) as caught:
        read_nasbench101(write_records(tmp_path / "bad", [good, record(cell, 108, raw, metrics(params, PRINTED))]))
    assert f"bad, record 1 at byte {len(good) + 16}" in str(caught.value)
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
