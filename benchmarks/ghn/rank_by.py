"""What ranks candidates before any is trained: losses of generated weights, training-free scores, and sums of their ranks.

    ARCHSEARCH_DATA=FOLDER python -m benchmarks.ghn.rank_by                         # 20 minutes on one core, in pieces
    ARCHSEARCH_DATA=FOLDER python -m benchmarks.ghn.rank_by --benches nasbench101

The folder holds nasbench101.parquet, nasbench201.parquet and cifar10_train.parquet. For each benchmark some hypernetworks learn
from CIFAR-10 images, averaged to 16 x 16 pixels, and score 400 random cells by 400 images; the truth is the published accuracy.
`digits201` has NAS-Bench-201 cells, digits, and the losses of the table that the package ships as the truth. The sums of ranks
to use were chosen on the first 100 cells, and the figures are of the others: Kendall's tau on all of them and on the better half,
the mean over hypernetworks, and how far each is above `params+nwot`, which needs no hypernetwork, with the 95 % interval of a
bootstrap over the cells.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch

import archsearch.evaluators.tables
from archsearch.evaluators.ghn.surrogate import GHNSurrogate
from archsearch.evaluators.metrics import kendall_tau
from archsearch.evaluators.proxies.surrogate import ProxySurrogate
from archsearch.searchers.surrogate.rank_sum import rank_sum
from archsearch.spaces import Architecture, SearchSpace
from archsearch.spaces.nasbench201 import NASBench201
from benchmarks import frame
from benchmarks.frame import Rows, Script, table
from benchmarks.ghn.tables import SCALES, population

CELLS, CHOOSING, CELL_SEED, RESAMPLES = 400, 100, 20_261_130, 300
PROXIES = ("params", "nwot", "zico")
RIVAL = "params+nwot"
DIGITS = "digits201"
SUMS = (
    *("loss", "centred", "params", "nwot", "zico", RIVAL),
    *("loss+params", "centred+params", "loss+nwot", "loss+zico", "centred+zico"),
    *("loss+params+nwot", "centred+params+nwot", "params+nwot+zico", "loss+params+nwot+zico", "centred+params+nwot+zico"),
)


def cells(bench: str) -> tuple[SearchSpace, list[Architecture], np.ndarray]:
    """Return space, random cells and their truth: accuracies, or for digits negative losses."""
    if bench != DIGITS:
        return population(bench, frame.data(f"{bench}.parquet"), CELLS, CELL_SEED)
    content = pq.read_table(f"{archsearch.evaluators.tables.__path__[0]}/{DIGITS}.parquet")
    rows = content.take(np.random.default_rng(CELL_SEED).permutation(len(content))[:CELLS])
    space = NASBench201()
    return space, [space.parse(text) for text in rows["architecture"].to_pylist()], -rows["valid_loss"].to_numpy()


def arguments_of(bench: str) -> dict[str, Any]:
    """Return dataset, size of images and size of networks."""
    if bench == DIGITS:
        return {"dataset": "digits", "scale": {"channels": 4, "cells_per_stage": 1}, "device": "cpu"}
    images = f"parquet:{frame.data('cifar10_train.parquet') / 'cifar10_train.parquet'}"
    return {"dataset": images, "scale": SCALES[bench], "device": "cpu", "image_size": 16}


def generated(bench: str, seed: int, steps: int) -> dict[str, Any]:
    """Return the negative losses of the cells with the weights of one hypernetwork, and CPU seconds."""
    space, architectures, _ = cells(bench)
    started = time.process_time()
    surrogate = GHNSurrogate(space, seed=seed, evaluation_images=400, **arguments_of(bench))
    surrogate.load(surrogate.fit(steps=steps))
    fitted = time.process_time()
    columns = surrogate.evaluate([str(each) for each in architectures])
    seconds = {"fitting": fitted - started, "scoring": time.process_time() - fitted}
    return {"loss": -columns["valid_loss"], "centred": -columns["centred_loss"], "seconds": seconds}


def training_free(bench: str) -> dict[str, Any]:
    """Return the training-free scores of the cells, and CPU seconds."""
    space, architectures, _ = cells(bench)
    started = time.process_time()
    columns = ProxySurrogate(space, PROXIES, **arguments_of(bench)).evaluate([str(each) for each in architectures])
    return {**{name: columns[name] for name in PROXIES}, "seconds": time.process_time() - started}


def taus(truth: np.ndarray, figure: np.ndarray) -> np.ndarray:
    """Return Kendall's tau on all cells and on the better half of the truth."""
    better = truth >= np.median(truth)
    return np.array([kendall_tau(truth, figure), kendall_tau(truth[better], figure[better])])


