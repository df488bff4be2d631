"""Import of the NAS-Bench tables of a folder of Parquet files, as table:nasbench101 and table:nasbench201.

    ARCHSEARCH_DATA=FOLDER python -m benchmarks.tables.install

It writes each table as a file with a column of architectures, all accuracies as fractions, and imports that as `archsearch import
table` does. ARCHSEARCH_CACHE names the folder that they are installed in.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from archsearch.platform.command_line import main as archsearch
from archsearch.spaces.nasbench101.space import NASBench101
from benchmarks.frame import data


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


if __name__ == "__main__":
    main()
