"""Measure how many architectures a second each search space draws, mutates, names, encodes and counts, on one core.

    python benchmarks/spaces.py                        # all spaces, about a minute
    python benchmarks/spaces.py nasbench101 --count 2000

Architectures are drawn before the clock starts. `key` may find an architecture in the cache of its space; `keys` names a
whole population and does not. `encode arrays` takes genotypes as one integer array, where a space offers that.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch

from archsearch import spaces
from archsearch.spaces.nasbench101_enumeration import all_codes, enumerate_cells
from archsearch.spaces.space import SearchSpace

TARGETS = {
    ("nasbench101", "encode arrays"): 50_000,
    ("nasbench101", "keys"): 20_000,
    ("nasbench201", "encode arrays"): 200_000,
}
LIMIT = 3.0  # seconds after which a measurement of single calls ends


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spaces", nargs="*", default=spaces.names(), help="names of spaces; all by default")
    parser.add_argument("--count", type=int, default=1000, help="architectures a measurement (default: 1000)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{'space':14}{'operation':16}{'a second':>14}{'target':>12}")
    for name in arguments.spaces:
        for operation, speed in measured(spaces.get(name), arguments.count):
            target = TARGETS.get((name, operation))
            print(f"{name:14}{operation:16}{speed:14,.0f}{f'{target:,}' if target else '':>12}", flush=True)
    if "nasbench101" in arguments.spaces:
        print(f"\nall cells of nasbench101 listed, encoded and named: {enumeration_seconds():.1f} s")


def measured(space: SearchSpace, count: int) -> Iterator[tuple[str, float]]:
    """Yield operations and how many architectures a second each handles."""
    rng = np.random.default_rng(0)
    space.mutate(space.sample(rng), rng)  # what is made at the first use is not measured
    yield "sample", one_by_one(lambda _: space.sample(rng), range(count))
    population = [space.sample(rng) for _ in range(count)]
    yield "mutate", one_by_one(lambda architecture: space.mutate(architecture, rng), population)
    yield "key", one_by_one(space.key, population)
    batch = space.encode(population)
    yield "keys", at_once(partial(space.keys, batch), count)
    yield "encode", at_once(partial(space.encode, population), count)
    encode_genotypes = getattr(space, "encode_genotypes", None)
    if encode_genotypes:
        genotypes = np.tile(space.genotypes(population), (20, 1))
        yield "encode arrays", at_once(partial(encode_genotypes, genotypes), len(genotypes))
    yield "decode", at_once(partial(space.decode, batch), count)
    yield "cost", one_by_one(space.cost, population)


def one_by_one(use: Callable[[Any], object], items: Any) -> float:
    """Return how many items a second are used, each by a call; ends early at `LIMIT`."""
    start, done = time.perf_counter(), 0
    for item in items:
        use(item)
        done += 1
        if time.perf_counter() - start > LIMIT:
            break
    return done / (time.perf_counter() - start)


def at_once(use: Callable[[], object], count: int) -> float:
    """Return how many items a second one call uses: the better of two calls."""
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        use()
        seconds.append(time.perf_counter() - start)
    return count / min(seconds)


def enumeration_seconds() -> float:
    """Return the seconds in which all cells of NAS-Bench-101 are listed from nothing, encoded and named."""
    space = spaces.get("nasbench101")
    all_codes.cache_clear()
    start = time.perf_counter()
    cells = enumerate_cells()
    batch = space.encode_adjacency(cells.adjacency, cells.operators)  # type: ignore[attr-defined]
    keys = set(space.keys(batch))
    seconds = time.perf_counter() - start
    if len(keys) != space.num_unique:
        raise SystemExit(f"expected {space.num_unique} distinct keys; got {len(keys)}")
    return seconds


if __name__ == "__main__":
    main()
