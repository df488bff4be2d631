"""How the ledger's costs grow with what it holds: writing, reading, compaction, and the overhead of a batch.

    python benchmarks/ledger.py                    # 1,000 to 100,000 evaluations; about five minutes
    python benchmarks/ledger.py --rows 1000,10000

Each size is measured in a process of its own. Seconds are CPU seconds of that process beside seconds on the clock, because the
clock of a shared machine tells little; writing waits for the disk (two fsyncs a part).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from archsearch.cluster.ledger.ledger import Ledger
from archsearch.cluster.trials.trial import evaluate_batch
from archsearch.evaluators import Evaluation, TabularEvaluator
from archsearch.spaces.nasbench201 import NASBench201

SPACE = NASBench201()
PER_BATCH, BATCHES = 100, 30


def made_up(number: int) -> Evaluation:
    """Return an evaluation with the figures and the curve of a training."""
    architecture = SPACE.from_genotype([number // 5**gene % 5 for gene in range(6)])
    names = ("params", "macs", "valid_accuracy", "valid_loss", "test_accuracy", "test_loss", "train_accuracy", "epochs")
    metrics = dict.fromkeys(names, 0.5 + 1e-6 * number)
    curve = tuple(0.01 * epoch for epoch in range(12))
    return Evaluation(architecture, f"{number:020x}", 0.5, metrics, 1.5, None, {"valid_accuracy": curve})


def append(folder: str, batch: int, size: int) -> float:
    """Write a part and return the seconds. It has a ledger of its own: one that writes many merges them as they add up."""
    ledger = Ledger(folder, SPACE, "e")
    rows = [(place, made_up(batch * size + place)) for place in range(size)]
    return timed(lambda: ledger.append("run", batch, rows))[0]


def timed(action: Callable[[], object]) -> tuple[float, float]:
    """Return seconds on the clock and CPU seconds."""
    clock, cpu = time.perf_counter(), time.process_time()
    action()
    return time.perf_counter() - clock, time.process_time() - cpu


def resident() -> float:
    """Return the memory of this process in MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def batch_overhead(ledger: Ledger, evaluator: TabularEvaluator) -> float:
    """Return milliseconds that a batch of look-ups takes beside the look-ups, fsyncs included: the median of some."""
    candidates = evaluator.architectures[:PER_BATCH]
    architectures = [SPACE.parse(text) for text in candidates]
    taken = []
    for number in range(BATCHES):
        before = time.perf_counter()
        evaluate_batch(evaluator, ledger, "another", number, candidates)
        between = time.perf_counter()
        evaluator.evaluate(architectures)
        taken.append(between - before - (time.perf_counter() - between))
    return 1e3 * sorted(taken)[BATCHES // 2]


def measure(rows: int, parts: int) -> None:
    """Print one line."""
    evaluator = TabularEvaluator.embedded("digits201", space=SPACE)
    evaluator.evaluate([SPACE.parse(text) for text in evaluator.architectures[:PER_BATCH]])
    size = rows // parts
    with tempfile.TemporaryDirectory() as folder:
        write = sum(append(folder, number, size) for number in range(parts))
        ledger = Ledger(folder, SPACE, "e")
        overhead = batch_overhead(ledger, evaluator)
        before = resident()
        read = timed(ledger.read)
        memory = resident() - before
        entries = timed(ledger.entries)
        known = timed(lambda: ledger.read().known("run"))
        compact = timed(ledger.compact)
        again = timed(ledger.read)
        files = len([*Path(folder).rglob("*.parquet")])
    cells = [f"{clock:8.2f}{cpu:7.2f}" for clock, cpu in (read, entries, known, compact, again)]
    print(f"{rows:7,}{parts:8,}{1e3 * write / parts:9.1f}{''.join(cells)}{files:7}{memory:7.0f}{overhead:8.1f}", flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default="1000,10000,100000", help="evaluations, with commas between them")
    parser.add_argument("--one", nargs=2, type=int, help=argparse.SUPPRESS)
    parsed = parser.parse_args(arguments)
    if parsed.one:
        measure(*parsed.one)
        return
    print(f"{'':7}{'':8}{'write':>9}{'read':>15}{'entries':>15}{'known':>15}{'compact':>15}{'read again':>15}", end="")
    print(f"{'parts':>7}{'MB':>7}{'batch':>8}")
    units = f"{'s':>8}{'CPU s':>7}" * 5
    print(f"{'rows':>7}{'parts':>8}{'ms/part':>9}{units}{'left':>7}{'read':>7}{'ms':>8}", flush=True)
    for rows in map(int, parsed.rows.split(",")):
        for parts in (rows // 100, rows // 10):
            subprocess.run([sys.executable, __file__, "--one", str(rows), str(parts)], check=True)


if __name__ == "__main__":
    main()
