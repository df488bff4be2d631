"""Whether `gates` finds the best cell sooner when its first candidates are ranked first by a hypernetwork instead of random.

    ARCHSEARCH_DATA=FOLDER python -m benchmarks.ghn.first_stage                 # 10 seeds; half an hour on one core

The folder holds nasbench201.parquet and cifar10_train.parquet. For each seed a hypernetwork learns from CIFAR-10 images, averaged
to 16 x 16 pixels, and scores 500 random cells by 400 images. The first stage of `gates`, ten candidates, is then random; or the
ten first by `centred+params+nwot`; or five of these and five random ones; or the ten, or five, first by `params+nwot`, which
needs no hypernetwork. Loop and table are those of gates/search.py, the settings the defaults. The ten of the pool that are
ranked first are also compared with the ten that GATES ranks first after it has learned the accuracies of 50 others.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import torch

from archsearch.evaluators import Predictor
from archsearch.evaluators.ghn.surrogate import GHNSurrogate
from archsearch.evaluators.proxies.surrogate import ProxySurrogate
from archsearch.searchers.surrogate.rank_sum import rank_sum
from archsearch.spaces import Architecture
from benchmarks.comparisons.course import Course, columns, line
from benchmarks.comparisons.known_searches import Table, evaluations, nasbench201
from benchmarks.frame import Rows, Script, average, data, table
from benchmarks.gates.search import LENGTHS, make
from benchmarks.ghn.rank_by import arguments_of, taus

BENCH, POOL, FIRST, LABELS = "nasbench201", 500, 10, 50
STEPS = 1000
# By name: the parts of the sum of ranks, and how many of the first stage are chosen by it.
STARTS: Mapping[str, tuple[tuple[str, ...], int]] = {
    "random": ((), 0),
    "ghn": (("centred", "params", "nwot"), FIRST),
    "ghn, half of them": (("centred", "params", "nwot"), FIRST // 2),
    "training-free": (("params", "nwot"), FIRST),
    "training-free, half of them": (("params", "nwot"), FIRST // 2),
}
COUNTS = (5, 10, 15, 25, 50, 100)


def pool(known: Table, seed: int) -> list[Architecture]:
    """Return random cells of different structure."""
    rng, found = np.random.default_rng([seed, POOL]), dict[Any, Architecture]()
    while len(found) < POOL:
        cell = known.space.sample(rng)
        found.setdefault(known.space.key(cell), cell)
    return list(found.values())


def generated(known: Table, seed: int) -> dict[str, Any]:
    """Return the negative centred losses of the cells of a pool with generated weights, and CPU seconds."""
    started = time.process_time()
    surrogate = GHNSurrogate(known.space, seed=seed, evaluation_images=400, **arguments_of(BENCH))
    surrogate.load(surrogate.fit(steps=STEPS))
    fitted = time.process_time()
    centred = surrogate.evaluate([str(each) for each in pool(known, seed)])["centred_loss"]
    return {"centred": -centred, "seconds": {"fitting": fitted - started, "scoring": time.process_time() - fitted}}


def training_free(known: Table, seed: int) -> dict[str, Any]:
    """Return the training-free scores of the cells of a pool, and CPU seconds."""
    started = time.process_time()
    found = ProxySurrogate(known.space, ("params", "nwot"), **arguments_of(BENCH)).evaluate(
        [str(each) for each in pool(known, seed)]
    )
    return {"params": found["params"], "nwot": found["nwot"], "seconds": time.process_time() - started}


def searched(known: Table, start: str, row: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Return the figures of a search, the best accuracy (%) of its first stage, and how well the sum ranked the pool."""
    parts, chosen = STARTS[start]
    searcher, course, cells = make(("gates", {}), BENCH, known, seed), Course(known), pool(known, seed)
    further: dict[str, Any] = {}
    if parts:
        ranks = rank_sum([np.array(row[part], np.float64) for part in parts])
        searcher.start_with([cells[place] for place in np.argsort(-ranks, kind="stable")[:chosen]])
        truth = np.array([known.scores[str(cell)] for cell in cells])
        further = {"taus": taus(truth, ranks)}
    started = time.process_time()
    told = list(evaluations(searcher, known.scores))
    for text in told:
        course.take(text)
    first = [known.scores[text] for text in told[:FIRST]]
    return {**course.figures(), **further, "first": [np.mean(first), np.max(first)], "cpu": time.process_time() - started}


