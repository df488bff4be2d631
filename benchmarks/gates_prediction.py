"""How well predictors rank the cells of NAS-Bench-101 and NAS-Bench-201, beside the published figures.

    ARCHSEARCH_DATA=FOLDER python benchmarks/gates_prediction.py --quick     # 190 and 381 cells, three random subsets
    ARCHSEARCH_DATA=FOLDER python benchmarks/gates_prediction.py             # ten random subsets, up to 3,812 cells
    ARCHSEARCH_DATA=FOLDER python benchmarks/gates_prediction.py --print     # what is there so far

The folder holds nasbench101.parquet and nasbench201.parquet. Each figure is written to a file as it comes; a run that is
stopped goes on where it was. NAS-Bench-101 has the split of the paper: the last 42,362 cells of the record are tested, training
takes the first n of the others, or n drawn at random. The target is the mean test accuracy after 108 epochs, where the paper has
the mean validation accuracy. NAS-Bench-201 is split into random halves; the target is the CIFAR-10 test accuracy after 200
epochs.

With the preset `paper` tau is the mean over the last five epochs, as in the paper; otherwise it is that of the last one.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from archsearch.evaluators import Predictor, metrics
from archsearch.spaces import GraphBatch, SearchSpace
from archsearch.spaces.nasbench101 import NASBench101
from archsearch.spaces.nasbench201 import NASBench201

TESTED = 42_362
FIRST = 0  # the "subset" of NAS-Bench-101 that takes the first rows; the random ones count from 1
LAST_EPOCHS = 5
SIZES = {"nasbench101": (190, 381, 1906, 3812), "nasbench201": (78, 390, 781)}
LARGE = 1000  # from here on a few subsets are enough: they differ less, and cost more
QUICK = {"nasbench101": (190, 381), "nasbench201": (78, 390)}

# (preset, encoder, loss): tau by number of training cells; for NAS-Bench-101 X. Ning et al., ECCV 2020, the authors' slides,
# for NAS-Bench-201 as recollected from the paper, by 1, 5 and 10 % of 7,813.
PUBLISHED: dict[tuple[str, str, str], tuple[float, ...]] = {
    ("nasbench101", "mlp", "hinge"): (0.3971, 0.5272, 0.6463, 0.7312),
    ("nasbench101", "lstm", "hinge"): (0.5509, 0.5993, 0.7112, 0.7747),
    ("nasbench101", "gcn", "hinge"): (0.3992, 0.4628, 0.6963, 0.8243),
    ("nasbench101", "gcn-global", "hinge"): (0.5343, 0.5790, 0.7915, 0.8277),
    ("nasbench101", "gates", "hinge"): (0.7634, 0.7789, 0.8434, 0.8594),
    ("nasbench101", "gcn", "mse"): (0.4536, 0.5058, 0.5587, 0.5699),
    ("nasbench101", "gates", "mse"): (0.4935, 0.5425, 0.5739, 0.6323),
    ("nasbench101", "gates", "bce"): (0.7460, 0.7696, 0.8352, 0.8550),
    ("nasbench101", "gates", "comparator"): (0.7250, 0.7622, 0.8367, 0.8540),
    ("nasbench101", "gates", "listmle"): (0.7359, 0.7604, 0.8312, 0.8558),
    ("nasbench201", "mlp", "hinge"): (0.0974, 0.3959, 0.5388),
    ("nasbench201", "lstm", "hinge"): (0.5550, 0.6407, 0.7268),
    ("nasbench201", "gates", "hinge"): (0.7401, 0.8628, 0.8802),
}
# The authors' code on these targets: first rows (NAS-Bench-101 alone) and random subsets.
MEASURED: dict[tuple[str, str, str], tuple[tuple[str, str], ...]] = {
    ("nasbench101", "gates", "hinge"): ((".757", ".727 ± .015"), (".769", ".763 ± .009"), (".840", ".842"), (".852", ".858")),
    ("nasbench201", "gates", "hinge"): (("", ".765 ± .027"), ("", ".867 ± .005"), ("", ".891 ± .003")),
    ("nasbench201", "gates", "mse"): (("", ".674 ± .043"), ("", ""), ("", "")),
}
# CPU seconds an epoch: the authors' code, and the dense formulation of a prototype.
SECONDS = {
    "nasbench101": ((0.125, 0.26, 1.4, 2.8), (0.011, 0.020, 0.10, 0.20)),
    "nasbench201": ((0.095, 0.50, 1.0), (0.0082, float("nan"), 0.043)),
}


@dataclass(frozen=True)
class Cell:
    """One fit: what is fitted to which architectures."""

    space: str
    preset: str
    encoder: str
    loss: str
    size: int
    subset: int
    members: int = 1


@dataclass(frozen=True)
class Data:
    """A table: its architectures, and the score of each."""

    space: SearchSpace
    batch: GraphBatch
    scores: NDArray[np.float64]

    def rows(self, cell: Cell) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the rows to train on and those to test."""
        rng = np.random.default_rng(cell.subset)
        if cell.space == "nasbench201":
            order = rng.permutation(len(self.scores))
            half = (len(order) + 1) // 2
            return order[: cell.size], order[half:]
        pool = np.arange(len(self.scores) - TESTED)
        chosen = pool[: cell.size] if cell.subset == FIRST else rng.choice(pool, cell.size, replace=False)
        return chosen, np.arange(len(pool), len(self.scores))


