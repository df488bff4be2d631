"""Import of the NAS-Bench tables of a folder of Parquet files, as table:nasbench101, table:nasbench201 and those with curves.

    ARCHSEARCH_DATA=FOLDER python -m benchmarks.tables.install

It writes each table as a file with a column of architectures, all accuracies as fractions, and imports that as `archsearch import
table` does. ARCHSEARCH_CACHE names the folder that they are installed in.

Scores after several lengths of training, and the seconds of the longest, are in tables of their own, so that figures that
were recorded with the others can be repeated: `nasbench101-curves` (the 30,001 cells that have them: one training each of 4,
12, 36 and 108 epochs), `nasbench201-curves` and `nasbench201-cifar100-curves` (12 and 200 epochs). Each length was trained on its
own.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from archsearch.evaluators.tables.draft import TableDraft
from archsearch.evaluators.tables.installed import install
from archsearch.platform.command_line import main as archsearch
from archsearch.spaces.nasbench101.space import NASBench101
from benchmarks.frame import data

SOURCE = "Parquet files of published figures of the NAS-Bench tables"
COST101 = {"input_shape": [3, 32, 32], "num_classes": 10}


def fractions(rows: pa.Table, columns: dict[str, str]) -> dict[str, pa.ChunkedArray]:
    """Return columns of percentages under new names, as fractions."""
    return {new: pc.divide(pc.cast(rows[old], pa.float64()), 100.0) for new, old in columns.items()}


def nasbench101(folder: Path) -> pa.Table:
    rows = pq.read_table(folder / "nasbench101.parquet")
    space, cells = NASBench101(), zip(rows["adjacency"].to_pylist(), rows["ops"].to_pylist(), strict=True)
    texts = pa.array([str(space.from_adjacency(adjacency, operators)) for adjacency, operators in cells])
    return pa.table({"architecture": texts, **fractions(rows, {"test_accuracy": "test_acc"})})


def nasbench201(folder: Path) -> pa.Table:
    rows = pq.read_table(folder / "nasbench201.parquet")
    columns = {"valid_accuracy": "cifar10_valid_run", "test_accuracy": "cifar10_test"}
    return pa.table({"architecture": rows["arch"], **fractions(rows, columns)})


def nasbench101_curves(folder: Path) -> TableDraft:
    rows = pq.read_table(folder / "nasbench101.parquet")
    rows = rows.filter(pc.is_valid(rows["valid_acc_run"]))
    space, cells = NASBench101(), zip(rows["adjacency"].to_pylist(), rows["ops"].to_pylist(), strict=True)
    texts = pa.array([str(space.from_adjacency(adjacency, operators)) for adjacency, operators in cells])
    shorter = {f"valid_accuracy_e{epochs}": f"valid_acc_run_e{epochs}" for epochs in (4, 12, 36)}
    accuracies = fractions(rows, {"valid_accuracy": "valid_acc_run", **shorter, "test_accuracy": "test_acc"})
    costs = {"params": rows["params"], "macs": rows["flops"], "seconds": pc.cast(rows["train_time_s_run"], pa.float64())}
    meanings = {
        "valid_accuracy": "accuracy on the validation images after 108 epochs, one training, a fraction",
        "test_accuracy": "accuracy on the test images after 108 epochs, mean of 3 trainings, a fraction",
        "seconds": "time of the training of 108 epochs, seconds",
        **{name: f"accuracy on the validation images after {name.rpartition('_e')[2]} epochs, a fraction" for name in shorter},
    }
    table = pa.table({"architecture": texts, **accuracies, **costs})
    return TableDraft("nasbench101", table, "valid_accuracy", SOURCE, 0.1, COST101, meanings)


def nasbench201_curves(folder: Path, dataset: str) -> TableDraft:
    rows = pq.read_table(folder / "nasbench201.parquet")
    longest = f"{dataset}_valid_run" if dataset == "cifar10" else f"{dataset}_valid"
    columns = {"valid_accuracy": longest, "valid_accuracy_e12": f"{dataset}_valid_e12"}
    tested = {"test_accuracy": f"{dataset}_test", "test_accuracy_e12": f"{dataset}_test_e12"}
    accuracies = fractions(rows, {**columns, **tested})
    costs = {"params": rows[f"params_{dataset}"], "macs": rows[f"flops_{dataset}"]}
    # The source has the seconds of CIFAR-10 and ImageNet16-120; CIFAR-100 has the same images and networks as CIFAR-10.
    seconds = pc.multiply(pc.cast(rows["train_s_per_epoch_cifar10"], pa.float64()), 200.0)
    meanings = {
        "valid_accuracy": "accuracy on the validation images after 200 epochs, a fraction",
        "valid_accuracy_e12": "accuracy on the validation images after 12 epochs, a fraction",
        "test_accuracy": "accuracy on the test images after 200 epochs, mean over the seeds, a fraction",
        "test_accuracy_e12": "accuracy on the test images after 12 epochs, a fraction",
        "seconds": "time of 200 epochs of training on CIFAR-10, seconds",
    }
    classes = 10 if dataset == "cifar10" else 100
    cost = {"input_shape": [3, 32, 32], "num_classes": classes, "channels": 16, "cells_per_stage": 5}
    table = pa.table({"architecture": rows["arch"], **accuracies, **costs, "seconds": seconds})
    return TableDraft("nasbench201", table, "valid_accuracy", SOURCE, 1 / classes, cost, meanings)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.tables.install", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.parse_args()
    folder = data("nasbench101.parquet", "nasbench201.parquet")
    for read in (nasbench101, nasbench201):
        name = read.__name__
        table = read(folder)
        with tempfile.TemporaryDirectory() as place:
            file = f"{place}/{name}.parquet"
            pq.write_table(table, file)
            score = "valid_accuracy" if "valid_accuracy" in table.column_names else "test_accuracy"
            options = ["--space", name, "--name", name, "--architecture", "architecture", "--score", score]
            if archsearch(["import", "table", file, *options]):
                raise SystemExit(1)
    with_curves = {
        "nasbench101-curves": nasbench101_curves(folder),
        "nasbench201-curves": nasbench201_curves(folder, "cifar10"),
        "nasbench201-cifar100-curves": nasbench201_curves(folder, "cifar100"),
    }
    for name, draft in with_curves.items():
        path, card = install(draft, name)
        print(f"Wrote {path}: {card.rows:,} architectures")


if __name__ == "__main__":
    main()
