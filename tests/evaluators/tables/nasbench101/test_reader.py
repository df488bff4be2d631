"""Small record files in the form of the official ones of NAS-Bench-101."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from archsearch.errors import TableError
from archsearch.evaluators.tables.nasbench101 import reader
from archsearch.evaluators.tables.nasbench101.reader import read_nasbench101
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
    """Return measurements whose evaluations at the beginning and half-way must not matter."""
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


GOOD = metrics(params_of(DIRECT), PRINTED)


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
    assert "neither of the two published files" in draft.source


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


def test_record_of_another_form_is_named(tmp_path: Path, write_records: Writer) -> None:
    good = record("f" * 32, 108, DIRECT, metrics(params_of(DIRECT), PRINTED))
    for bad, reason in ((b"no JSON", "Expecting value"), (b"[" * 4000, "recursion")):
        with pytest.raises(TableError) as caught:
            read_nasbench101(write_records(tmp_path / "bad", [good, bad]))
        assert str(caught.value).startswith(f"bad: record 1, at byte {len(good) + 16}, is not one of NAS-Bench-101: ")
        assert reason in str(caught.value)
        assert str(caught.value).endswith("Give the path of nasbench_only108.tfrecord or nasbench_full.tfrecord.")


def test_wrong_cell_is_named(tmp_path: Path, write_records: Writer) -> None:
    good = record("f" * 32, 108, DIRECT, metrics(params_of(DIRECT), PRINTED))
    bad = record("1" * 32, 108, PLAIN, metrics(params_of(PLAIN) + 1, PRINTED))
    with pytest.raises(TableError, match=f"bad, record 1 at byte {len(good) + 16}: cell 1+ has {params_of(PLAIN) + 1} "):
        read_nasbench101(write_records(tmp_path / "bad", [good, bad]))


def test_flipped_bits_of_a_published_file_are_found(
    tmp_path: Path, write_records: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_records(tmp_path / "nasbench_only108.tfrecord", [record("f" * 32, 108, DIRECT, GOOD)] * 2)
    whole = path.read_bytes()
    monkeypatch.setattr(reader, "_PUBLISHED", {hashlib.sha256(whole).hexdigest(): path.name})
    assert f"the published {path.name}" in read_nasbench101(path).source
    for bit in range(0, 8 * len(whole), 29):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        with pytest.raises(TableError, match=path.name):
            read_nasbench101(path)


def test_a_file_of_all_cells_must_be_a_published_one(
    tmp_path: Path, write_records: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_records(tmp_path / "copy", [record("f" * 32, 108, DIRECT, GOOD)])
    assert "neither of the two published files; 1 of the 423,624 cells" in read_nasbench101(path).source
    monkeypatch.setattr(reader, "_CELLS", 1)
    with pytest.raises(TableError, match="copy: expected the SHA-256 of a published file, .*; got .* The file is corrupt"):
        read_nasbench101(path)


def test_scores_are_looked_up_without_protobuf_torch_and_scipy() -> None:
    program = "from archsearch import spaces\nfrom archsearch.evaluators import TabularEvaluator\nimport numpy, sys\n"
    program += "table = TabularEvaluator.embedded('digits201', 'valid_accuracy', spaces.get('nasbench201'))\n"
    program += "assert table.evaluate([table.space.sample(numpy.random.default_rng(0))])[0].score\n"
    program += "print([name for name in ('torch', 'scipy', 'google.protobuf') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "[]\n"
