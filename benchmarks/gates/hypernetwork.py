"""A hypernetwork's ranking beside GATES and a Gaussian process that learned few cells: Kendall's tau on NAS-Bench-201.

    ARCHSEARCH_DATA=FOLDER python -m benchmarks.gates.hypernetwork --scores SCORES.parquet    # 20 minutes on one core, in pieces

The folder holds nasbench201.parquet and cifar10_train.parquet. The cells, and the file of their training-free scores, are those
of `benchmarks.gates.proxies`: 500 random distinct cells. Some hypernetworks of 1,500 steps on CIFAR-10 images, averaged to 16 x
16 pixels, score them by 400 images. The predictors learn some of the cells and are tested on the others. What is added are
columns of a Gaussian process, as `archsearch.searchers.surrogate.proxy_reranking` has them: `gates`, with its own process, counts
half, and `gp` gives way to it. Seconds are those of a process on one core.
"""

from __future__ import annotations

import time
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from archsearch.evaluators.ghn.surrogate import GHNSurrogate
from archsearch.evaluators.metrics import kendall_tau
from archsearch.evaluators.predictors.fusion import Fusion
from archsearch.evaluators.predictors.gaussian_process import GaussianProcess
from archsearch.searchers.surrogate.proxy_reranking import SCALE, moments, signed_log
from archsearch.spaces import Architecture
from archsearch.spaces.nasbench201 import NASBench201
from archsearch.spaces.representatives import representatives
from benchmarks import frame
from benchmarks.frame import Rows, Script, average, table
from benchmarks.gates.proxies import Scored, scored
from benchmarks.ghn.rank_by import arguments_of

CELLS, SIZES = 500, (50, 78)
FREE = ("params", "nwot")
SETS = ("", "params+nwot", "loss", "centred", "loss+params+nwot", "centred+params+nwot")
RIVAL = "params+nwot"


def cells() -> list[Architecture]:
    """Return the cells in the order of `scored`."""
    every = representatives(NASBench201())
    keys = list(every)
    return [every[keys[at]] for at in np.random.default_rng(0).permutation(len(keys))[:CELLS]]


def generated(seed: int, steps: int) -> dict[str, Any]:
    """Return the negative losses of the cells with the weights of one hypernetwork, and CPU seconds."""
    started = time.process_time()
    surrogate = GHNSurrogate(NASBench201(), seed=seed, evaluation_images=400, **arguments_of("nasbench201"))
    surrogate.load(surrogate.fit(steps=steps))
    fitted = time.process_time()
    columns = surrogate.evaluate([str(each) for each in cells()])
    seconds = {"fitting": fitted - started, "a cell": (time.process_time() - fitted) / CELLS}
    return {"loss": -columns["valid_loss"], "centred": -columns["centred_loss"], "seconds": seconds}


def taus(known: Scored, trained: list[dict[str, Any]], size: int, subset: int) -> dict[str, Any]:
    """Return the rank correlation on the other cells, by searcher and scores; a list of one for each hypernetwork."""
    space, everything = NASBench201(), cells()
    order = np.random.default_rng(subset).permutation(CELLS)
    train, test = order[:size], order[size:]
    truth, started = known.accuracies, time.process_time()
    fusion = Fusion(space, subset).fit([everything[at] for at in train], truth[train])
    first = fusion.predict([everything[at] for at in test])
    found: dict[str, Any] = {"seconds": time.process_time() - started, "gates": {"": [kendall_tau(truth[test], first)]}, "gp": {}}
    for each in SETS:
        names = list(filter(None, each.split("+")))
        for row in trained if {"loss", "centred"} & set(names) else trained[:1]:
            features = known.features
            if names:
                columns = [np.array(row[name] if name in row else known.scores[name], float) for name in names]
                logs = signed_log(np.column_stack(columns))
                mean, deviation = moments(logs[train])
                features = np.hstack([features, SCALE * np.nan_to_num((logs - mean) / deviation).astype(np.float32)])
            second = GaussianProcess(space, subset).fit(features[train], truth[train]).predict(features[test])
            found["gp"].setdefault(each, []).append(kendall_tau(truth[test], second))
            if names:
                found["gates"].setdefault(each, []).append(kendall_tau(truth[test], 0.5 * first + 0.5 * second))
    return found


def run(script: Script, rows: Rows) -> None:
    """Measure what is not in the file yet."""
    arguments = script.arguments

    @cache
    def known() -> Scored:
        return scored(Path(arguments.scores), CELLS, FREE, images=64, channels=16, depth=2)

    numbers = range(arguments.hypernetworks)
    trained = [rows.get(partial(generated, seed, arguments.steps), hypernetwork=seed, steps=arguments.steps) for seed in numbers]
    for subset in script.seeds:
        for size in SIZES:
            identity = {"size": size, "subset": subset, "hypernetworks": len(trained), "steps": arguments.steps}
            rows.get(lambda size=size, subset=subset: taus(known(), trained, size, subset), **identity)


def report(rows: Rows) -> None:
    """Print the table: each subset counts once, with the mean of its hypernetworks."""
    for row in rows.all():
        if "hypernetwork" in row:
            spent = row["seconds"]
            print(f"hypernetwork {row['hypernetwork']}: {spent['fitting']:.0f} CPU s, {spent['a cell']:.3f} a cell")
    lines: list[list[object]] = []
    for searcher in ("gates", "gp"):
        for size in SIZES:
            found = [row[searcher] for row in rows.select(size=size)]
            for each in SETS if found else ():
                values = [float(np.mean(row[each])) for row in found]
                gains = []
                for other in ("", RIVAL):
                    pairs = [value - float(np.mean(row[other])) for value, row in zip(values, found, strict=True)]
                    gains.append("" if each == other else average(pairs, digits=3, signed=True))
                lines.append([searcher, size, each or "nothing", f"{np.mean(values):.3f}", *gains])
    title = f"{CELLS} cells of NAS-Bench-201, {len({row['subset'] for row in rows.all() if 'subset' in row})} subsets"
    table(["searcher", "cells learned", "what is added", "tau", "above nothing", f"above {RIVAL}"], lines, title)


def main() -> None:
    script = Script(__file__, __doc__, seeds=8)
    script.argument("--scores", required=True, help="Parquet file of the training-free scores")
    script.argument("--hypernetworks", type=int, default=2)
    script.argument("--steps", type=int, default=1500)
    script.parse()
    frame.data("cifar10_train.parquet", "nasbench201.parquet")
    torch.set_num_threads(1)
    script.run(lambda rows: run(script, rows), report)


if __name__ == "__main__":
    main()
