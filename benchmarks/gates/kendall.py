"""Kendall's tau of predictors on the cells of NAS-Bench-101 and NAS-Bench-201, beside the published figures.

    ARCHSEARCH_DATA=FOLDER python -m benchmarks.gates.kendall --quick       # 190 and 381 cells, three random subsets
    ARCHSEARCH_DATA=FOLDER python -m benchmarks.gates.kendall               # ten random subsets, up to 3,812 cells
    ARCHSEARCH_DATA=FOLDER python -m benchmarks.gates.kendall --sizes 381262 --presets default --epochs 40
    ARCHSEARCH_DATA=FOLDER python -m benchmarks.gates.kendall --presets features fusion   # graph features, and GATES beside them

The folder holds nasbench101.parquet and nasbench201.parquet. NAS-Bench-101 has the split of the paper: the last 42,362 cells of
the record are tested, training takes the first n of the others, or n drawn at random. The target is the mean test accuracy after
108 epochs, where the paper has the mean validation accuracy. NAS-Bench-201 is split into random halves; the target is the
CIFAR-10 test accuracy after 200 epochs.

The models on graph features (GRAF) are a Gaussian process, a random forest, and the mean of both; `fusion` has GATES besides.

With the preset `paper` tau is the mean over the last five epochs, as in the paper; otherwise it is that of the last one. How
well the best are found is printed by gates/topk.py from the same file.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from archsearch.evaluators import Predictor, metrics
from archsearch.evaluators.predictors.forest import Forest
from archsearch.evaluators.predictors.fusion import Fusion
from archsearch.spaces import GraphBatch, SearchSpace
from archsearch.spaces.nasbench101.space import NASBench101
from archsearch.spaces.nasbench201 import NASBench201
from benchmarks.frame import Row, Rows, Script, average, data, table

TESTED = 42_362
FIRST = 0  # the "subset" of NAS-Bench-101 that takes the first rows; the random ones count from 1
LAST_EPOCHS = 5
BOTH = "fusion with features in both"  # graph features in GATES as well, with the head of FEATURED
FEATURED = "default with features"  # graph features and a head of two layers of 200, for NAS-Bench-201
FEATURES: dict[str, Any] = {"features": True, "head": (200, 200)}
SIZES = {
    "nasbench101": (190, 381, 1906, 3812, 19_063, 38_126, 190_631, 381_262),
    "nasbench201": (78, 390, 781, 3906, 7813),
}
SMALL = 400  # up to here the subset decides much: ten of them, three up to LARGE, one above
LARGE = 4000  # sizes above are run on demand
PRECISIONS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5)

# (encoder, loss): tau by number of training cells; for NAS-Bench-101 X. Ning et al., ECCV 2020, the authors' slides,
# for NAS-Bench-201 as recollected from the paper, by 1, 5, 10, 50 and 100 % of 7,813.
PUBLISHED: dict[tuple[str, str, str], tuple[float, ...]] = {
    ("nasbench101", "gates", "hinge"): (0.7634, 0.7789, 0.8434, 0.8594, 0.8841, 0.8922, 0.9001, 0.9030),
    ("nasbench101", "mlp", "hinge"): (0.3971, 0.5272, 0.6463, 0.7312, 0.8592, 0.8718, 0.8893, 0.8955),
    ("nasbench101", "lstm", "hinge"): (0.5509, 0.5993, 0.7112, 0.7747, 0.8440, 0.8576, 0.8859, 0.8931),
    ("nasbench101", "gcn", "hinge"): (0.3992, 0.4628, 0.6963, 0.8243, 0.8626, 0.8721, 0.8910, 0.8952),
    ("nasbench101", "gcn-global", "hinge"): (0.5343, 0.5790, 0.7915, 0.8277, 0.8641, 0.8747, 0.8918, 0.8950),
    ("nasbench101", "gcn", "mse"): (0.4536, 0.5058, 0.5587, 0.5699, 0.5846, 0.5871, 0.5901, 0.5941),
    ("nasbench101", "gates", "mse"): (0.4935, 0.5425, 0.5739, 0.6323, 0.7439, 0.7849, 0.8247, 0.8352),
    ("nasbench101", "gates", "bce"): (0.7460, 0.7696, 0.8352, 0.8550, 0.8828, 0.8913, 0.9006, 0.9042),
    ("nasbench101", "gates", "comparator"): (0.7250, 0.7622, 0.8367, 0.8540, 0.8793, 0.8891, 0.8987, 0.9011),
    ("nasbench101", "gates", "listmle"): (0.7359, 0.7604, 0.8312, 0.8558, 0.8852, 0.8897, 0.9003, 0.9009),
    ("nasbench201", "gates", "hinge"): (0.7401, 0.8628, 0.8802, 0.9192, 0.9259),
    ("nasbench201", "mlp", "hinge"): (0.0974, 0.3959, 0.5388, 0.8229, 0.8703),
    ("nasbench201", "lstm", "hinge"): (0.5550, 0.6407, 0.7268, 0.8791, 0.9002),
}
# Measured though no tau is published: for gates/topk.py, and the other losses.
UNPUBLISHED = (
    ("nasbench101", "mlp", "mse"),
    ("nasbench101", "lstm", "mse"),
    ("nasbench201", "gcn", "hinge"),
    ("nasbench201", "gcn-global", "hinge"),
    ("nasbench201", "gates", "mse"),
    ("nasbench201", "mlp", "mse"),
    ("nasbench201", "gates", "bce"),
    ("nasbench201", "gates", "comparator"),
    ("nasbench201", "gates", "listmle"),
)
# Models on graph features, by name: members of the fusion.
FUSED = {
    "gp": ("gp",),
    "gp+forest": ("gp", "forest"),
    "forest": ("forest",),
    "gates+gp": ("gates", "gp"),
    "gates+gp+forest": ("gates", "gp", "forest"),
}
# The authors' code on these targets: first rows (NAS-Bench-101 alone) and random subsets.
MEASURED: dict[tuple[str, str, str], tuple[tuple[str, ...], ...]] = {
    ("nasbench101", "gates", "hinge"): ((".757", ".727 ± .015"), (".769", ".763 ± .009"), (".840", ".842"), (".852", ".858")),
    ("nasbench201", "gates", "hinge"): ((".765 ± .027",), (".867 ± .005",), (".891 ± .003",)),
    ("nasbench201", "gates", "mse"): ((".674 ± .043",),),
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
    epochs: int = 0  # 0: the preset's


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
    columns = pq.read_table(data(f"{name}.parquet") / f"{name}.parquet")
    operators = np.array(columns["ops"].to_pylist(), dtype=np.int64)
    if name == "nasbench201":
        cells = NASBench201()
        return Data(cells, cells.encode_genotypes(operators), columns["cifar10_test"].to_numpy().astype(np.float64) / 100.0)
    space = NASBench101()
    batch = space.encode_adjacency(columns["adjacency"].to_numpy(), operators)
    return Data(space, batch, columns["test_acc"].to_numpy().astype(np.float64) / 100.0)


def measure(cell: Cell, bench: Data) -> dict[str, Any]:
    """Fit and test one cell of the tables."""
    if cell.encoder in FUSED:
        return measure_fused(cell, bench)
    train, test = bench.rows(cell)
    preset, changes = ("default", FEATURES) if cell.preset == FEATURED else (cell.preset, {})
    predictor = Predictor(bench.space, cell.encoder, cell.loss, cell.subset, preset=preset, members=cell.members, **changes)
    known, unknown = (predictor.prepare(bench.batch[rows]) for rows in (train, test))
    truth, scores = bench.scores[test], bench.scores[train]
    predictor.fit(known, scores, epochs=1)  # what is made at the first use is not measured
    epochs = cell.epochs or predictor.settings.epochs
    parts = [epochs - LAST_EPOCHS + 1, *[1] * (LAST_EPOCHS - 1)] if cell.preset == "paper" else [epochs]
    seconds, taus = 0.0, []
    for part, number in enumerate(parts):
        started = time.process_time()
        predictor.fit(known, scores, warm=part > 0, epochs=number)
        seconds += time.process_time() - started
        predicted = predictor.predict(unknown)
        taus.append(metrics.kendall_tau(truth, predicted))
    return {
        "tau": float(np.mean(taus)),
        "n_at_5": metrics.n_at_k(truth, predicted, 5),
        "n_at_10": metrics.n_at_k(truth, predicted, 10),
        "precision": {str(share): metrics.precision_at_k(truth, predicted, share) for share in PRECISIONS},
        "seconds_per_epoch": seconds / epochs,
        "parameters": predictor.num_parameters,
    }


def measure_fused(cell: Cell, bench: Data) -> dict[str, Any]:
    """Fit and test models on graph features, with GATES or without."""
    train, test = bench.rows(cell)
    model: Forest | Fusion
    if cell.encoder == "forest":
        model = Forest(bench.space, cell.subset)
    else:
        model = Fusion(bench.space, cell.subset, members=FUSED[cell.encoder], predictor=FEATURES if cell.preset == BOTH else {})
    known, unknown = (model.prepare(bench.batch[rows]) for rows in (train, test))
    started = time.process_time()
    model.fit(known, bench.scores[train])  # type: ignore[arg-type]
    seconds = time.process_time() - started
    truth, predicted = bench.scores[test], model.predict(unknown)  # type: ignore[arg-type]
    return {
        "tau": metrics.kendall_tau(truth, predicted),
        "n_at_5": metrics.n_at_k(truth, predicted, 5),
        "n_at_10": metrics.n_at_k(truth, predicted, 10),
        "precision": {str(share): metrics.precision_at_k(truth, predicted, share) for share in PRECISIONS},
        "seconds_per_epoch": seconds,  # of the fit
    }


def cells(names: Iterable[str], sizes: Iterable[int], presets: Iterable[str], options: argparse.Namespace) -> Iterator[Cell]:
    """Yield the wanted cells of the tables, the small ones and the published ones first."""
    for name in names:
        rows = [("default", "gates", "hinge")] if "default" in presets else []
        rows += [(FEATURED, "gates", "hinge")] if FEATURED in presets and name == "nasbench201" else []
        rows += [("features", model, "") for model in ("gp", "forest")] if "features" in presets else []
        for preset in ("fusion", BOTH):
            rows += [(preset, model, "") for model in ("gates+gp", "gates+gp+forest")] if preset in presets else []
        if "paper" in presets:
            rows += [("paper", encoder, loss) for bench, encoder, loss in (*PUBLISHED, *UNPUBLISHED) if bench == name]
        first = FIRST if name == "nasbench101" else FIRST + 1
        for size in (size for size in SIZES[name] if size in sizes):
            for preset, encoder, loss in rows:
                if (options.encoders and encoder not in options.encoders) or (options.losses and loss not in options.losses):
                    continue
                for subset in range(first, subsets(size, first, options) + 1):
                    yield Cell(name, preset, encoder, loss, size, subset, epochs=options.epochs)
                    if preset == "default" and options.members > 1 and size <= LARGE:
                        yield Cell(name, preset, encoder, loss, size, subset, options.members)


def subsets(size: int, first: int, options: argparse.Namespace) -> int:
    """Return the number of the last subset of a size."""
    if size <= SMALL:
        return 3 if options.quick else int(options.subsets)
    return 3 if size <= LARGE else first


def run(wanted: Iterable[Cell], rows: Rows) -> None:
    """Measure the wanted cells of the tables."""
    held: dict[str, Data] = {}

    def measured(cell: Cell) -> dict[str, Any]:
        if cell.space not in held:
            held.clear()  # one table at a time
            held[cell.space] = load(cell.space)
        return measure(cell, held[cell.space])

    for cell in wanted:
        rows.get(partial(measured, cell), **asdict(cell))


def report(found: Rows) -> None:
    """Print the tables."""
    rows = found.all()
    columns = ("cells", "encoder, loss", "preset", "published", "authors' code", "first n", "random subsets", "s an epoch")
    for name in SIZES:
        groups = sorted({_group(row) for row in rows if row["space"] == name})
        of_space = [row for row in rows if row["space"] == name]
        table(columns, [line(name, group, of_space) for group in groups], title=f"{name}: Kendall's tau")


def line(name: str, group: tuple[Any, ...], rows: list[Row]) -> list[str]:
    """Return a line of the table: published figures, those of the authors' code, and ours."""
    size, preset, encoder, loss, members, epochs = group
    place, key = SIZES[name].index(size), (name, encoder, loss)
    found = {row["subset"]: row for row in rows if _group(row) == group}
    published = f"{PUBLISHED[key][place]:.4f}" if key in PUBLISHED else ""
    measured = ", ".join(MEASURED[key][place]) if place < len(MEASURED.get(key, ())) else ""
    first = f"{found[FIRST]['tau']:.3f}" if FIRST in found else ""
    who = (
        ", ".join(filter(None, (encoder, loss)))
        + (f", mean of {members}" if members > 1 else "")
        + (f", {epochs} epochs" if epochs else "")
    )
    random = average((row["tau"] for subset, row in found.items() if subset != FIRST), digits=3, deviation=True)
    seconds = min(row["seconds_per_epoch"] for row in found.values())
    return [f"{size:,}", who, preset, published, measured, first, random, f"{seconds:.4f}"]


