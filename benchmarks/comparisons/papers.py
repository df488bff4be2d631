"""All searchers, one table: the preset `papers` of `archsearch compare`, on tables that know what a training cost, and on images.

    python benchmarks/papers.py digits201                                      # the table that the package ships
    ARCHSEARCH_DATA=FOLDER python benchmarks/papers.py nasbench201             # tables with seconds, made from the folder's files
    ARCHSEARCH_DATA=FOLDER python benchmarks/papers.py nasbench101
    python benchmarks/papers.py digits                                         # real trainings
    ARCHSEARCH_DATA=FOLDER python benchmarks/papers.py cifar10                 # short real trainings

It prints the two tables of the command: at an equal number of candidates, and at equal cost. Options after the name go to the
command, such as `--seeds 3 --searchers gates,random`. Called again with the same `--study`, it goes on where it was stopped.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from install_tables import fractions

from archsearch.evaluators import installed_tables
from archsearch.platform.command_line import main as archsearch
from archsearch.spaces.nasbench101.space import NASBench101

_EPOCHS_201 = 200
_CIFAR_TRAINING = ("epochs=2", "scale={channels: 8, cells_per_stage: 1}")


def data() -> Path:
    folder = os.environ.get("ARCHSEARCH_DATA")
    if not folder:
        raise SystemExit("ARCHSEARCH_DATA is unset; set it to the folder with the benchmark tables and images")
    return Path(folder)


def nasbench201() -> pa.Table:
    """Scored by one validation run; an evaluation costs 200 times the recorded seconds of an epoch."""
    rows = pq.read_table(data() / "nasbench201.parquet")
    seconds = pc.multiply(pc.cast(rows["train_s_per_epoch_cifar10"], pa.float64()), float(_EPOCHS_201))
    accuracies = fractions(rows, {"valid_accuracy": "cifar10_valid_run", "test_accuracy": "cifar10_test"})
    return pa.table({"architecture": rows["arch"], **accuracies, "seconds": seconds})


def nasbench101() -> pa.Table:
    """The 30,001 cells whose validation accuracy and training time of one run are known; the search keeps to them."""
    rows = pq.read_table(data() / "nasbench101.parquet")
    rows = rows.filter(pc.is_valid(rows["train_time_s_run"]))
    space, cells = NASBench101(), zip(rows["adjacency"].to_pylist(), rows["ops"].to_pylist(), strict=True)
    texts = pa.array([str(space.from_adjacency(adjacency, operators)) for adjacency, operators in cells])
    accuracies = fractions(rows, {"valid_accuracy": "valid_acc_run", "test_accuracy": "test_acc"})
    return pa.table({"architecture": texts, **accuracies, "seconds": pc.cast(rows["train_time_s_run"], pa.float64())})


def with_seconds(space: str) -> str:
    """Return the name of the imported table, after importing it where it is not there."""
    name = f"{space}-seconds"
    if name in installed_tables():
        return name
    with tempfile.TemporaryDirectory() as place:
        file = f"{place}/{name}.parquet"
        pq.write_table({"nasbench201": nasbench201, "nasbench101": nasbench101}[space](), file)
        columns = ["--architecture", "architecture", "--score", "valid_accuracy", "--seconds", "seconds"]
        if archsearch(["import", "table", file, "--space", space, "--name", name, *columns]):
            raise SystemExit(1)
    return name


def arguments(task: str) -> list[str]:
    """Return the options of the command for one task."""
    if task == "digits201":
        return ["--table", "digits201"]
    if task == "digits":
        return ["--dataset", "digits", "--train", "report_test=true"]
    # The file with the test images lies beside it.
    images = f"parquet:{data() / 'cifar10_train.parquet'}"
    if task == "cifar10":
        return ["--dataset", images, *(part for option in _CIFAR_TRAINING for part in ("--train", option))]
    return ["--space", task, "--table", with_seconds(task), "--set", f"ghn.dataset={images}"]


def main() -> int:
    tasks = ("digits201", "nasbench201", "nasbench101", "digits", "cifar10")
    if len(sys.argv) < 2 or sys.argv[1] not in tasks:
        raise SystemExit(f"Which of {', '.join(tasks)}?")
    return archsearch(["compare", "--preset", "papers", *arguments(sys.argv[1]), *sys.argv[2:]])


if __name__ == "__main__":
    raise SystemExit(main())
