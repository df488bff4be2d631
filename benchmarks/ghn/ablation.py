"""Ablation of the graph hypernetwork: propagation, training nodes, stacking (GHN paper, section 5.4).

    ARCHSEARCH_DATA=FOLDER python -m benchmarks.ghn.ablation --bench nasbench201 nasbench101   # an hour on one core, in pieces
    python -m benchmarks.ghn.correlation --only truth                                          # the truths of `cells`, once
    python -m benchmarks.ghn.ablation --bench cells

Each variant differs from the preset `default` in what its name says and is trained for the same number of steps. On the tables
it learns from CIFAR-10 images, averaged to 16 x 16 pixels, and scores the cells of ghn/rank_by.py by 400 images; the truth is
the published accuracy. In `cells` it learns from digits and scores the architectures of ghn/correlation.py. Differences to the
default are of pairs of trainings with one seed.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from archsearch.evaluators import GHN
from archsearch.evaluators.metrics import kendall_tau, pearson
from archsearch.spaces import SearchSpace
from archsearch.spaces.cells import Cells
from benchmarks.frame import Rows, Script, average, table
from benchmarks.ghn.correlation import population
from benchmarks.ghn.rank_by import arguments_of, cells

BLOCKS = "cells"
TABLES = ("nasbench201", "nasbench101")
SCALE = {"blocks": 3, "channels": 8}
# Changes to the preset; Pearson's correlation on 100 architectures and on the better 50 in table 5.
VARIANTS: dict[str, tuple[dict[str, Any], str]] = {
    "default: forward-backward, T = 1, 7 nodes, shared, passing": ({}, ".68, .48 (T = 5)"),
    "separate parameters, no passing": ({"stacking": "separate", "passing": False}, ".24, .15"),
    "separate parameters, passing": ({"stacking": "separate"}, ".44, .37"),
    "forward-backward, T = 5": ({"propagations": 5}, ".68, .48"),
    "synchronous, T = 1": ({"scheme": "synchronous"}, ""),
    "synchronous, T = 5": ({"scheme": "synchronous", "propagations": 5}, ""),
    "trained with 5 nodes": ({"training_nodes": 5}, ""),
}


def truths(path: Path, space: SearchSpace) -> dict[str, float]:
    """Return the mean accuracy of each architecture that was trained, by its text form."""
    rows = [row for row in Rows(path).all() if row["method"].startswith("truth") and row["score"] is not None]
    found: dict[str, list[float]] = {}
    for row in rows:
        if row["settings"]["space"] == repr(space):
            found.setdefault(row["architecture"], []).append(row["score"])
    most = max(map(len, found.values()), default=0)
    return {text: float(np.mean(scores)) for text, scores in found.items() if len(scores) == most}


def measured(
    space: SearchSpace, texts: Sequence[str], arguments: dict[str, Any], changes: dict[str, Any], seed: int, steps: int
) -> dict[str, Any]:
    """Train a variant and return what it gives the architectures."""
    started = time.process_time()
    ghn = GHN(space, seed=seed, **arguments, **changes).fit(steps)
    spent = time.process_time() - started
    found = ghn.evaluate([space.parse(text) for text in texts])
    return {"cpu": spent, "accuracy": [each.score for each in found], "loss": [each.metrics["valid_loss"] for each in found]}


def variants(bench: str) -> list[str]:
    """Return the names of the variants that differ there: only blocks of `cells` have training nodes to choose."""
    return [name for name, (changes, _) in VARIANTS.items() if bench == BLOCKS or "training_nodes" not in changes]


def run(bench: str, space: SearchSpace, texts: Sequence[str], script: Script, rows: Rows) -> None:
    """Train what is not in the file yet."""
    given = {"dataset": "digits", "scale": SCALE} if bench == BLOCKS else {**arguments_of(bench), "evaluation_images": 400}
    steps = script.arguments.steps
    for seed in script.seeds:
        for name in variants(bench):
            make = partial(measured, space, texts, given, VARIANTS[name][0], seed, steps)
            rows.get(make, bench=bench, variant=name, seed=seed, steps=steps)


def report(bench: str, true: np.ndarray, rows: Rows) -> None:
    """Print the table: means over trainings with their 95 % intervals, and differences of tau to the default in pairs."""
    top = np.argsort(-true, kind="stable")[: len(true) // 2]
    lines, first = [], dict[int, float]()
    for name in variants(bench):
        found = rows.select(bench=bench, variant=name)
        if not found:
            continue
        shown = []
        for figure, sign in (("accuracy", 1.0), ("loss", -1.0)):
            scores = [sign * np.array(row[figure]) for row in found]
            shown.append(", ".join(average(pearson(true[part], each[part]) for each in scores) for part in (slice(None), top)))
        taus = {row["seed"]: kendall_tau(true, -np.array(row["loss"])) for row in found}
        first = first or taus
        pairs = [tau - first[seed] for seed, tau in taus.items() if seed in first]
        gap = average(pairs, signed=True) if taus is not first and len(pairs) > 1 else ""
        seconds = f"{np.mean([row['cpu'] for row in found]):.0f}"
        lines.append([name, len(found), seconds, *shown, average(taus.values()), gap, VARIANTS[name][1]])
    columns = ["by accuracy: Rand, Top", "by loss: Rand, Top", "tau by loss", "less the default's", "published Rand, Top"]
    table(["variant", "trainings", "CPU s", *columns], lines, title=f"{bench}: {len(true)} architectures")


def main() -> None:
    script = Script(__file__, __doc__, seeds=5)
    truths_file = Path("runs/ghn_correlation.jsonl")
    script.argument("--bench", nargs="+", choices=(*TABLES, BLOCKS), default=list(TABLES))
    script.argument("--truths", type=Path, default=truths_file, help=f"rows of ghn/correlation.py (default: {truths_file})")
    script.argument("--nodes", type=int, default=7, help="of the blocks of `cells` that are scored (default: 7)")
    script.argument("--steps", type=int, default=800, help="of each training (default: 800)")
    arguments = script.parse()
    torch.set_num_threads(1)
    scored = dict[str, tuple[SearchSpace, list[str], np.ndarray]]()
    for bench in arguments.bench:
        if bench == BLOCKS:
            blocks = Cells(arguments.nodes)
            known = truths(arguments.truths, blocks)
            truth = {text: known[text] for text in map(str, population(blocks, 1000)) if text in known}
            if len(truth) < 8:
                raise SystemExit(f"{len(truth)} truths in {arguments.truths}: too few. Run benchmarks.ghn.correlation first.")
            scored[bench] = blocks, list(truth), np.array(list(truth.values()))
        else:
            space, architectures, accuracies = cells(bench)
            scored[bench] = space, list(map(str, architectures)), accuracies

    def measure(rows: Rows) -> None:
        for bench, (space, texts, _) in scored.items():
            run(bench, space, texts, script, rows)

    def show(rows: Rows) -> None:
        for bench, (_, _, true) in scored.items():
            report(bench, true, rows)

    script.run(measure, show)


if __name__ == "__main__":
    main()
