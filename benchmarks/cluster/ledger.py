"""Costs of the ledger by the number of its evaluations: writing, reading, compaction, and the overhead of a batch.

    python -m benchmarks.cluster.ledger                    # 1,000 to 100,000 evaluations; about five minutes
    python -m benchmarks.cluster.ledger --evaluations 1000 10000

Each size is measured in a new process. Seconds are CPU seconds of that process beside seconds on the clock, because the
clock of a shared machine says little; writing waits for the disk (two fsyncs a part).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from archsearch.cluster.ledger.ledger import Ledger
from archsearch.cluster.trials.trial import evaluate_batch
from archsearch.evaluators import Evaluation, TabularEvaluator
from archsearch.spaces.nasbench201 import NASBench201
from benchmarks.frame import Rows, Script, table

SPACE = NASBench201()
OPERATIONS = ("read", "entries", "known", "compact", "read again")
PER_BATCH, BATCHES = 100, 30


def made_up(number: int) -> Evaluation:
    """Return an evaluation with the figures and the curve of a training."""
    architecture = SPACE.from_genotype([number // 5**gene % 5 for gene in range(6)])
    names = ("params", "macs", "valid_accuracy", "valid_loss", "test_accuracy", "test_loss", "train_accuracy", "epochs")
    metrics = dict.fromkeys(names, 0.5 + 1e-6 * number)
    curve = tuple(0.01 * epoch for epoch in range(12))
    return Evaluation(architecture, f"{number:020x}", 0.5, metrics, 1.5, None, {"valid_accuracy": curve})


def append(folder: str, batch: int, size: int) -> float:
    """Write a part by a new ledger and return the seconds; a ledger that writes many parts merges them as they add up."""
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
    """Return the median milliseconds that a batch of look-ups takes beside the look-ups, fsyncs included."""
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


def measure(rows: int, parts: int) -> dict[str, Any]:
    """Return the costs of a ledger of a size."""
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
    operations = dict(zip(OPERATIONS, (read, entries, known, compact, again), strict=True))
    return {"write_ms": 1e3 * write / parts, "operations": operations, "files": files, "megabytes": memory, "batch_ms": overhead}


def in_a_process(rows: int, parts: int) -> dict[str, Any]:
    """Return what `measure` returns in a new process."""
    command = [sys.executable, "-m", "benchmarks.cluster.ledger", "--one", str(rows), str(parts)]
    root = Path(__file__).parents[2]
    found: dict[str, Any] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=root).stdout)
    return found


def report(rows: Rows) -> None:
    """Print the table."""
    columns = ["evaluations", "parts", "write, ms a part", *(f"{operation}, s (CPU s)" for operation in OPERATIONS)]
    lines = []
    for row in rows.all():
        times = [f"{clock:.2f} ({cpu:.2f})" for clock, cpu in row["operations"].values()]
        left = row["files"], f"{row['megabytes']:.0f}", f"{row['batch_ms']:.1f}"
        lines.append([f"{row['evaluations']:,}", f"{row['parts']:,}", f"{row['write_ms']:.1f}", *times, *left])
    table([*columns, "parts left", "MB read", "ms a batch"], lines)


def main() -> None:
    script = Script(__file__, __doc__)
    script.argument("--evaluations", nargs="+", type=int, default=[1000, 10_000, 100_000], help="sizes (default: 1000 to 100000)")
    script.argument("--one", nargs=2, type=int, metavar=("EVALUATIONS", "PARTS"), help="print the costs of one size as JSON")
    arguments = script.parse()
    if arguments.one:
        print(json.dumps(measure(*arguments.one)))
        return

    def run(rows: Rows) -> None:
        for size in arguments.evaluations:
            for parts in (size // 100, size // 10):
                rows.get(lambda size=size, parts=parts: in_a_process(size, parts), evaluations=size, parts=parts)

    script.run(run, report)


if __name__ == "__main__":
    main()
