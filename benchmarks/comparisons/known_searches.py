"""Random search and regularized evolution on the NAS-Bench tables, beside what is known of them.

    ARCHSEARCH_DATA=... python benchmarks/known_searches.py                 # all searches, a bare loop, no Tune
    ARCHSEARCH_DATA=... python benchmarks/known_searches.py --seeds 20      # fewer seeds

The folder holds nasbench101.parquet and nasbench201.parquet. The searchers are the package's own, asked one candidate at a
time; only the loop around them is bare, because hundreds of searches would spend their time in Tune. Finished searches are kept
in --parts and are not repeated. On NAS-Bench-201 the known figures count texts; here isomorphic cells count once.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from archsearch.searchers import ArchitectureSearcher, RandomSearch, RegularizedEvolution
from archsearch.spaces import SearchSpace
from archsearch.spaces.nasbench101.space import NASBench101
from archsearch.spaces.nasbench201 import NASBench201

COUNTS = (50, 100, 150, 200, 300, 400, 1000, 5000)

# Best test accuracy (%) after so many distinct evaluations, mean over seeds, as measured before on the same tables.
KNOWN_CURVES = {
    "nasbench101 random, uniform": (93.439, 93.570, 93.633, 93.673, 93.726, 93.760, 93.859, 94.003),
    "nasbench101 random, raw": (93.586, 93.675, 93.747, 93.785, 93.843, 93.893, 94.025, 94.209),
    "nasbench101 evolution, 100/10": (93.586, 93.789, 93.936, 94.035, 94.137, 94.188, 94.226, 94.234),
    "nasbench201 random, by one run": (93.57, 93.77, None, 93.87, None, 93.94, 94.06, None),
    "nasbench201 evolution, 20/10, by one run": (93.90, 94.09, None, 94.18, None, 94.28, 94.297, None),
}
# Median number of distinct evaluations until one of the so many best.
KNOWN_RANKS = {
    "nasbench101 evolution, 100/10": {10: "196", 3: "292", 2: "925"},
    "nasbench201 random": {1: "4,611 to 4,694"},
    "nasbench201 evolution, 20/10": {1: "79 (74 to 170 over settings)"},
}


@dataclass(frozen=True)
class Table:
    """Scores to search by and accuracies to report, by text."""

    space: SearchSpace
    scores: dict[str, float]
    reported: dict[str, float]
    ranks: dict[str, int]


def nasbench101(data: Path) -> Table:
    rows = pq.read_table(data / "nasbench101.parquet", columns=["adjacency", "ops", "test_acc"])
    space = NASBench101()
    adjacency, accuracy = rows["adjacency"].to_numpy(), rows["test_acc"].to_numpy().astype(float)
    texts = [str(space.from_adjacency(bits, ops)) for bits, ops in zip(adjacency.tolist(), rows["ops"].to_pylist(), strict=True)]
    return table(space, texts, accuracy, accuracy)


def nasbench201(data: Path, score: str) -> Table:
    rows = pq.read_table(data / "nasbench201.parquet", columns=sorted({"arch", score, "cifar10_test"}))
    return table(NASBench201(), rows["arch"].to_pylist(), rows[score].to_numpy(), rows["cifar10_test"].to_numpy())


def table(space: SearchSpace, texts: list[str], scores: NDArray[np.floating], reported: NDArray[np.floating]) -> Table:
    """Return a table; rows of equal figures share the better rank."""
    ordered = np.sort(reported.astype(float))
    ranks = 1 + len(ordered) - np.searchsorted(ordered, reported.astype(float), side="right")
    return Table(space, *(dict(zip(texts, values.tolist(), strict=True)) for values in (scores, reported, ranks)))


def evaluations(searcher: ArchitectureSearcher, scores: dict[str, float]) -> Iterator[str]:
    """Yield the texts in the order in which a searcher proposes and hears of them, one at a time."""
    trial = 0
    while isinstance(suggestion := searcher.suggest(str(trial)), dict):
        texts = suggestion["candidates"]
        yield from texts
        outcome = {"scores": [scores[text] for text in texts], "seconds": [0.0] * len(texts), "errors": [None] * len(texts)}
        searcher.on_trial_complete(trial_id=str(trial), result=outcome)
        trial += 1


def run(make: Callable[[int], ArchitectureSearcher], known: Table, seed: int, until_rank: int) -> dict[str, list[float]]:
    """Return the reported accuracy of the best-scored after each of COUNTS, and the evaluations until the best ranks."""
    best_score, best, curve = -np.inf, 0.0, []
    first: dict[int, float] = {}
    count = 0
    for count, text in enumerate(evaluations(make(seed), known.scores), start=1):
        if known.scores[text] > best_score:
            best_score, best = known.scores[text], known.reported[text]
        for rank in (10, 3, 2, 1):
            if known.ranks[text] <= rank:
                first.setdefault(rank, float(count))
        if count in COUNTS:
            curve.append(best)
        if until_rank and until_rank in first:
            break
    return {"curve": curve, "first": [first.get(rank, np.nan) for rank in (10, 3, 2, 1)]}


def searches(data: Path) -> Iterator[tuple[str, Callable[[], Table], Callable[[int], ArchitectureSearcher], int]]:
    """Yield name, table, searcher and the rank at which to stop (0: at the number of candidates)."""
    raw, uniform, cells201 = NASBench101(), NASBench101(sampler="uniform"), NASBench201()
    one = {"num_candidates": 5000, "batch_size": 1}
    first_thousand = {"num_candidates": 1000, "batch_size": 1}
    whole = {"num_candidates": 15_625, "batch_size": 1}

    def table101() -> Table:
        return nasbench101(data)

    def by_run() -> Table:
        return nasbench201(data, "cifar10_valid_run")

    def by_test() -> Table:
        return nasbench201(data, "cifar10_test")

    sizes101, sizes201 = {"population_size": 100, "tournament_size": 10}, {"population_size": 20, "tournament_size": 10}
    yield "nasbench101 random, uniform", table101, lambda seed: RandomSearch(uniform, seed, **one), 0
    yield "nasbench101 random, raw", table101, lambda seed: RandomSearch(raw, seed, **one), 0
    yield "nasbench101 evolution, 100/10", table101, lambda seed: RegularizedEvolution(raw, seed, **sizes101, **one), 0
    yield "nasbench201 random, by one run", by_run, lambda seed: RandomSearch(cells201, seed, **first_thousand), 0
    yield (
        "nasbench201 evolution, 20/10, by one run",
        by_run,
        lambda seed: RegularizedEvolution(cells201, seed, **sizes201, **first_thousand),
        0,
    )
    yield "nasbench201 random", by_test, lambda seed: RandomSearch(cells201, seed, **whole), 1
    yield "nasbench201 evolution, 20/10", by_test, lambda seed: RegularizedEvolution(cells201, seed, **sizes201, **whole), 1


def collect(
    name: str, known: Callable[[], Table], make: Callable[[int], ArchitectureSearcher], stop: int, seeds: int, parts: Path
):
    """Return curves `[seeds, counts]` and first evaluations `[seeds, ranks]`, running the seeds that are not in `parts`."""
    path = parts / f"{name.replace(' ', '-').replace(',', '').replace('/', '-')}.npz"
    stored = dict(np.load(path)) if path.exists() else {}
    held: Table | None = None
    started = time.perf_counter()
    for seed in range(seeds):
        if f"curve{seed}" in stored:
            continue
        held = held or known()
        result = run(make, held, seed, stop)
        stored |= {f"{key}{seed}": np.array(value) for key, value in result.items()}
        np.savez(path, **stored)
        print(f"\r{name}: {seed + 1}/{seeds}, {time.perf_counter() - started:.0f} s", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return [stored[f"curve{seed}"] for seed in range(seeds)], np.array([stored[f"first{seed}"] for seed in range(seeds)])


def show(name: str, curves: list[NDArray[np.float64]], first: NDArray[np.float64]) -> None:
    print(f"\n{name} ({len(curves)} seeds)")
    if name in KNOWN_CURVES:
        known = [f"{value:.3f}" if value else "-" for value in KNOWN_CURVES[name]]
        length = min(len(curve) for curve in curves)
        table = np.array([curve[:length] for curve in curves])
        errors = table.std(axis=0, ddof=1) / np.sqrt(len(table))
        print("  evaluations  " + "".join(f"{count:>16,}" for count in COUNTS[:length]))
        print("  known        " + "".join(f"{value:>16}" for value in known[:length]))
        print(
            "  here         "
            + "".join(f"{mean:>9.3f} +-{error:.3f}" for mean, error in zip(table.mean(axis=0), errors, strict=True))
        )
    for rank, known_median in KNOWN_RANKS.get(name, {}).items():
        counts = first[:, (10, 3, 2, 1).index(rank)]
        reached = np.where(np.isnan(counts), np.inf, counts)
        low, median, high = np.quantile(reached, [0.25, 0.5, 0.75], method="lower")
        print(f"  rank <= {rank}: median {median:,.0f} evaluations (quartiles {low:,.0f} to {high:,.0f}); known {known_median}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--parts", type=Path, default=Path("benchmarks/known-searches-parts"))
    parser.add_argument("--only", default="", help="only the searches whose name holds this text")
    arguments = parser.parse_args()
    if "ARCHSEARCH_DATA" not in os.environ:
        raise SystemExit("ARCHSEARCH_DATA: name the folder with nasbench101.parquet and nasbench201.parquet.")
    arguments.parts.mkdir(parents=True, exist_ok=True)
    for name, known, make, stop in searches(Path(os.environ["ARCHSEARCH_DATA"])):
        if arguments.only in name:
            show(name, *collect(name, known, make, stop, arguments.seeds, arguments.parts))


if __name__ == "__main__":
    main()