def load(name: str) -> Data:
    """Read a benchmark from the folder of tables."""
    folder = os.environ.get("ARCHSEARCH_DATA")
    if not folder:
        raise SystemExit("ARCHSEARCH_DATA is unset; set it to the folder with the benchmark tables")
    table = pq.read_table(Path(folder) / f"{name}.parquet")
    operators = np.array(table["ops"].to_pylist(), dtype=np.int64)
    if name == "nasbench201":
        cells = NASBench201()
        return Data(cells, cells.encode_genotypes(operators), table["cifar10_test"].to_numpy().astype(np.float64) / 100.0)
    space = NASBench101()
    batch = space.encode_adjacency(table["adjacency"].to_numpy(), operators)
    return Data(space, batch, table["test_acc"].to_numpy().astype(np.float64) / 100.0)


def measure(cell: Cell, data: Data) -> dict[str, Any]:
    """Fit and test one cell of the tables."""
    train, test = data.rows(cell)
    predictor = Predictor(data.space, cell.encoder, cell.loss, cell.subset, preset=cell.preset, members=cell.members)
    known, unknown = (predictor.prepare(data.batch[rows]) for rows in (train, test))
    truth, scores = data.scores[test], data.scores[train]
    predictor.fit(known, scores, epochs=1)  # what is made at the first use is not measured
    epochs = predictor.settings.epochs
    parts = [epochs - LAST_EPOCHS + 1, *[1] * (LAST_EPOCHS - 1)] if cell.preset == "paper" else [epochs]
    seconds, taus = 0.0, []
    for part, number in enumerate(parts):
        started = time.process_time()
        predictor.fit(known, scores, warm=part > 0, epochs=number)
        seconds += time.process_time() - started
        predicted = predictor.predict(unknown)
        taus.append(metrics.kendall_tau(truth, predicted))
    return {
        **asdict(cell),
        "tau": float(np.mean(taus)),
        "n_at_5": metrics.n_at_k(truth, predicted, 5),
        "n_at_10": metrics.n_at_k(truth, predicted, 10),
        "precision_at_1_percent": metrics.precision_at_k(truth, predicted, 0.01),
        "seconds_per_epoch": seconds / epochs,
        "parameters": predictor.num_parameters,
    }


def cells(names: Iterable[str], presets: Iterable[str], quick: bool, subsets: int, members: int) -> Iterator[Cell]:
    """Yield all cells of the tables, the small ones first."""
    for name in names:
        rows = [*(("paper", encoder, loss) for bench, encoder, loss in PUBLISHED if bench == name), ("default", "gates", "hinge")]
        rows += [("paper", "gates", "mse")] if name == "nasbench201" else []
        rows = [row for row in rows if row[0] in presets]
        for position, size in enumerate(SIZES[name]):
            if quick and size not in QUICK[name]:
                continue
            count = 3 if quick or position > 1 else subsets
            first = FIRST if name == "nasbench101" else FIRST + 1
            for preset, encoder, loss in rows:
                for subset in range(first, count + 1):
                    yield Cell(name, preset, encoder, loss, size, subset)
                    if preset == "default" and members > 1:
                        yield Cell(name, preset, encoder, loss, size, subset, members)


def run(wanted: Iterable[Cell], path: Path) -> None:
    """Measure the cells that are not in the file yet, and append each to it."""
    done = {_identity(row) for row in read(path)}
    tables: dict[str, Data] = {}
    for cell in wanted:
        if _identity(asdict(cell)) in done:
            continue
        if cell.space not in tables:
            tables = {cell.space: load(cell.space)}
        row = measure(cell, tables[cell.space])
        with path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(
            f"{cell.space} {cell.encoder} {cell.loss} {cell.preset} x{cell.members} n={cell.size} subset {cell.subset}: "
            f"tau {row['tau']:.4f}, {row['seconds_per_epoch']:.4f} s an epoch",
            flush=True,
        )


