"""Ablation of the graph hypernetwork: propagation, training nodes, stacking (GHN paper, section 5.4).

    python -m benchmarks.ghn.correlation --only truth   # the truths, once
    python -m benchmarks.ghn.ablation                   # an hour on one core, in pieces

Each variant differs from the preset `default` in what its name says, is trained for the same number of steps, and scores the
architectures of ghn/correlation.py.
"""

from __future__ import annotations

import time
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


def measure(space: SearchSpace, texts: list[str], changes: dict[str, Any], seed: int, steps: int) -> dict[str, Any]:
    """Train a variant and return what it gives the architectures."""
    started = time.process_time()
    ghn = GHN(space, "digits", seed, scale=SCALE, **changes).fit(steps)
    spent = time.process_time() - started
    found = ghn.evaluate([space.parse(text) for text in texts])
    return {"cpu": spent, "accuracy": [each.score for each in found], "loss": [each.metrics["valid_loss"] for each in found]}


def report(rows: Rows, truth: dict[str, float]) -> None:
    """Print the table: means over trainings with their 95 % intervals."""
    true = np.array(list(truth.values()))
    top = np.argsort(-true, kind="stable")[: len(true) // 2]
    lines = []
    for name, (_, published) in VARIANTS.items():
        found = rows.select(variant=name, texts=list(truth))
        if not found:
            continue
        cells = []
        for figure, sign in (("accuracy", 1.0), ("loss", -1.0)):
            scores = [sign * np.array(row[figure]) for row in found]
            cells.append(", ".join(average(pearson(true[part], each[part]) for each in scores) for part in (slice(None), top)))
        taus = average(kendall_tau(true, -np.array(row["loss"])) for row in found)
        lines.append([name, len(found), f"{np.mean([row['cpu'] for row in found]):.0f}", *cells, taus, published])
    columns = [
        "variant",
        "trainings",
        "CPU s",
        "by accuracy: Rand, Top",
        "by loss: Rand, Top",
        "tau by loss",
        "published Rand, Top",
    ]
    table(columns, lines, title=f"{len(true)} architectures")


def main() -> None:
    script = Script(__file__, __doc__, seeds=3)
    truths_file = Path("runs/ghn_correlation.jsonl")
    script.argument("--truths", type=Path, default=truths_file, help=f"rows of ghn/correlation.py (default: {truths_file})")
    script.argument("--nodes", type=int, default=7, help="of the blocks that are scored (default: 7)")
    script.argument("--steps", type=int, default=800, help="of each training (default: 800)")
    arguments = script.parse()
    torch.set_num_threads(1)
    space = Cells(arguments.nodes)
    known = truths(arguments.truths, space)
    truth = {text: known[text] for text in map(str, population(space, 1000)) if text in known}
    if len(truth) < 8:
        raise SystemExit(f"{len(truth)} truths in {arguments.truths}: too few. Run benchmarks.ghn.correlation first.")

    def run(rows: Rows) -> None:
        for seed in script.seeds:
            for name, (changes, _) in VARIANTS.items():
                rows.get(
                    lambda changes=changes, seed=seed: measure(space, list(truth), changes, seed, arguments.steps),
                    variant=name,
                    seed=seed,
                    texts=list(truth),
                )

    script.run(run, lambda rows: report(rows, truth))


if __name__ == "__main__":
    main()
