"""How fast predictors learn and score on one thread, beside the authors' code of GATES and a dense prototype of it.

    ARCHSEARCH_DATA=FOLDER python benchmarks/gates_speed.py                     # both tables, under three minutes
    ARCHSEARCH_DATA=FOLDER python benchmarks/gates_speed.py nasbench201 --presets paper

The folder holds nasbench101.parquet and nasbench201.parquet. Times are CPU seconds of the process, the least of a few tries, so
that other work on the machine counts little. Seconds an epoch are those of the training loop alone; a fit is all of `fit`, on
graphs that are prepared, with the 200 epochs of the preset where that takes less than `--longest` seconds. Peak memory is that of
a process of its own, above what it has once everything is imported.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gates_kendall import Data, load

from archsearch import spaces
from archsearch.evaluators import Predictor

SIZES = {"nasbench201": (78, 390, 781, 7813), "nasbench101": (190, 381, 1906, 3812)}
# CPU seconds an epoch of the authors' code and of the prototype, by size, and architectures that both score a second; "tables"
# is what the prototype reached on the whole space by tables of the states of inner nodes.
AUTHORS = {"nasbench201": (0.092, 0.50, 0.97, 11.5), "nasbench101": (0.125, 0.26, 1.4, 2.8)}
PROTOTYPE = {"nasbench201": (0.0082, None, 0.043, 0.43), "nasbench101": (0.011, 0.020, 0.10, 0.20)}
SCORED = {"nasbench201": ("16,300", "67,000, tables 110,000"), "nasbench101": ("32,000", "72,000")}
MEASURED = 2  # which of the sizes the memory is measured with
MEMORY = {"nasbench201": " authors 1,560,", "nasbench101": ""}
POPULATION = 15_625  # architectures that are scored: the whole of NAS-Bench-201


def predictor(data: Data, preset: str, size: int) -> tuple[Predictor, Any, Any]:
    """Return a predictor, and the graphs and scores that it is to learn."""
    rows = np.random.default_rng(0).permutation(len(data.scores))[:size]
    made = Predictor(data.space, preset=preset)
    return made, made.prepare(data.batch[rows]), data.scores[rows]


def seconds(work: Callable[[], Any], tries: int) -> float:
    """Return the least CPU seconds of a few tries."""
    taken = []
    for _ in range(tries):
        started = time.process_time()
        work()
        taken.append(time.process_time() - started)
    return min(taken)


def speed(data: Data, preset: str, size: int, longest: float) -> tuple[float, float | None]:
    """Return CPU seconds an epoch and, unless it would take too long, of a fit."""
    made, graphs, scores = predictor(data, preset, size)
    made.fit(graphs, scores, epochs=1)
    epochs = max(1, 800 // size)

    def tried(count: int) -> float:
        return seconds(lambda: made.fit(graphs, scores, warm=True, epochs=count), 2)

    both = [tried(count) for count in (epochs, 2 * epochs)]
    epoch = max(both[1] - both[0], 0.0) / epochs or both[0] / epochs
    fits = epoch * made.settings.epochs < longest
    return epoch, seconds(lambda: made.fit(graphs, scores), 1) if fits else None


def scored(data: Data, preset: str) -> float:
    """Return architectures scored a CPU second, in one population."""
    made, graphs, scores = predictor(data, preset, POPULATION)
    made.fit(graphs[:100], scores[:100], epochs=1)
    return len(graphs) / seconds(lambda: made.predict(graphs), 3)


def peak(name: str, preset: str, size: int) -> float:
    """Return megabytes that a fit of two epochs adds, in a process of its own."""
    command = [sys.executable, __file__, name, "--presets", preset, "--memory", str(size)]
    found = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return float(json.loads(found.stdout))


def print_memory(name: str, preset: str, size: int) -> None:
    """Print what `peak` reads. The architectures are drawn: to read a table takes more memory than the fit."""
    space, rng = spaces.get(name), np.random.default_rng(0)
    architectures, scores = [space.sample(rng) for _ in range(size)], rng.random(size)
    made = Predictor(space, preset=preset)
    before = high_water()
    made.fit(architectures, scores, epochs=2)
    print(json.dumps(high_water() - before))


def high_water() -> float:
    """Return the peak memory of this process in MB; what `getrusage` says would begin with that of the parent."""
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1000


def report(name: str, presets: list[str], longest: float) -> None:
    """Measure a table and print what was found as Markdown."""
    data = load(name)
    print(f"\n### {name}\n")
    print("| cells | preset | CPU s an epoch: authors | prototype | here | gain | 200-epoch fit, s |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for place, size in enumerate(SIZES[name]):
        for preset in presets:
            epoch, fit = speed(data, preset, size, longest)
            authors, prototype = AUTHORS[name][place], PROTOTYPE[name][place]
            print(
                f"| {size:,} | {preset} | {authors} | {prototype or ''} | {epoch:.4f} | {authors / epoch:.0f} | "
                f"{f'{fit:.1f}' if fit else f'(about {200 * epoch:.0f})'} |",
                flush=True,
            )
    size = SIZES[name][MEASURED]
    print(f"\nPeak memory of a fit on {size} cells, MB:{MEMORY[name]} here ", end="")
    print(", ".join(f"{preset} {peak(name, preset, size):.0f}" for preset in presets))
    authors_scored, prototype_scored = SCORED[name]
    print(f"\nArchitectures scored a CPU second: authors {authors_scored}, prototype {prototype_scored}; here ", end="")
    print(", ".join(f"{preset} {scored(data, preset):,.0f}" for preset in presets), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spaces", nargs="*", default=list(SIZES), help="nasbench101, nasbench201, or both (the default)")
    parser.add_argument("--presets", nargs="+", default=["paper", "default"], help="paper, default, or both (the default)")
    parser.add_argument("--longest", type=float, default=5.0, help="seconds above which a fit is not measured (default: 5)")
    parser.add_argument("--memory", type=int, metavar="CELLS", help="only print the megabytes of a fit on so many cells")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for name in arguments.spaces:
        if arguments.memory:
            print_memory(name, arguments.presets[0], arguments.memory)
        else:
            report(name, arguments.presets, arguments.longest)


if __name__ == "__main__":
    main()