def read(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a file of results; none where there is no file."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _identity(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in Cell.__dataclass_fields__)


def report(rows: list[dict[str, Any]]) -> None:
    """Print the tables as Markdown."""
    for name, sizes in SIZES.items():
        print(f"\n### {name}: Kendall's tau\n")
        print("| cells | encoder, loss | preset | published | authors' code here: first, random | first n | random subsets |")
        print("| --- | --- | --- | --- | --- | --- | --- |")
        groups = sorted({(r["size"], r["preset"], r["encoder"], r["loss"], r["members"]) for r in rows if r["space"] == name})
        for size, preset, encoder, loss, members in groups:
            place = sizes.index(size)
            found = {
                row["subset"]: row
                for row in rows
                if (row["space"], row["size"], row["preset"], row["encoder"], row["loss"], row["members"])
                == (name, size, preset, encoder, loss, members)
            }
            key = (name, encoder, loss)
            published = f"{PUBLISHED[key][place]:.4f}"[1:] if key in PUBLISHED else ""
            measured = ", ".join(filter(None, MEASURED[key][place])) if key in MEASURED else ""
            first = f"{found[FIRST]['tau']:.3f}"[1:] if FIRST in found else ""
            who = f"{encoder}, {loss}" + (f", {members} members" if members > 1 else "")
            random = [row for subset, row in found.items() if subset != FIRST]
            print(f"| {size:,} | {who} | {preset} | {published} | {measured} | {first} | {spread([r['tau'] for r in random])} |")
        speed([row for row in rows if row["space"] == name], name)


def spread(values: list[float]) -> str:
    """Return mean, standard deviation, the 95 % interval of the mean, and how many there are."""
    if len(values) < 2:
        return ", ".join(f"{value:.3f}"[1:] for value in values)
    interval = metrics.mean_interval(values)
    low, high = (f"{bound:.3f}"[1:] for bound in (interval.low, interval.high))
    return f"{interval.value:.3f} ± {np.std(values, ddof=1):.3f} ({low} to {high}; {len(values)})"[1:]


def speed(rows: list[dict[str, Any]], name: str) -> None:
    """Print CPU seconds an epoch, and how well the best are found."""
    print(
        "\n| cells | CPU seconds an epoch: authors, prototype | paper | default | median N@5, N@10, mean P@1 %: paper | default |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    for place, size in enumerate(SIZES[name]):
        columns = []
        for preset in ("paper", "default"):
            found = [
                row
                for row in rows
                if (row["size"], row["preset"], row["encoder"], row["loss"], row["members"])
                == (size, preset, "gates", "hinge", 1)
            ]
            columns.append(found)
        seconds = [f"{min(row['seconds_per_epoch'] for row in found):.4f}" if found else "" for found in columns]
        best = [
            f"{np.median([r['n_at_5'] for r in found]):.0f}, {np.median([r['n_at_10'] for r in found]):.0f}, "
            f"{np.mean([r['precision_at_1_percent'] for r in found]):.2f}"
            if found
            else ""
            for found in columns
        ]
        authors, prototype = (SECONDS[name][kind][place] for kind in (0, 1))
        print(f"| {size:,} | {authors}, {prototype} | {' | '.join(seconds)} | {' | '.join(best)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spaces", nargs="*", default=list(SIZES), help="nasbench101, nasbench201, or both (the default)")
    parser.add_argument("--presets", nargs="+", default=["paper", "default"], help="paper, default, or both (the default)")
    parser.add_argument("--quick", action="store_true", help="the two smallest sizes and three random subsets")
    parser.add_argument("--subsets", type=int, default=10, help="random subsets of the two smallest sizes (default: 10)")
    parser.add_argument("--members", type=int, default=5, help="members of an ensemble that is measured too (default: 5)")
    parser.add_argument("--results", type=Path, default=Path("runs/gates_prediction.jsonl"), help="where the figures are kept")
    parser.add_argument("--print", action="store_true", help="only print the tables of what is there")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if not arguments.print:
        arguments.results.parent.mkdir(parents=True, exist_ok=True)
        wanted = cells(arguments.spaces, arguments.presets, arguments.quick, arguments.subsets, arguments.members)
        run(wanted, arguments.results)
    report(read(arguments.results))


if __name__ == "__main__":
    main()
