"""The best of many by a graph hypernetwork against random architectures, equally trained (GHN paper, table 1: 95.7 to 94.6 %).

    python -m benchmarks.ghn.search                    # 10 of 1,000 blocks of 17 nodes on digits; half an hour on one core
    python -m benchmarks.ghn.search --dataset cifar10 --blocks 18 --channels 32 --epochs 50 --steps 140800   # on a GPU

For each seed a hypernetwork is trained (on blocks of 7 nodes) and ranks random architectures. The first ten, the ten that it
ranks first after an equal number of mutations of its best tenth were added, and ten random ones are trained for real.
"""

from __future__ import annotations

import argparse
import time
from functools import partial
from typing import Any

import numpy as np
import torch

from archsearch.evaluators import GHN, TrainingEvaluator
from archsearch.spaces import Architecture
from archsearch.spaces.cells import Cells
from benchmarks.frame import Rows, Script, average, difference, table

TOP = 10
GROUPS = ("by loss", "by accuracy", "by loss, mutations too", "random")


def drawn(space: Cells, number: int, seed: int) -> list[Architecture]:
    """Return distinct random architectures; the hypernetwork trains on other random streams."""
    rng, found = np.random.default_rng([seed, 77]), dict[str, Architecture]()
    while len(found) < number:
        architecture = space.sample(rng)
        found.setdefault(space.key(architecture), architecture)
    return list(found.values())


def mutated(space: Cells, parents: list[Architecture], known: list[Architecture], seed: int) -> list[Architecture]:
    """Return distinct mutations of the parents, as many as there are known architectures."""
    rng, keys, found = np.random.default_rng([seed, 78]), {space.key(each) for each in known}, dict[str, Architecture]()
    while len(found) < len(known):
        child = space.mutate(parents[int(rng.integers(len(parents)))], rng)
        if space.key(child) not in keys:
            found.setdefault(space.key(child), child)
    return list(found.values())


def chosen(arguments: argparse.Namespace, space: Cells, scale: dict[str, int], seed: int) -> tuple[dict[str, list[str]], dict]:
    """Return the architectures of each group, and what finding them cost in CPU seconds."""
    started = time.process_time()
    ghn = GHN(space, arguments.dataset, seed, scale=scale, device=arguments.device, root=arguments.root).fit(arguments.steps)
    fitted = time.process_time()
    candidates = drawn(space, arguments.candidates, seed)

    def ranked(architectures: list[Architecture]) -> list[tuple[float, float, Architecture]]:
        found = ghn.evaluate(architectures)
        return [(each.metrics["valid_loss"], -each.score, each.architecture) for each in found if each.ok]

    scored = ranked(candidates)
    seconds = {"fitting": fitted - started, "ranking": time.process_time() - fitted}
    by_loss = sorted(scored, key=lambda row: row[0])
    by_accuracy = sorted(scored, key=lambda row: (row[1], row[0]))
    parents = [row[2] for row in by_loss[: len(by_loss) // 10]]
    with_mutations = sorted([*by_loss, *ranked(mutated(space, parents, candidates, seed))], key=lambda row: row[0])
    others = drawn(space, TOP, seed + 1000)
    groups = (*([row[2] for row in rows[:TOP]] for rows in (by_loss, by_accuracy, with_mutations)), others)
    return {name: list(map(str, group)) for name, group in zip(GROUPS, groups, strict=True)}, seconds


def compute(script: Script, space: Cells, scale: dict[str, int], rows: Rows) -> None:
    """Train what is not in the file yet."""
    arguments = script.arguments

    def plan(seed: int) -> dict[str, Any]:
        groups, seconds = chosen(arguments, space, scale, seed)
        return {"groups": groups, "seconds": seconds}

    def training(evaluator: TrainingEvaluator, text: str) -> dict[str, Any]:
        [found] = evaluator.evaluate([space.parse(text)])
        return {"seconds": found.seconds, **({"metrics": dict(found.metrics)} if found.ok else {"error": found.error})}

    for seed in script.seeds:
        groups = rows.get(partial(plan, seed), kind="groups", seed=seed)
        if groups is None:
            continue
        evaluator = TrainingEvaluator(
            space, arguments.dataset, seed=seed, epochs=arguments.epochs, scale=scale, device=arguments.device, report_test=True
        )
        for text in dict.fromkeys(text for place in zip(*groups["groups"].values(), strict=True) for text in place):
            rows.get(partial(training, evaluator, text), kind="training", seed=seed, architecture=text)


def report(rows: Rows) -> None:
    """Print the table; trainings that failed are left out."""
    trained = {(row["seed"], row["architecture"]): row for row in rows.select(kind="training") if "metrics" in row}
    plans = rows.select(kind="groups")
    members = {name: [(plan["seed"], text) for plan in plans for text in plan["groups"][name]] for name in GROUPS}
    found = {name: [trained[member] for member in group if member in trained] for name, group in members.items()}
    lines = [
        ["published: GHN top 10 of 1,000 (test)", 10, None, "+1.1 (random 94.6 +- .3)", None, "95.7 +- .1", "5,100, random 4,600"]
    ]
    others = [100 * row["metrics"]["valid_accuracy"] for row in found["random"]]
    for name, group in found.items():
        if group:
            valid, test, params = (
                np.array([row["metrics"][key] for row in group]) for key in ("valid_accuracy", "test_accuracy", "params")
            )
            above = difference(100 * valid, others) if name != "random" else ""
            shown = [f"{100 * np.median(valid):.2f}", f"{100 * test.mean():.2f}", f"{params.mean() / 1e3:.0f}"]
            lines.append([name, len(group), average(100 * valid), above, *shown])
    columns = ["group", "trained", "validation %", "above random, points", "median %", "test %", "thousand parameters"]
    table(columns, lines)
    if trained:
        costs = [f"{cost} {np.mean([plan['seconds'][cost] for plan in plans]):.0f} CPU s" for cost in ("fitting", "ranking")]
        seconds = np.mean([row["seconds"] for row in trained.values()])
        print(f"\nA search: {', '.join(costs)}; a training {seconds:.1f} s (wall clock)", flush=True)


def main() -> None:
    script = Script(__file__, __doc__, seeds=3)
    script.argument("--dataset", default="digits", help="what datasets.load takes (default: digits)")
    script.argument("--root", help="folder of downloaded datasets")
    script.argument("--nodes", type=int, default=17)
    script.argument("--blocks", type=int, default=3)
    script.argument("--channels", type=int, default=8)
    script.argument("--epochs", type=int, default=5, help="of the real trainings (default: 5; paper: 600)")
    script.argument("--candidates", type=int, default=1000, help="to rank (default: 1000)")
    script.argument("--steps", type=int, default=1000, help="of the hypernetwork (default: 1000)")
    script.argument("--device", default="auto")
    arguments = script.parse()
    torch.set_num_threads(1)
    space, scale = Cells(arguments.nodes), {"blocks": arguments.blocks, "channels": arguments.channels}
    script.run(lambda rows: compute(script, space, scale, rows), report)


if __name__ == "__main__":
    main()
