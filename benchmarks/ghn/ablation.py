"""What matters for the ranking of a graph hypernetwork: propagation, training nodes, stacking (GHN paper, section 5.4).

    python benchmarks/ghn_correlation.py --only truth   # the truths, once
    python benchmarks/ghn_ablation.py                   # an hour on one core, in pieces
    python benchmarks/ghn_ablation.py --print

Each variant differs from the preset `default` in what its name says, is trained for as many steps, and scores the architectures
of ghn_correlation.py. Each training is a line of a file and is not repeated.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ghn_correlation import population
from rows import read, write

from archsearch.evaluators import GHN
from archsearch.evaluators.metrics import kendall_tau, mean_interval, pearson
from archsearch.spaces import SearchSpace
from archsearch.spaces.cells import Cells

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
    """Return the mean accuracy of each architecture that was trained, by its text."""
    rows = [row for row in read(path) if row["method"].startswith("truth") and row["score"] is not None]
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


def report(rows: list[dict[str, Any]], truth: dict[str, float]) -> None:
    """Print the table as Markdown: means over trainings, and their range."""
    true = np.array(list(truth.values()))
    top = np.argsort(-true, kind="stable")[: len(true) // 2]
    print(f"\n{len(true)} architectures\n")
    print("| variant | trainings | CPU s | by accuracy: Rand, Top | by loss: Rand, Top | tau by loss | published Rand, Top |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, (_, published) in VARIANTS.items():
        found = [row for row in rows if row["variant"] == name and row["texts"] == list(truth)]
        if not found:
            continue
        cells = []
        for figure, sign in (("accuracy", 1.0), ("loss", -1.0)):
            scores = [sign * np.array(row[figure]) for row in found]
            cells.append(", ".join(spread([pearson(true[part], each[part]) for each in scores]) for part in (slice(None), top)))
        taus = [kendall_tau(true, -np.array(row["loss"])) for row in found]
        cpu = np.mean([row["cpu"] for row in found])
        print(f"| {name} | {len(found)} | {cpu:.0f} | {' | '.join(cells)} | {spread(taus)} | {published} |")


def spread(values: list[float]) -> str:
    """Return the mean with its 95 % interval, or the only value."""
    if len(values) < 2:
        return f"{values[0]:.2f}"
    interval = mean_interval(values)
    return f"{interval.value:.2f} [{interval.low:.2f}, {interval.high:.2f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--truths", type=Path, default=Path("ghn_correlation.jsonl"), help="what ghn_correlation.py has written")
    parser.add_argument("--nodes", type=int, default=7, help="of the blocks that are scored (default: 7)")
    parser.add_argument("--steps", type=int, default=800, help="of each training (default: 800)")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each variant (default: 3)")
    parser.add_argument("--results", type=Path, default=Path("ghn_ablation.jsonl"))
    parser.add_argument("--print", action="store_true", help="only print the table of what is there")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    space = Cells(arguments.nodes)
    truth = truths(arguments.truths, space)
    truth = {text: truth[text] for text in map(str, population(space, 1000)) if text in truth}
    if len(truth) < 8:
        raise SystemExit(f"{len(truth)} truths in {arguments.truths}: too few. Run ghn_correlation.py first.")
    for seed in range(0 if arguments.print else arguments.seeds):
        for name, (changes, _) in VARIANTS.items():
            known = read(arguments.results)
            if any((row["variant"], row["seed"], row["texts"]) == (name, seed, list(truth)) for row in known):
                continue
            row = {"variant": name, "seed": seed, "texts": list(truth)}
            row |= measure(space, list(truth), changes, seed, arguments.steps)
            write(arguments.results, row)
            print(f"{name}, seed {seed}: {row['cpu']:.0f} s", flush=True)
    report(read(arguments.results), truth)


if __name__ == "__main__":
    main()
