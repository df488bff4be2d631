"""NAS-Bench-201 and NAS-Bench-101 written as module spaces, beside the native spaces: keys, ranking, search and speed.

    python -m benchmarks.spaces.modules --only keys speed                                # about ten minutes
    ARCHSEARCH_DATA=FOLDER python -m benchmarks.spaces.modules --only ranking search     # hours on one core

The folder holds nasbench201.parquet. `keys` traces all 15,625 cells, in networks of one cell a stage, and keeps their keys and
graphs in a file beside that of the rows, which `ranking` and `search` read. `ranking` is Kendall's tau of GATES on the other half
of the cells, with the split of gates/kendall.py. `search` is the number of distinct structures until `gates` finds the best cell,
as in gates/search.py.
"""

from __future__ import annotations

import copy
import itertools
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from archsearch.spaces import Architecture, GraphBatch, ModuleSpace
from archsearch.spaces.cost import Cost
from archsearch.spaces.module import Choose
from archsearch.spaces.module.canonical_trace import canonical_layers
from archsearch.spaces.module.space import Facts
from archsearch.spaces.module.tracing import trace
from archsearch.spaces.nasbench201 import NASBench201
from benchmarks.comparisons.known_searches import Table, nasbench201
from benchmarks.frame import Row, Rows, Script, average, data, quartiles, table
from benchmarks.gates import kendall
from benchmarks.gates import search as gates_search
from benchmarks.spaces import module_nasbench101, module_nasbench201

AIMS = {"sample": 1000, "key": 200, "key, cached": 50_000, "encode": 200, "cost": 100}
NATIVE_KEYS = 6466
FORMS = ("native", "module", "module, with choices")
PARTS = ("keys", "ranking", "search", "speed")
SIZES = {78: 10, 390: 5}  # number of random subsets
CHUNK = 125


