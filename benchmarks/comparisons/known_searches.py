"""Random search and regularized evolution on the NAS-Bench tables, beside what is known of them.

    ARCHSEARCH_DATA=FOLDER python -m benchmarks.comparisons.known_searches                 # all searches, a bare loop, no Tune
    ARCHSEARCH_DATA=FOLDER python -m benchmarks.comparisons.known_searches --seeds 20      # fewer seeds

The folder holds nasbench101.parquet and nasbench201.parquet. The searchers are the package's own, asked one candidate at a
time; only the loop around them is bare, because hundreds of searches would spend their time in Tune. On NAS-Bench-201 the known
figures count strings; here isomorphic cells count once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from archsearch.searchers import ArchitectureSearcher, RandomSearch, RegularizedEvolution
from archsearch.spaces import SearchSpace
from archsearch.spaces.nasbench101.space import NASBench101
from archsearch.spaces.nasbench201 import NASBench201
from benchmarks import frame
from benchmarks.frame import Row, Rows, Script

RANKS = (10, 3, 2, 1)
COUNTS = (50, 100, 150, 200, 300, 400, 1000, 5000)

# Best test accuracy (%) after COUNTS distinct evaluations, mean over seeds, as measured before on the same tables.
KNOWN_CURVES = {
    "nasbench101 random, uniform": (93.439, 93.570, 93.633, 93.673, 93.726, 93.760, 93.859, 94.003),
    "nasbench101 random, raw": (93.586, 93.675, 93.747, 93.785, 93.843, 93.893, 94.025, 94.209),
    "nasbench101 evolution, 100/10": (93.586, 93.789, 93.936, 94.035, 94.137, 94.188, 94.226, 94.234),
    "nasbench201 random, by one run": (93.57, 93.77, None, 93.87, None, 93.94, 94.06, None),
    "nasbench201 evolution, 20/10, by one run": (93.90, 94.09, None, 94.18, None, 94.28, 94.297, None),
}
# Median number of distinct evaluations until one of the best 10, 3, 2 or 1.
KNOWN_RANKS = {
    "nasbench101 evolution, 100/10": {10: "196", 3: "292", 2: "925"},
    "nasbench101 evolution, 20/10": {10: "", 3: ""},
    "nasbench201 random": {1: "4,611 to 4,694"},
    "nasbench201 evolution, 20/10": {1: "79 (74 to 170 over settings)"},
}


@dataclass(frozen=True)
class Table:
    """Scores to search by, accuracies (%) to report and their ranks, by the text form of the architecture."""

    space: SearchSpace
    scores: Mapping[str, float]
    reported: Mapping[str, float]
    ranks: Mapping[str, int]


class ByKey(Mapping[str, Any]):
    """Values of architectures by text, held by key: the texts of 423,624 cells would take a minute to write.

    Args:
        space: Space of the architectures.
        values: Values by key.
    """

    def __init__(self, space: SearchSpace, values: dict[str, Any]) -> None:
        self._space, self._values = space, values

    def __getitem__(self, text: str) -> Any:
        return self._values[self._space.key(self._space.parse(text))]

    def __iter__(self) -> Iterator[str]:
        raise TypeError("texts are not listed; look one up")

    def __len__(self) -> int:
        return len(self._values)


def nasbench101(data: Path) -> Table:
    rows = pq.read_table(data / "nasbench101.parquet", columns=["adjacency", "ops", "test_acc"])
    space = NASBench101()
    accuracy = rows["test_acc"].to_numpy().astype(float)
    operators = np.array([row + [-1] * (5 - len(row)) for row in rows["ops"].to_pylist()])
    keys = space.keys(space.encode_adjacency(rows["adjacency"].to_numpy(), operators))
    return Table(
        space, *(ByKey(space, dict(zip(keys, values.tolist(), strict=True))) for values in (*[accuracy] * 2, ranks(accuracy)))
    )


def nasbench201(data: Path, score: str) -> Table:
    rows = pq.read_table(data / "nasbench201.parquet", columns=sorted({"arch", score, "cifar10_test"}))
    texts, reported = rows["arch"].to_pylist(), rows["cifar10_test"].to_numpy()
    values = (rows[score].to_numpy(), reported, ranks(reported))
    return Table(NASBench201(), *(dict(zip(texts, each.tolist(), strict=True)) for each in values))


def ranks(figures: NDArray[np.floating]) -> NDArray[np.integer]:
    """Return ranks from 1, the largest figure first; equal figures share the better rank."""
    ordered = np.sort(figures.astype(float))
    return 1 + len(ordered) - np.searchsorted(ordered, figures.astype(float), side="right")


def evaluations(searcher: ArchitectureSearcher, scores: Mapping[str, float]) -> Iterator[str]:
    """Yield text forms of architectures in the order in which a searcher proposes them; it is told their scores one at a time."""
    trial = 0
    while isinstance(suggestion := searcher.suggest(str(trial)), dict):
        texts = suggestion["candidates"]
        yield from texts
        outcome = {"scores": [scores[text] for text in texts], "seconds": [0.0] * len(texts), "errors": [None] * len(texts)}
        searcher.on_trial_complete(trial_id=str(trial), result=outcome)
        trial += 1


def run(make: Callable[[int], ArchitectureSearcher], known: Table, seed: int, until_rank: int) -> dict[str, list[Any]]:
    """Return the reported accuracy of the best-scored after each of COUNTS, and the evaluations until the best ranks."""
    best_score, best, curve = -np.inf, 0.0, []
    first: dict[int, float] = {}
    count = 0
    for count, text in enumerate(evaluations(make(seed), known.scores), start=1):
        if known.scores[text] > best_score:
            best_score, best = known.scores[text], known.reported[text]
        for rank in RANKS:
            if known.ranks[text] <= rank:
                first.setdefault(rank, float(count))
        if count in COUNTS:
            curve.append(best)
        if until_rank and until_rank in first:
            break
    return {"curve": curve, "first": [first.get(rank) for rank in RANKS]}


def searches(data: Path) -> Iterator[tuple[str, Callable[[], Table], Callable[[int], ArchitectureSearcher], int]]:
    """Yield name, table, searcher and the rank at which to stop (0: at the number of candidates)."""
    raw, uniform, cells201 = NASBench101(), NASBench101(sampler="uniform"), NASBench201()
    one = {"num_candidates": 5000, "batch_size": 1}
    first_thousand = {"num_candidates": 1000, "batch_size": 1}
    whole = {"num_candidates": 15_625, "batch_size": 1}

    @cache
    def table101() -> Table:
        return nasbench101(data)

    @cache
    def by_run() -> Table:
        return nasbench201(data, "cifar10_valid_run")

    @cache
    def by_test() -> Table:
        return nasbench201(data, "cifar10_test")

    sizes101, sizes201 = {"population_size": 100, "tournament_size": 10}, {"population_size": 20, "tournament_size": 10}
    yield "nasbench101 random, uniform", table101, lambda seed: RandomSearch(uniform, seed, **one), 0
    yield "nasbench101 random, raw", table101, lambda seed: RandomSearch(raw, seed, **one), 0
    yield "nasbench101 evolution, 100/10", table101, lambda seed: RegularizedEvolution(raw, seed, **sizes101, **one), 0
    yield "nasbench101 evolution, 20/10", table101, lambda seed: RegularizedEvolution(raw, seed, **sizes201, **one), 3
    yield "nasbench201 random, by one run", by_run, lambda seed: RandomSearch(cells201, seed, **first_thousand), 0
    yield (
        "nasbench201 evolution, 20/10, by one run",
        by_run,
        lambda seed: RegularizedEvolution(cells201, seed, **sizes201, **first_thousand),
        0,
    )
    yield "nasbench201 random", by_test, lambda seed: RandomSearch(cells201, seed, **whole), 1
    yield "nasbench201 evolution, 20/10", by_test, lambda seed: RegularizedEvolution(cells201, seed, **sizes201, **whole), 1


def run_all(script: Script, rows: Rows) -> None:
    """Run the searches that are not in the file yet."""
    folder = frame.data("nasbench101.parquet", "nasbench201.parquet")
    for name, known, make, stop in searches(folder):
        if script.arguments.only in name:
            for seed in script.seeds:
                rows.get(
                    lambda known=known, make=make, seed=seed, stop=stop: run(make, known(), seed, stop), search=name, seed=seed
                )


def report(rows: Rows) -> None:
    """Print the tables, with the known figures above ours."""
    found = {name: rows.select(search=name) for name in dict.fromkeys(row["search"] for row in rows.all())}
    columns = ["best so far, test accuracy %, after distinct evaluations", "seeds", *(f"{count:,}" for count in COUNTS)]
    lines: list[list[object]] = []
    for name in (name for name in found if name in KNOWN_CURVES):
        lines.append([f"{name}: known", None, *(f"{value:.3f}" if value else None for value in KNOWN_CURVES[name])])
        lines.append([f"{name}: here", len(found[name]), *curve(found[name])])
    frame.table(columns, lines)
    first = [
        [f"{name}, rank {rank}", len(found[name]), known, until(found[name], rank)]
        for name in found
        for rank, known in KNOWN_RANKS.get(name, {}).items()
    ]
    frame.table(["distinct evaluations until a rank", "seeds", "known", "here: median (quartiles)"], first)


def curve(rows: list[Row]) -> list[str | None]:
    """Return mean and standard error after each of COUNTS, as far as all searches went."""
    length = min(len(row["curve"]) for row in rows)
    values = np.array([row["curve"][:length] for row in rows])
    errors = values.std(axis=0, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.zeros(length)
    means = values.mean(axis=0)
    shown = [f"{mean:.3f} +- {error:.3f}" for mean, error in zip(means, errors, strict=True)]
    return [*shown, *[None] * (len(COUNTS) - length)]


def until(rows: list[Row], rank: int) -> str:
    """Return median and quartiles of the evaluations until a rank."""
    counts = [row["first"][RANKS.index(rank)] for row in rows]
    return frame.quartiles([np.inf if count is None else count for count in counts], method="lower")


def main() -> None:
    script = Script(__file__, __doc__, seeds=100)
    script.argument("--only", default="", help="only the searches whose name contains this string")
    script.parse()
    script.run(lambda rows: run_all(script, rows), report)


if __name__ == "__main__":
    main()
