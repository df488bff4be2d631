"""Architectures a second that each search space draws, mutates, names, encodes and counts, on one core.

    python -m benchmarks.spaces.throughput                        # all spaces, about a minute
    python -m benchmarks.spaces.throughput nasbench101 --count 2000

Architectures are drawn before the clock starts. `key` may find an architecture in the cache of its space; `keys` names a
whole population and does not. `encode arrays` takes genotypes as one integer array, where a space offers that.

With ARCHSEARCH_DATA set to a folder with nasbench101.parquet, the whole table of NAS-Bench-101 is imported (two minutes), and
then opened in a new process (on Linux, for its memory).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from archsearch import spaces
from archsearch.evaluators.tables.checks import check
from archsearch.evaluators.tables.draft import TableDraft
from archsearch.evaluators.tables.table_file import write_layout
from archsearch.spaces.nasbench101.enumeration import all_codes, enumerate_cells
from archsearch.spaces.space import SearchSpace
from benchmarks.frame import Rows, Script, data, least_seconds, table

TARGETS = {
    **{(name, "cost"): 2_000 for name in spaces.names()},
    ("nasbench101", "encode arrays"): 50_000,
    ("nasbench101", "keys"): 20_000,
    ("nasbench201", "encode arrays"): 200_000,
}
OPENING_TARGET, MEMORY_TARGET = 1.0, 200  # seconds, MB
LIMIT = 3.0  # seconds after which a measurement of single calls ends


def main() -> None:
    script = Script(__file__, __doc__)
    script.argument("spaces", nargs="*", default=spaces.names(), help="names of spaces; all by default")
    script.argument("--count", type=int, default=1000, help="architectures a measurement (default: 1000)")
    arguments = script.parse()
    torch.set_num_threads(1)

    def measure(rows: Rows) -> None:
        for name in arguments.spaces:
            rows.get(
                lambda name=name: {"a_second": dict(measured(spaces.get(name), arguments.count))},
                space=name,
                count=arguments.count,
            )
        if "nasbench101" in arguments.spaces:
            rows.get(lambda: {"seconds": enumeration_seconds()}, figure="enumeration")
            if os.environ.get("ARCHSEARCH_DATA"):
                source = data("nasbench101.parquet") / "nasbench101.parquet"
                rows.get(lambda: table_figures(source), figure="table")

    script.run(measure, report)


def report(rows: Rows) -> None:
    """Print the tables, with the aims beside what was measured."""
    lines = [
        [row["space"], operation, f"{speed:,.0f}", f"{aim:,}" if (aim := TARGETS.get((row["space"], operation))) else None]
        for row in rows.all()
        for operation, speed in row.get("a_second", {}).items()
    ]
    table(["space", "operation", "a second", "aim"], lines)
    costs = [
        ["all cells listed, encoded and named", f"{row['seconds']:.1f} s", "60 s"] for row in rows.select(figure="enumeration")
    ]
    for row in rows.select(figure="table"):
        costs.append([f"table of {row['rows']:,} rows, imported", f"{row['imported']:.0f} s", ""])
        for name, label, aim in (
            ("opening", "opened", f"{OPENING_TARGET:g} s, {MEMORY_TARGET} MB"),
            ("first", "opened, and all columns read by a first look-up", ""),
        ):
            seconds, megabytes = row[name]
            costs.append([label, f"{seconds:.2f} s, {megabytes:.0f} MB", aim])
        costs += [[f"look-ups, {size} a batch", f"{speed:,.0f} a second", ""] for size, speed in row["look-ups"].items()]
    if costs:
        table(["NAS-Bench-101", "here", "aim"], costs)


def measured(space: SearchSpace, count: int) -> Iterator[tuple[str, float]]:
    """Yield operations and the architectures a second that each handles."""
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
    """Return the items a second that are used, each by a call; ends early at `LIMIT`."""
    start, done = time.perf_counter(), 0
    for item in items:
        use(item)
        done += 1
        if time.perf_counter() - start > LIMIT:
            break
    return done / (time.perf_counter() - start)


def at_once(use: Callable[[], object], count: int) -> float:
    """Return the items a second of one call that uses all of them: the better of two calls."""
    return count / least_seconds(use, 2, time.perf_counter)


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


def table_figures(source: Path) -> dict[str, Any]:
    """Import the whole table and return what opening it and looking cells up costs."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "nasbench101.parquet"
        draft = whole_draft(source)
        start = time.perf_counter()
        write_layout(check(draft, spaces.get("nasbench101")), draft, path)
        imported = time.perf_counter() - start
        done = subprocess.run([sys.executable, "-c", _OPENING, str(path)], capture_output=True, text=True, check=True)
    return {"rows": len(draft.rows), "imported": imported, **json.loads(done.stdout)}


def whole_draft(source: Path) -> TableDraft:
    """Return the table of all cells of NAS-Bench-101."""
    space: Any = spaces.get("nasbench101")
    rows = pq.read_table(source)
    adjacency, operators = rows["adjacency"].to_numpy(), np.array(rows["ops"].combine_chunks().flatten()).reshape(-1, 5)
    texts: list[str] = []
    for start in range(0, len(rows), 4096):
        cells = slice(start, start + 4096)
        texts += map(str, space.decode(space.encode_adjacency(adjacency[cells], operators[cells])))
    return TableDraft(space.name, rows.add_column(0, "architecture", pa.array(texts)), "test_acc", source.name)


# Memory is what the process holds on top of the imports.
_OPENING = """
import json, re, sys, time
import numpy as np
from archsearch import spaces
from archsearch.evaluators import TabularEvaluator

def held():
    return int(re.search(r"VmRSS:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024

space, rng = spaces.get("nasbench101"), np.random.default_rng(0)
before, start = held(), time.perf_counter()
evaluator = TabularEvaluator.from_parquet(space, sys.argv[1])
opening = time.perf_counter() - start, held() - before
cells = [space.sample(rng) for _ in range(8192)]
start = time.perf_counter()
evaluator.evaluate(cells[:1])
first = opening[0] + time.perf_counter() - start, held() - before
speeds = {}
for size in (1, 64, 4096):
    start = time.perf_counter()
    for place in range(0, len(cells), size):
        evaluator.evaluate(cells[place:place + size])
    speeds[size] = len(cells) / (time.perf_counter() - start)
print(json.dumps({"opening": opening, "first": first, "look-ups": speeds}))
"""


if __name__ == "__main__":
    main()
