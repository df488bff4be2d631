"""What searches find by real trainings at equal cost, many seeds: small networks on digits, whose trainings are recorded.

    python -m benchmarks.comparisons.equal_cost                        # 40 seeds; a quarter of an hour on one core

The table `digits201`, which the package ships, has two trainings of each of the 6,466 cells of NAS-Bench-201 on scikit-learn's
digits, with their seconds. A search is scored by the validation loss of one of the two, which agrees with the other better than
the accuracy does. What it has found is the candidate with the least; reported are test accuracy and test loss of the *other*
training, which the search has not seen.

All searches have the seconds of 60 average trainings. On the clock are the recorded seconds of the trainings and the CPU seconds
of the searcher itself, one worker. A training here takes about a second; with `--factor 100` each counts as a hundred times
as long, and so does the budget, as on larger images: the own seconds of a searcher then hardly matter. Searchers have their
defaults, or 30 random candidates first, as the default job.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch

import archsearch.evaluators.tables
from archsearch import searchers
from archsearch.searchers import ArchitectureSearcher
from archsearch.spaces.nasbench201 import NASBench201
from benchmarks.fidelity.images import kept_in_process
from benchmarks.frame import Row, Rows, Script, average, table

TRAININGS, FACTORS = 60, (1, 100)
# By name: a searcher, and its options beside the defaults; the first candidates of the default job are 30.
METHODS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "random": ("random", {}),
    "evolution": ("evolution", {}),
    "optuna": ("optuna", {}),
    "gp": ("gp", {}),
    "gp, 30 first": ("gp", {"initial": 30, "explore": 0.0}),
    "gates": ("gates", {}),
    "gates, 30 first": ("gates", {"initial": 30}),
    "proxies": ("proxies", {"dataset": "digits", "scale": {"channels": 4, "cells_per_stage": 1}, "device": "cpu"}),
}


class Trainings:
    """The two trainings of each cell."""

    def __init__(self) -> None:
        content = pq.read_table(f"{archsearch.evaluators.tables.__path__[0]}/digits201.parquet")
        images = json.loads(content.schema.metadata[b"images"])["test"]
        self.space = NASBench201()
        self.rows = {text: row for row, text in enumerate(content["architecture"].to_pylist())}
        self.rows |= {self.space.key(self.space.parse(text)): row for text, row in list(self.rows.items())}
        self.seconds = content["seconds"].to_numpy()
        self.valid_loss = np.array(content["valid_loss_by_seed"].to_pylist(), float)
        self.test_loss = np.array(content["test_loss_by_seed"].to_pylist(), float)
        self.test = np.array(content["test_correct"].to_pylist(), float).reshape(len(content), 2, -1)[:, :, -1] / images

    def row(self, text: str) -> int:
        found = self.rows.get(text)
        return self.rows[self.space.key(self.space.parse(text))] if found is None else found


def searcher_of(name: str, seed: int) -> ArchitectureSearcher:
    """Return the searcher of a method, which proposes one candidate at a time and keeps its model in this process."""
    kind, options = METHODS[name]
    return kept_in_process(searchers.get(kind)(NASBench201(), seed, num_candidates=1000, batch_size=1, **options))


def search(known: Trainings, name: str, seed: int, factor: int) -> dict[str, Any]:
    """Return what a search finds: test accuracy and loss of the other training, and what it spent its seconds on."""
    budget, shown = factor * TRAININGS * float(known.seconds.mean()), seed % 2
    searcher, trained, own, count, best = searcher_of(name, seed), 0.0, 0.0, 0, -1
    while True:
        started = time.process_time()
        suggestion = searcher.suggest(str(count))
        own += time.process_time() - started
        if not isinstance(suggestion, dict):
            break
        row = known.row(suggestion["architecture"])
        trained += factor * float(known.seconds[row])
        if trained + own > budget:
            break
        loss = float(known.valid_loss[row, shown])
        started = time.process_time()
        searcher.on_trial_complete(str(count), {"scores": [-loss], "seconds": [float(known.seconds[row])], "errors": [None]})
        own += time.process_time() - started
        count += 1
        if best < 0 or loss < known.valid_loss[best, shown]:
            best = row
    return {
        "valid_loss": float(known.valid_loss[best, shown]),
        "test": 100.0 * float(known.test[best, 1 - shown]),
        "test_loss": float(known.test_loss[best, 1 - shown]),
        "candidates": count,
        "own_seconds": own,
    }


def report(rows: Rows) -> None:
    """Print a table for each factor: means over seeds, and differences to random search with the same seed."""
    for factor in FACTORS:
        found = {name: {row["seed"]: row for row in rows.select(method=name, factor=factor)} for name in METHODS}
        lines = [line(name, each, found["random"]) for name, each in found.items() if each]
        if lines:
            columns = ["seeds", "candidates", "own CPU s", "test accuracy %", "less random's", "test loss", "less random's"]
            table(["", *columns], lines, title=f"a training counts {factor} times its seconds")


def line(name: str, rows: Mapping[int, Row], random: Mapping[int, Row]) -> list[object]:
    """Return the line of a method."""
    pairs = [(row, random[seed]) for seed, row in rows.items() if seed in random]
    shown: list[object] = [name, len(rows)]
    for figure, digits in (("candidates", 0), ("own_seconds", 1)):
        shown.append(f"{np.mean([row[figure] for row in rows.values()]):.{digits}f}")
    for figure, digits in (("test", 2), ("test_loss", 4)):
        gaps = [row[figure] - other[figure] for row, other in pairs]
        shown += [average([row[figure] for row in rows.values()], digits)]
        shown += [average(gaps, digits, signed=True) if name != "random" and len(gaps) > 1 else None]
    return shown


def main() -> None:
    script = Script(__file__, __doc__, seeds=40)
    script.argument("--only", nargs="+", choices=METHODS, default=list(METHODS), help="searchers (default: all)")
    script.argument("--factors", nargs="+", type=int, choices=FACTORS, default=list(FACTORS), help="on the seconds of a training")
    arguments = script.parse()
    torch.set_num_threads(1)
    known = cache(Trainings)

    def measure(rows: Rows) -> None:
        for seed in script.seeds:
            for factor in arguments.factors:
                for name in arguments.only:
                    rows.get(
                        lambda name=name, seed=seed, factor=factor: search(known(), name, seed, factor),
                        method=name,
                        seed=seed,
                        factor=factor,
                    )

    script.run(measure, report)


if __name__ == "__main__":
    main()