def mean_taus(names: list[str], trained: list[dict], free: dict, truth: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Return `taus` of a sum of ranks on some cells, the mean over hypernetworks; a sum without one has one value."""
    found = []
    for row in trained if {"loss", "centred"} & set(names) else trained[:1]:
        figures = [np.array((row if name in row else free)[name], float)[chosen] for name in names]
        found.append(taus(truth[chosen], np.nan_to_num(rank_sum(figures), nan=-1.0)))  # a cell without a score ranks last
    return np.mean(found, axis=0)


def report(rows: Rows, steps: int) -> None:
    """Print a table for each benchmark, of hypernetworks with these steps; on the cells to choose by, only tau on all."""
    for bench in ("nasbench201", "nasbench101", DIGITS):
        trained = rows.select(bench=bench, kind="generated", steps=steps)
        found = rows.select(bench=bench, kind="training-free")
        if not trained or not found:
            continue
        free, truth = found[-1], cells(bench)[2].astype(np.float64)
        reported = np.arange(CHOOSING, CELLS)
        resamples = [np.random.default_rng(number).choice(reported, len(reported)) for number in range(RESAMPLES)]
        rival = np.array([mean_taus(RIVAL.split("+"), trained, free, truth, sample) for sample in resamples])
        lines: list[list[object]] = []
        for each in SUMS:
            names = each.split("+")
            chosen = mean_taus(names, trained, free, truth, np.arange(CHOOSING))
            whole, half = mean_taus(names, trained, free, truth, reported)
            shown = ["", ""]
            if each != RIVAL:
                gaps = np.array([mean_taus(names, trained, free, truth, sample) for sample in resamples]) - rival
                low, high = np.quantile(gaps, (0.025, 0.975), axis=0)
                middle = np.array([whole, half]) - mean_taus(RIVAL.split("+"), trained, free, truth, reported)
                shown = [f"{middle[at]:+.3f} ({low[at]:+.3f} to {high[at]:+.3f})" for at in (0, 1)]
            lines.append([each, f"{chosen[0]:.3f}, {chosen[1]:.3f}", f"{whole:.3f}", shown[0], f"{half:.3f}", shown[1]])
        fitting = np.mean([row["seconds"]["fitting"] for row in trained])
        scoring = np.mean([row["seconds"]["scoring"] for row in trained])
        title = (
            f"{bench}: {len(trained)} hypernetworks, {fitting:.0f} CPU s each; scoring {CELLS} cells {scoring:.0f} s, "
            f"training-free scores {free['seconds']:.0f} s"
        )
        columns = ["ranked by", "cells to choose by", "tau, all", f"above {RIVAL}", "tau, better half", f"above {RIVAL}"]
        table(columns, lines, title)


def main() -> None:
    script = Script(__file__, __doc__, seeds=3)
    script.argument("--benches", nargs="+", default=[DIGITS, "nasbench201", "nasbench101"])
    script.argument("--steps", type=int, default=1000)
    arguments = script.parse()
    torch.set_num_threads(1)

    def measure(rows: Rows) -> None:
        for seed in script.seeds:
            for bench in arguments.benches:
                identity = {"bench": bench, "seed": seed, "steps": arguments.steps}
                rows.get(partial(generated, **identity), kind="generated", **identity)
                rows.get(partial(training_free, bench), kind="training-free", bench=bench)

    script.run(measure, lambda rows: report(rows, arguments.steps))


if __name__ == "__main__":
    main()