def hundred(choose: Choose) -> nn.Module:
    """A network of 100 layers with a choice for every ten of them."""
    width = choose.one("width", [16, 24, 32])
    layers: list[nn.Module] = [nn.Conv2d(3, width, 3, padding=1)]
    for part in range(11):
        for place in range(3):
            convs = {str(size): lambda size=size: nn.Conv2d(width, width, size, padding=size // 2) for size in (1, 3, 5)}
            layers += [choose.layer(f"conv{part}_{place}", convs), nn.BatchNorm2d(width), nn.ReLU()]
    return nn.Sequential(*layers)


SPACES: dict[str, ModuleSpace] = {
    "nasbench201": module_nasbench201.space,
    "nasbench101": module_nasbench101.space,
    "100 layers": ModuleSpace(hundred, torch.zeros(1, 3, 32, 32)),
}
ONE_CELL = ModuleSpace(partial(module_nasbench201.module201, cells=1), torch.zeros(1, 3, 32, 32), "module201")
"""The same space with one cell in each stage: its keys and graphs tell the same, and are found three times as fast."""


def translated(space: ModuleSpace) -> list[Architecture]:
    """Return the architecture of a module space for each row of genotypes of the native space, in their order."""
    return [space.from_genotype(genotype) for genotype in NASBench201().all_genotypes()]


def traced(path: Path) -> dict[str, np.ndarray]:
    """Return keys and graphs of all cells of NAS-Bench-201, from the file if it holds them."""
    if not path.exists():
        space, found = ONE_CELL, []
        cells = translated(space)
        _ = space.vocabulary
        for start in range(0, len(cells), CHUNK):
            chunk = cells[start : start + CHUNK]
            batch = space.encode(chunk)
            found.append((batch, [space.key(cell) for cell in chunk]))
            print(f"{start + len(chunk):,} of {len(cells):,} cells", flush=True)
        nodes = max(batch.operators.shape[2] for batch, _ in found)
        operators = np.full((len(cells), 2, nodes), -1, dtype=np.int8)
        adjacency = np.zeros((len(cells), 2, nodes, nodes), dtype=bool)
        for place, (batch, _) in enumerate(found):
            rows, size = slice(place * CHUNK, place * CHUNK + len(batch)), batch.operators.shape[2]
            operators[rows, :, :size], adjacency[rows, :, :size, :size] = batch.operators, batch.adjacency
        keys = np.array([key for _, names in found for key in names])
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path, keys=keys, operators=operators, adjacency=adjacency)
    with np.load(path) as held:
        return dict(held)


def counted(path: Path) -> dict[str, Any]:
    """Return how many keys the cells have, how many the native space gives, and whether what only the keys merge is equal.

    Of each key whose cells have several native keys, one cell of each of these is built with the weights of the first one, by the
    places of their layers in the canonical form. `difference` is the largest one between their outputs, as a share of the
    largest output.
    """
    keys, space = traced(path)["keys"].tolist(), NASBench201()
    cells = [space.from_genotype(genotype) for genotype in space.all_genotypes()]
    native = [space.key(cell) for cell in cells]
    members: dict[str, dict[str, Architecture]] = {}
    for key, own, cell in zip(keys, native, translated(ONE_CELL), strict=True):
        members.setdefault(key, {}).setdefault(own, cell)
    merged = [list(found.values()) for found in members.values() if len(found) > 1]
    within: dict[str, set[str]] = {}
    for key, own in zip(keys, native, strict=True):
        within.setdefault(own, set()).add(key)
    return {
        **{"cells": len(keys), "keys": len(members), "native": len(within), "both": sum(map(len, members.values()))},
        **{"merged": len(merged), "split": sum(len(found) > 1 for found in within.values())},
        "difference": max(difference(found) for found in merged),
    }


def difference(cells: list[Architecture]) -> float:
    """Return the largest difference of the outputs of the first cell and of the others with its weights, relative to them."""
    images, arguments = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0)), {"channels": 4}
    first, *others = cells
    paths = {
        cell: canonical_layers(trace(ONE_CELL._run(ONE_CELL._answers(cell), ONE_CELL._defaults), ONE_CELL._inputs))
        for cell in cells
    }
    module, largest = ONE_CELL.module(first, **arguments), 0.0
    with torch.no_grad():
        outputs = module(images)
        for cell in others:
            other = ONE_CELL.module(cell, **arguments)
            for own, theirs in zip(paths[first], paths[cell], strict=True):
                other.get_submodule(theirs).load_state_dict(module.get_submodule(own).state_dict())
            largest = max(largest, float((other(images) - outputs).abs().max() / outputs.abs().max()))
    return largest


def batches(path: Path, form: str) -> kendall.Data:
    """Return the table of NAS-Bench-201 in its rows' order, with graphs of the native or of the module space."""
    native = kendall.load("nasbench201")
    if form == "native":
        return native
    held, space = traced(path), ONE_CELL
    order = np.ravel_multi_index(tuple((native.batch.operators[:, 0, 1:-1] - 2).T), (5,) * 6)
    if form == "module, with choices":
        space = copy.copy(space)
        space.ranked_cells = None  # type: ignore[misc]  # all cells: the network and the choices
    batch = GraphBatch(space.vocabulary, held["operators"][order], held["adjacency"][order])
    return replace(native, space=space, batch=batch)


def speeds(space: ModuleSpace, count: int) -> dict[str, float]:
    """Return how often in a second each operation is done, in CPU time of this process."""
    rng, clock = np.random.default_rng(0), time.process_time
    cells = [space.sample(rng) for _ in range(count)]
    space.key(cells[0]), space.encode(cells[:1])  # what is computed once for a space is not measured

    def each(work: Callable[[Architecture], object], found: list[Architecture], fresh: bool = True) -> float:
        if fresh:
            space._keys.clear(), space._facts.clear()
        started = clock()
        for cell in found:
            work(cell)
        return len(found) / (clock() - started)

    return {
        "sample": each(lambda _: space.sample(rng), cells * 20),
        "key": each(space.key, cells),
        "key, cached": each(space.key, cells * 200, fresh=False),
        "encode": each(lambda cell: space.encode([cell]), cells),
        "cost": each(space.cost, cells),
    }


