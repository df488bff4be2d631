"""Training-free scores beside the graph features of a Gaussian process: Kendall's tau on cells of NAS-Bench-201.

    ARCHSEARCH_DATA=FOLDER python -m benchmarks.gates.proxies --scores SCORES.parquet    # some minutes for the scores, once

The folder holds nasbench201.parquet and cifar10_train.parquet. The scores are those of `archsearch.evaluators.proxies` for random
distinct cells, from images of CIFAR-10 and small networks; they are kept in the file of `--scores`, and a script that is stopped
and started again computes only what is missing. The process learns from some of these cells and is tested on the others. A score
is a column as in `archsearch.searchers.surrogate.proxy_reranking`: standardised logarithms among the cells that are learned.
Their scale was chosen on the subsets 100 to 109.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from archsearch.evaluators import metrics
from archsearch.evaluators.predictors.features import features_of
from archsearch.evaluators.predictors.gaussian_process import GaussianProcess
from archsearch.evaluators.proxies import ProxyEvaluator
from archsearch.searchers.surrogate.proxy_reranking import SCALE, moments, signed_log
from archsearch.spaces.nasbench201 import NASBench201
from archsearch.spaces.representatives import representatives
from benchmarks.frame import Rows, Script, average, data, table

SIZES = (30, 78, 390)
SETS = ("", "nwot", "params+nwot", "nwot+synflow", "params+nwot+synflow+jacov")
_AT_ONCE = 100  # cells between two writes


@dataclass(frozen=True)
class Scored:
    """Distinct cells with graph features, training-free scores by name and test accuracies, `[cells, ...]`."""

    features: NDArray[np.float32]
    scores: dict[str, NDArray[np.float64]]
    accuracies: NDArray[np.float64]


def scored(file: Path, cells: int, names: tuple[str, ...], images: int, channels: int, depth: int) -> Scored:
    """Return the first of a random order of the distinct cells; scores that the file lacks are computed."""
    space, folder = NASBench201(), data("cifar10_train.parquet", "nasbench201.parquet")
    every = representatives(space)
    keys = [list(every)[at] for at in np.random.default_rng(0).permutation(len(every))[:cells]]
    kept = {row["key"]: row for row in pq.read_table(file).to_pylist()} if file.exists() else {}
    scale = {"channels": channels, "cells_per_stage": depth}
    evaluator = ProxyEvaluator(space, names, f"parquet:{folder}/cifar10_train.parquet", batch_size=images, scale=scale)
    missing = [key for key in keys if key not in kept]
    for start in range(0, len(missing), _AT_ONCE):
        started = time.process_time()
        chosen = missing[start : start + _AT_ONCE]
        kept.update((key, {"key": key, **evaluator.scores(every[key])}) for key in chosen)
        part = file.with_suffix(".part")
        pq.write_table(pa.Table.from_pylist(list(kept.values())), part)
        part.replace(file)
        seconds = (time.process_time() - started) / len(chosen)
        print(f"{len(kept):,} of {cells:,} cells scored, {seconds:.3f} CPU s a cell", flush=True)
    rows = pq.read_table(folder / "nasbench201.parquet", columns=["arch", "cifar10_test"])
    accuracies = {
        space.key(space.parse(text)): accuracy
        for text, accuracy in zip(rows["arch"].to_pylist(), rows["cifar10_test"].to_pylist(), strict=True)
    }
    return Scored(
        features_of(space, [every[key] for key in keys], "graf"),
        {name: np.array([kept[key][name] for key in keys], dtype=np.float64) for name in names},
        np.array([accuracies[key] for key in keys]),
    )


def tau(known: Scored, names: tuple[str, ...], size: int, subset: int) -> float:
    """Return the rank correlation on the other cells of a process that has learned `size` of them."""
    order = np.random.default_rng(subset).permutation(len(known.accuracies))
    train, test = order[:size], order[size:]
    features = known.features
    if names:
        logs = signed_log(np.column_stack([known.scores[name] for name in names]))
        mean, deviation = moments(logs[train])
        features = np.hstack([features, SCALE * np.nan_to_num((logs - mean) / deviation).astype(np.float32)])
    process = GaussianProcess(NASBench201(), subset).fit(features[train], known.accuracies[train])
    return metrics.kendall_tau(known.accuracies[test], process.predict(features[test]))


def run(script: Script, rows: Rows) -> None:
    """Measure what is not in the file yet."""
    arguments = script.arguments
    names = tuple(dict.fromkeys(name for each in SETS for name in each.split("+") if name))
    setting = {name: getattr(arguments, name) for name in ("cells", "images", "channels", "depth")}

    @cache
    def known() -> Scored:
        return scored(Path(arguments.scores), names=names, **setting)

    for name in names:
        rows.get(lambda name=name: alone(known(), name), alone=name, **setting)
    for size in SIZES:
        for each in SETS:
            chosen = tuple(filter(None, each.split("+")))
            for subset in script.seeds:
                rows.get(
                    lambda chosen=chosen, size=size, subset=subset: {"tau": tau(known(), chosen, size, subset)},
                    proxies=each,
                    size=size,
                    subset=subset,
                    **setting,
                )


def alone(known: Scored, name: str) -> dict[str, float]:
    """Return the rank correlation of a score with the accuracy, and the share of cells that it is defined for."""
    scores = known.scores[name]
    there = np.isfinite(scores)
    return {"tau": metrics.kendall_tau(known.accuracies[there], scores[there]), "defined": float(there.mean())}


def report(rows: Rows) -> None:
    """Print the tables."""
    settings = {(row["cells"], row["images"], row["channels"], row["depth"]) for row in rows.all()}
    for cells, images, channels, depth in sorted(settings):
        chosen = {"cells": cells, "images": images, "channels": channels, "depth": depth}
        title = f"{cells:,} cells; {images} images, {channels} channels, {depth} cells a stage"
        single = [row for row in rows.select(**chosen) if "alone" in row]
        table(
            ["score", "tau", "defined"], [[row["alone"], f"{row['tau']:.3f}", f"{row['defined']:.3f}"] for row in single], title
        )
        lines = []
        for size in SIZES:
            by_set = {
                each: {row["subset"]: row["tau"] for row in rows.select(proxies=each, size=size, **chosen)} for each in SETS
            }
            for each, found in by_set.items():
                pairs = [value - by_set[""][subset] for subset, value in found.items() if subset in by_set[""]]
                gain = average(pairs, digits=4, signed=True) if each else None
                lines.append([size, each or "graph features alone", average(found.values(), digits=3, deviation=True), gain])
        table(["learned", "scores beside the graph features", "tau", "gain on the same subsets"], lines)


def main() -> None:
    script = Script(__file__, __doc__, seeds=10)
    script.argument("--scores", required=True, help="Parquet file of the training-free scores")
    script.argument("--cells", type=int, default=1000, help="number of distinct cells")
    script.argument("--images", type=int, default=64, help="images that a score reads")
    script.argument("--channels", type=int, default=16)
    script.argument("--depth", type=int, default=2, help="cells a stage")
    script.parse()
    torch.set_num_threads(1)
    script.run(lambda rows: run(script, rows), report)


if __name__ == "__main__":
    main()