def labelled(known: Table, seed: int) -> dict[str, Any]:
    """Return mean and best accuracy (%) of the ten that GATES ranks first of a pool, after the accuracies of `LABELS` of it."""
    started = time.process_time()
    cells = pool(known, seed)
    truth = np.array([known.scores[str(cell)] for cell in cells])
    predicted = Predictor(known.space, seed=seed).fit(cells[:LABELS], truth[:LABELS]).predict(cells[LABELS:])
    first = truth[LABELS:][np.argsort(-predicted, kind="stable")[:FIRST]]
    return {"first": [first.mean(), first.max()], "cpu": time.process_time() - started}


def report(rows: Rows) -> None:
    """Print a table of the searches, and differences in pairs."""
    found = {start: rows.select(kind="search", start=start) for start in STARTS}
    shown = [line(start, each, LENGTHS[BENCH], COUNTS) for start, each in found.items() if each]
    table(columns(COUNTS), shown, title="NAS-Bench-201")
    before = {row["seed"]: row for row in found["random"]}
    lines = list[list[object]]()
    for start, each in found.items():
        pairs = [(row, before[row["seed"]]) for row in each if row["seed"] in before]
        if len(pairs) < 2:
            continue
        gaps = [until(row) - until(other) for row, other in pairs]
        mean, best = np.mean([row["first"] for row in each], axis=0)
        agreed = np.mean([row["taus"] for row in each], axis=0) if STARTS[start][0] else None
        shown_taus = None if agreed is None else f"{agreed[0]:.3f}, {agreed[1]:.3f}"
        lines.append([start, len(pairs), shown_taus, f"{mean:.2f}, {best:.2f}", average(gaps, 1, signed=True)])
    if learned := rows.select(kind="labelled"):
        mean, best = np.mean([row["first"] for row in learned], axis=0)
        lines.append([f"GATES after {LABELS} accuracies", len(learned), None, f"{mean:.2f}, {best:.2f}", None])
    names = [
        "first stage",
        "seeds",
        "tau: pool, better half",
        "first ten: mean, best (%)",
        "evaluations to the best less random's",
    ]
    table(names, lines)


def until(row: Mapping[str, Any]) -> int:
    """Return the evaluation at which the best cell was found; one more than the length where it was not."""
    found = row["found"]["1"]
    return LENGTHS[BENCH] + 1 if found is None else int(found)


def main() -> None:
    script = Script(__file__, __doc__, seeds=10)
    script.argument("--starts", nargs="+", choices=STARTS, default=list(STARTS), help="first stages (default: all)")
    starts = script.parse().starts
    torch.set_num_threads(1)
    known = cache(lambda: nasbench201(data("nasbench201.parquet", "cifar10_train.parquet"), "cifar10_test"))
    sources = {"training-free": (training_free, {"params", "nwot"}), "generated": (generated, {"centred"})}

    def measure(rows: Rows) -> None:
        for seed in script.seeds:
            rows.get(lambda seed=seed: labelled(known(), seed), kind="labelled", seed=seed)
            parts = {part for start in starts for part in STARTS[start][0]}
            figures = dict[str, Any]()
            for kind, (figures_of, given) in sources.items():
                if given & parts:
                    figures |= (
                        rows.get(lambda figures_of=figures_of, seed=seed: figures_of(known(), seed), kind=kind, seed=seed) or {}
                    )
            for start in starts:
                rows.get(
                    lambda start=start, figures=figures, seed=seed: searched(known(), start, figures, seed),
                    kind="search",
                    start=start,
                    seed=seed,
                )

    script.run(measure, report)


if __name__ == "__main__":
    main()