def _group(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("size", "preset", "encoder", "loss", "members", "epochs"))


def main() -> None:
    script = Script(__file__, __doc__)
    script.argument("spaces", nargs="*", default=list(SIZES), help="nasbench101, nasbench201, or both (the default)")
    script.argument(
        "--presets",
        nargs="+",
        default=["default", "paper"],
        help=f"some of paper, default, {FEATURED!r}, features, fusion, {BOTH!r} (default: paper default)",
    )
    script.argument("--sizes", nargs="+", type=int, help="numbers of training cells (default: all up to 4,000)")
    script.argument("--encoders", nargs="+", help="only these")
    script.argument("--losses", nargs="+", help="only these")
    script.argument("--quick", action="store_true", help="the two smallest sizes and three random subsets")
    script.argument("--subsets", type=int, default=10, help="random subsets of the two smallest sizes (default: 10)")
    script.argument("--members", type=int, default=5, help="networks of an ensemble that is measured too (default: 5)")
    script.argument("--epochs", type=int, default=0, help="epochs of a fit (default: the preset's, 200)")
    arguments = script.parse()
    torch.set_num_threads(1)
    limit = SMALL if arguments.quick else LARGE
    sizes = arguments.sizes or [size for sizes in SIZES.values() for size in sizes if size <= limit]
    wanted = list(cells(arguments.spaces, sizes, arguments.presets, arguments))
    script.run(lambda rows: run(wanted, rows), report)


if __name__ == "__main__":
    main()
