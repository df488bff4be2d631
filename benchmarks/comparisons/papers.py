"""All searchers in one table: the preset `papers` of `archsearch compare`, on tables that hold training costs, and on images.

    python -m benchmarks.comparisons.papers digits201                               # the table that the package ships
    ARCHSEARCH_DATA=FOLDER python -m benchmarks.comparisons.papers nasbench201      # tables with seconds, from the folder's files
    ARCHSEARCH_DATA=FOLDER python -m benchmarks.comparisons.papers nasbench101
    python -m benchmarks.comparisons.papers digits                                  # real trainings
    ARCHSEARCH_DATA=FOLDER python -m benchmarks.comparisons.papers cifar10          # short real trainings

It prints the two tables of the command: at an equal number of candidates, and at equal cost. Options after the name go to the
command, such as `--seeds 3 --searchers gates,random`. Started again with the same `--study`, it goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import shlex
import tempfile

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from archsearch.evaluators import installed_tables
from archsearch.platform.command_line import main as archsearch
from archsearch.spaces.nasbench101.space import NASBench101
from benchmarks.frame import data
from benchmarks.tables.install import fractions

TASKS = ("digits201", "nasbench201", "nasbench101", "digits", "cifar10")
_EPOCHS_201 = 200
_CIFAR_TRAINING = ("epochs=2", "scale={channels: 8, cells_per_stage: 1}")


def nasbench201() -> pa.Table:
    """Scored by one validation run; an evaluation costs 200 times the recorded seconds of an epoch."""
    rows = pq.read_table(data("nasbench201.parquet") / "nasbench201.parquet")
    seconds = pc.multiply(pc.cast(rows["train_s_per_epoch_cifar10"], pa.float64()), float(_EPOCHS_201))
    accuracies = fractions(rows, {"valid_accuracy": "cifar10_valid_run", "test_accuracy": "cifar10_test"})
    return pa.table({"architecture": rows["arch"], **accuracies, "seconds": seconds})


def nasbench101() -> pa.Table:
    """The 30,001 cells whose validation accuracy and training time of one run are known; the search keeps to them."""
    rows = pq.read_table(data("nasbench101.parquet") / "nasbench101.parquet")
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
    images = f"parquet:{data('cifar10_train.parquet') / 'cifar10_train.parquet'}"
    if task == "cifar10":
        return ["--dataset", images, *(part for option in _CIFAR_TRAINING for part in ("--train", option))]
    return ["--space", task, "--table", with_seconds(task), "--set", f"ghn.dataset={images}"]


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.comparisons.papers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("task", choices=TASKS)
    parsed, others = parser.parse_known_args()
    command = ["compare", "--preset", "papers", *arguments(parsed.task), *others]
    print(f"command: {shlex.join(['archsearch', *command])}", flush=True)
    return archsearch(command)


if __name__ == "__main__":
    raise SystemExit(main())
