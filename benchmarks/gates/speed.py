"""Speed of predictors in learning and scoring on one thread, beside the authors' code of GATES and a dense prototype of it.

    ARCHSEARCH_DATA=FOLDER python -m benchmarks.gates.speed                     # both tables, under three minutes
    ARCHSEARCH_DATA=FOLDER python -m benchmarks.gates.speed nasbench201 --presets paper

The folder holds nasbench101.parquet and nasbench201.parquet. Times are CPU seconds of the process, the least of a few tries, so
that other work on the machine counts little. Seconds an epoch are those of the training loop alone; a fit is all of `fit`, on
graphs that are prepared, with the 200 epochs of the preset where that takes less than `--longest` seconds. Peak memory is that of
a new process, above what it has once everything is imported.
"""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from archsearch import spaces
from archsearch.evaluators import Predictor
from benchmarks.frame import Rows, Script, least_seconds, table
from benchmarks.gates.kendall import Data, load

SIZES = {"nasbench201": (78, 390, 781, 7813), "nasbench101": (190, 381, 1906, 3812)}
# CPU seconds an epoch of the authors' code and of the prototype, by size, and architectures that both score a second; "tables"
# is what the prototype reached on the whole space by tables of the states of inner nodes.
AUTHORS = {"nasbench201": (0.092, 0.50, 0.97, 11.5), "nasbench101": (0.125, 0.26, 1.4, 2.8)}
PROTOTYPE = {"nasbench201": (0.0082, None, 0.043, 0.43), "nasbench101": (0.011, 0.020, 0.10, 0.20)}
SCORED = {"nasbench201": ("16,300", "67,000, tables 110,000"), "nasbench101": ("32,000", "72,000")}
MEASURED = 2  # which of the sizes the memory is measured with
MEMORY = {"nasbench201": "1,560", "nasbench101": ""}  # MB of the authors' code
POPULATION = 15_625  # architectures that are scored: the whole of NAS-Bench-201


def predictor(data: Data, preset: str, size: int) -> tuple[Predictor, Any, Any]:
    """Return a predictor, and the graphs and scores that it is to learn."""
    rows = np.random.default_rng(0).permutation(len(data.scores))[:size]
    made = Predictor(data.space, preset=preset)
    return made, made.prepare(data.batch[rows]), data.scores[rows]


def speed(data: Data, preset: str, size: int, longest: float) -> tuple[float, float | None]:
    """Return CPU seconds an epoch and, unless it would take too long, of a fit."""
    made, graphs, scores = predictor(data, preset, size)
    made.fit(graphs, scores, epochs=1)
    epochs = max(1, 800 // size)

    def tried(count: int) -> float:
        return least_seconds(lambda: made.fit(graphs, scores, warm=True, epochs=count), 2)

    both = [tried(count) for count in (epochs, 2 * epochs)]
    epoch = max(both[1] - both[0], 0.0) / epochs or both[0] / epochs
    fits = epoch * made.settings.epochs < longest
    return epoch, least_seconds(lambda: made.fit(graphs, scores), 1) if fits else None


def scored(data: Data, preset: str) -> float:
    """Return architectures scored a CPU second, in one population."""
    made, graphs, scores = predictor(data, preset, POPULATION)
    made.fit(graphs[:100], scores[:100], epochs=1)
    return len(graphs) / least_seconds(lambda: made.predict(graphs), 3)


def peak(name: str, preset: str, size: int) -> float:
    """Return megabytes that a fit of two epochs adds in a new process."""
    command = [sys.executable, "-m", "benchmarks.gates.speed", name, "--presets", preset, "--memory", str(size)]
    found = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
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


def measure(names: list[str], presets: list[str], longest: float, rows: Rows) -> None:
    """Measure what is not in the file yet."""
    held = cache(load)

    def speeds(name: str, size: int, preset: str) -> dict[str, float | None]:
        epoch, fit = speed(held(name), preset, size, longest)
        return {"epoch": epoch, "fit": fit}

    for name in names:
        for size in SIZES[name]:
            for preset in presets:
                take = {"space": name, "size": size, "preset": preset}
                rows.get(lambda take=take: speeds(*take.values()), **take, figure="seconds")
        for preset in presets:
            size = SIZES[name][MEASURED]
            rows.get(
                lambda name=name, preset=preset, size=size: {"megabytes": peak(name, preset, size)},
                space=name,
                size=size,
                preset=preset,
                figure="memory",
            )
            rows.get(
                lambda name=name, preset=preset: {"a_second": scored(held(name), preset)},
                space=name,
                preset=preset,
                figure="scored",
            )


def report(rows: Rows) -> None:
    """Print the tables, with the figures of the authors' code and of the prototype before ours."""
    for name in dict.fromkeys(row["space"] for row in rows.all()):
        lines = []
        for row in rows.select(space=name, figure="seconds"):
            place = SIZES[name].index(row["size"])
            authors, prototype, epoch, fit = AUTHORS[name][place], PROTOTYPE[name][place], row["epoch"], row["fit"]
            gain = f"{authors / epoch:.0f}"
            fits = f"{fit:.1f}" if fit else f"(about {200 * epoch:.0f})"
            lines.append([f"{row['size']:,}", row["preset"], authors, prototype, f"{epoch:.4f}", gain, fits])
        columns = ["cells", "preset", "CPU s an epoch: authors", "prototype", "here", "gain", "200-epoch fit, s"]
        table(columns, lines, title=name)
        memory = [
            [f"peak MB of a fit on {row['size']} cells, `{row['preset']}`", MEMORY[name], None, f"{row['megabytes']:.0f}"]
            for row in rows.select(space=name, figure="memory")
        ]
        rates = [
            [f"architectures scored a CPU second, `{row['preset']}`", *SCORED[name], f"{row['a_second']:,.0f}"]
            for row in rows.select(space=name, figure="scored")
        ]
        table(["", "authors", "prototype", "here"], [*memory, *rates])


def main() -> None:
    script = Script(__file__, __doc__)
    script.argument("spaces", nargs="*", default=list(SIZES), help="nasbench101, nasbench201, or both (the default)")
    script.argument("--presets", nargs="+", default=["paper", "default"], help="paper, default, or both (the default)")
    script.argument("--longest", type=float, default=5.0, help="seconds above which a fit is not measured (default: 5)")
    script.argument("--memory", type=int, metavar="CELLS", help="only print the megabytes of a fit on this number of cells")
    arguments = script.parse()
    torch.set_num_threads(1)
    if arguments.memory:
        print_memory(arguments.spaces[0], arguments.presets[0], arguments.memory)
        return
    script.run(lambda rows: measure(arguments.spaces, arguments.presets, arguments.longest, rows), report)


if __name__ == "__main__":
    main()