def known(path: Path, form: str) -> Table:
    """Return the scores of the native space, by its texts or by those of the module space."""
    held = nasbench201(data("nasbench201.parquet"), "cifar10_test")
    if form == "native":
        return held
    space, native = ONE_CELL, NASBench201()
    texts = {str(cell): str(native.from_genotype(space.genotype(cell))) for cell in translated(space)}
    warm(space, path)
    values: list[Mapping[str, Any]] = [
        {ours: each[theirs] for ours, theirs in texts.items()} for each in (held.scores, held.reported, held.ranks)
    ]
    return Table(space, *values)


def warm(space: ModuleSpace, path: Path) -> None:
    """Give a space the keys and graphs that were traced before."""
    held, cells = traced(path), translated(space)
    space._keys.update(zip(map(str, cells), held["keys"].tolist(), strict=True))
    batch = GraphBatch(space.vocabulary, held["operators"], held["adjacency"])
    traced_one = space._found(space._answers(cells[-1]))
    assert traced_one is not None
    for row, cell in enumerate(cells):
        known = tuple(space._answers(cell).items()), (), None
        space._facts[known] = Facts(b"", Cost(0, 0), (), traced_one.steps, [batch.graph(row, 0), batch.graph(row, 1)])


def main() -> None:
    script = Script(__file__, __doc__, seeds=10)
    script.argument("--only", nargs="+", choices=PARTS, default=PARTS, help="what to measure (default: all)")
    script.argument("--count", type=int, default=100, help="architectures a measurement of speed (default: 100)")
    arguments = script.parse()
    torch.set_num_threads(1)
    held = arguments.out.with_suffix(".npz")

    def measure(rows: Rows) -> None:
        if "speed" in arguments.only:
            for name, space in SPACES.items():
                rows.get(lambda space=space: speeds(space, arguments.count), figure="speed", space=name)
        if "keys" in arguments.only:
            rows.get(lambda: counted(held), figure="keys")
        if "ranking" in arguments.only:
            forms = cache(lambda form: batches(held, form))
            for size, subsets in SIZES.items():
                for subset, form in itertools.product(range(1, subsets + 1), FORMS):
                    cell = kendall.Cell("nasbench201", "default", "gates", "hinge", size, subset)
                    identity = {"figure": "ranking", "form": form, "size": size, "subset": subset}
                    rows.get(lambda cell=cell, form=form: kendall.measure(cell, forms(form)), **identity)
        if "search" in arguments.only:
            tables = cache(lambda form: known(held, form))
            for seed in script.seeds:
                for form in ("native", "module"):
                    rows.get(lambda form=form, seed=seed: searched(tables(form), seed), figure="search", form=form, seed=seed)

    script.run(measure, report)


def searched(table_of: Table, seed: int) -> dict[str, Any]:
    return gates_search.run(("gates", {"preset": "gates"}), "nasbench201", table_of, seed)


def report(rows: Rows) -> None:
    """Print the tables, with the aims beside what was measured."""
    for row in rows.select(figure="keys"):
        print(
            f"\n{row['keys']:,} keys on {row['cells']:,} cells; the native space has {row['native']:,}. {row['merged']:,} keys "
            f"merge what native ones tell apart, with outputs that differ by at most {row['difference']:.1e}; {row['split']:,} "
            "native keys merge what they tell apart."
        )
    speed = [
        [row["space"], name, f"{row[name]:,.0f}", f"{aim:,}"] for row in rows.select(figure="speed") for name, aim in AIMS.items()
    ]
    table(["space", "operation", "a second", "aim"], speed, title="Speed on one core")
    taus = [
        [form, size, average([row["tau"] for row in found], 3, deviation=True)]
        for form in FORMS
        for size in SIZES
        if (found := rows.select(figure="ranking", form=form, size=size))
    ]
    table(["space", "cells", "tau"], taus, title="GATES on NAS-Bench-201")
    found = {form: rows.select(figure="search", form=form) for form in ("native", "module")}
    table(["space", "seeds", "evaluations to the best"], [[form, len(each), until(each)] for form, each in found.items() if each])


def until(rows: list[Row]) -> str:
    """Return the median and quartiles of the evaluations until the best cell."""
    return quartiles([row["found"]["1"] or np.inf for row in rows], most=gates_search.LENGTHS["nasbench201"])


if __name__ == "__main__":
    main()
