"""What reporting after each epoch and checkpoints cost, as a share of the training: aim below 2 % of a training of 30 s.

    python -m benchmarks.fidelity.overhead                                   # digits, 30 s in 140 short epochs
    python -m benchmarks.fidelity.overhead --epochs 30 --channels 24         # 20 s in 30 epochs
    ARCHSEARCH_DATA=FOLDER python -m benchmarks.fidelity.overhead --dataset cifar --epochs 4

One training in steps, as a search with a scheduler runs it, is timed from inside: the epochs and their validation, which a whole
training has too; the figures of each step; its checkpoint, `state` and `CheckpointStore.save`; and its record, a partial
evaluation in the ledger. Seconds are CPU seconds of the process beside seconds on the clock: two fsyncs a record wait for
the disk.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from archsearch.cluster import CheckpointStore, Ledger
from archsearch.evaluators import TrainingEvaluator
from archsearch.evaluators.training import steps as training_steps
from archsearch.evaluators.training.loop import Training
from archsearch.spaces.nasbench201 import NASBench201
from benchmarks.frame import Rows, Script, data, table

SPACE = NASBench201()
CELL = SPACE.parse("|nor_conv_3x3~0|+|nor_conv_3x3~0|skip_connect~1|+|skip_connect~0|nor_conv_1x1~1|nor_conv_3x3~2|")
CANDIDATES = 200

Result = TypeVar("Result")


@dataclass
class Spent:
    """CPU seconds, and seconds on the clock, of each call of one kind."""

    cpu: list[float]
    clock: list[float]

    @classmethod
    def nothing(cls) -> Spent:
        return cls([], [])

    def timed(self, work: Callable[[], Result]) -> Result:
        """Return what the work returns, its time added."""
        cpu, clock = time.process_time(), time.perf_counter()
        result = work()
        self.cpu.append(time.process_time() - cpu)
        self.clock.append(time.perf_counter() - clock)
        return result


def evaluator(dataset: str, epochs: int, channels: int, seed: int) -> TrainingEvaluator:
    scale = {"channels": channels, "cells_per_stage": 1}
    if dataset != "cifar":
        return TrainingEvaluator(SPACE, dataset, epochs=epochs, seed=seed, scale=scale)
    images = data("cifar10_train.parquet", "cifar10_test.parquet")
    return TrainingEvaluator(SPACE, f"parquet:{images / 'cifar10_train.parquet'}", epochs=epochs, seed=seed, scale=scale)


def measure(dataset: str, epochs: int, channels: int, seed: int) -> dict[str, Any]:
    """Return the seconds of one training in steps, by what they were spent on."""
    maker = evaluator(dataset, epochs, channels, seed)
    maker.splits()
    network, figures, checkpoint, record = (Spent.nothing() for _ in range(4))
    run_epoch, exit_scores = Training.run_epoch, training_steps.exit_scores
    Training.run_epoch = lambda *arguments: network.timed(lambda: run_epoch(*arguments))  # type: ignore[method-assign]
    training_steps.exit_scores = lambda *arguments: network.timed(lambda: exit_scores(*arguments))  # type: ignore[assignment]
    try:
        with tempfile.TemporaryDirectory() as folder:
            store = CheckpointStore(Path(folder) / "checkpoints", maker.fingerprint(), seed, limit_gb=10.0)
            ledger = Ledger(Path(folder) / "ledger", SPACE, maker.fingerprint(), seed=seed)
            steps = maker.begin(CELL)
            evaluation = steps.step()  # builds the network, loads the images
            network.cpu.clear(), network.clock.clear()
            while evaluation.is_partial:
                evaluation = figures.timed(steps.step)
                score, fidelity = evaluation.score, steps.fidelity
                checkpoint.timed(lambda: store.save(evaluation.key, fidelity, steps.state(), score))  # noqa: B023
                record.timed(lambda: ledger.append("run", fidelity, [(0, evaluation)]))  # noqa: B023
            size = store.size()
    finally:
        Training.run_epoch, training_steps.exit_scores = run_epoch, exit_scores  # type: ignore[method-assign]
    trained = {kind: sum(getattr(network, kind)) for kind in ("cpu", "clock")}
    parts = {
        "figures": {kind: sum(getattr(figures, kind)) - trained[kind] for kind in trained},
        "checkpoint": {kind: sum(getattr(checkpoint, kind)) for kind in trained},
        "record": {kind: sum(getattr(record, kind)) for kind in trained},
    }
    return {
        "training": trained,
        **parts,
        "milliseconds": {
            name: 1e3 * statistics.median(spent.cpu) for name, spent in (("checkpoint", checkpoint), ("record", record))
        },
        "bytes": size,
    }


def report(rows: Rows) -> None:
    lines = []
    for row in rows.all():
        trained = row["training"]
        parts = [
            f"{100 * row[name]['cpu'] / trained['cpu']:.2f} / {100 * row[name]['clock'] / trained['clock']:.2f}"
            for name in ("figures", "checkpoint", "record")
        ]
        total = {kind: sum(row[name][kind] for name in ("figures", "checkpoint", "record")) for kind in trained}
        whole = f"{100 * total['cpu'] / trained['cpu']:.2f} / {100 * total['clock'] / trained['clock']:.2f}"
        lines.append(
            [
                row["dataset"],
                row["epochs"],
                row["channels"],
                f"{trained['cpu']:.1f} / {trained['clock']:.1f}",
                *parts,
                whole,
                f"{row['milliseconds']['checkpoint']:.1f} + {row['milliseconds']['record']:.1f}",
                f"{row['bytes'] / 1e3:.0f}",
                f"{CANDIDATES * row['bytes'] / 1e6:.0f}",
            ]
        )
    columns = ("images", "epochs", "channels", "training s (CPU / clock)", "figures %", "checkpoint %", "record %", "all %")
    table(
        (*columns, "median CPU ms a step (checkpoint + record)", "checkpoint kB", f"MB of {CANDIDATES} candidates"),
        lines,
        "Overhead of reporting and checkpoints, percent of the training (CPU / clock)",
    )


def main() -> None:
    script = Script(__file__, __doc__, seeds=1)
    script.argument("--dataset", default="digits", help="digits, or cifar: the images of ARCHSEARCH_DATA (default: digits)")
    script.argument("--epochs", type=int, default=140, help="epochs of the training (default: 140)")
    script.argument("--channels", type=int, default=8, help="width of the network (default: 8)")
    arguments = script.parse()

    def measure_missing(rows: Rows) -> None:
        for seed in script.seeds:
            rows.get(
                lambda: measure(arguments.dataset, arguments.epochs, arguments.channels, seed),  # noqa: B023
                dataset=arguments.dataset,
                epochs=arguments.epochs,
                channels=arguments.channels,
                seed=seed,
            )

    script.run(measure_missing, report)


if __name__ == "__main__":
    main()
