"""Correlation of scores without training with real training: the protocol of the GHN paper (section 5.3).

    python -m benchmarks.ghn.correlation                             # digits: blocks of 7 nodes; hours on one core, in pieces
    python -m benchmarks.ghn.correlation --only truth --minutes 30   # the truths that fit in half an hour
    python -m benchmarks.ghn.correlation --dataset cifar10 --nodes 17 --blocks 18 --channels 32 --epochs 50 --steps 140800

Random architectures are trained for real: that is the truth. Then the graph hypernetwork, the one-shot network, some steps of SGD
and the number of parameters score the same architectures, and the table gives their correlation with the truth on all of them
(`Rand`) and on the better half (`Top`), with 95 % intervals, and what they cost. Hypernetworks and one-shot networks in training
are kept in a folder beside the file of rows. The sampler of architectures is the space's own, by the law of in-degrees named in
the rows.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from archsearch.evaluators import GHN, Evaluator, OneShot, SGDSteps, TrainingEvaluator
from archsearch.evaluators.metrics import bootstrap_interval, kendall_tau, pearson_interval, spearman
from archsearch.spaces import Architecture
from archsearch.spaces.cells import Cells
from benchmarks import frame
from benchmarks.frame import Row, Rows, Script

# Method: Pearson's correlation on 100 random architectures and on the better 50 of them (table 4; no intervals are given).
PUBLISHED = {
    "ghn": ("0.68", "0.48"),
    "one-shot": ("0.58", "0.31"),
    "sgd 10": ("0.26", "-0.05"),
    "sgd 100": ("0.59", "0.06"),
    "sgd 200": ("0.62", "0.20"),
    "sgd 1000": ("0.77", "0.26"),
}
CORRELATIONS = (
    "method",
    "initial s",
    "s each",
    "Rand: Pearson",
    "Spearman",
    "Kendall",
    "Top half: Pearson",
    "Spearman",
    "published Rand, Top",
)
ARCHITECTURE_SEED = 20_190_506  # no training of a hypernetwork draws from this stream


class Scores:
    """Rows of scores that depend on the same settings.

    Args:
        rows: Rows of the file; those of other settings are left alone.
        settings: What all scores depend on.
    """

    def __init__(self, rows: Rows, settings: dict[str, Any]) -> None:
        self.rows, self.settings = rows, settings

    def of(self, method: str) -> dict[str, Row]:
        """Return the rows of a method by the text form of the architecture."""
        return {row["architecture"]: row for row in self.rows.select(settings=self.settings, method=method)}

    def measure(self, method: str, architecture: Architecture, make: Callable[[], tuple[Evaluator, float]]) -> None:
        """Score an architecture, unless its row is there; `make` gives the evaluator and the seconds of its training."""

        def scored() -> dict[str, Any]:
            evaluator, initial = make()
            [evaluation] = evaluator.evaluate([architecture])
            return {
                "score": evaluation.score if evaluation.ok else None,
                "loss": evaluation.metrics.get("valid_loss"),
                "seconds": evaluation.seconds,
                "initial": initial,
            }

        self.rows.get(scored, method=method, architecture=str(architecture), settings=self.settings)


def population(space: Cells, number: int) -> list[Architecture]:
    """Return distinct architectures; the first ones do not depend on their number."""
    rng, found = np.random.default_rng(ARCHITECTURE_SEED), dict[str, Architecture]()
    while len(found) < number:
        architecture = space.sample(rng)
        found.setdefault(space.key(architecture), architecture)
    return list(found.values())


def methods(
    arguments: argparse.Namespace, space: Cells, scale: dict[str, int], seeds: range
) -> Iterator[tuple[str, Callable[[], Evaluator], int]]:
    """Yield name, evaluator and steps of its training (0 for none) of what is compared, the truth first."""
    shared = {"scale": scale, "device": arguments.device, "root": arguments.root}
    for seed in range(arguments.truths):
        yield (
            f"truth {seed}",
            lambda seed=seed: TrainingEvaluator(space, arguments.dataset, seed=seed, epochs=arguments.epochs, **shared),
            0,
        )
    for seed in seeds:
        yield (
            f"ghn {seed}",
            lambda seed=seed: GHN(space, arguments.dataset, seed, preset=arguments.preset, **shared),
            arguments.steps,
        )
        yield f"one-shot {seed}", lambda seed=seed: OneShot(space, arguments.dataset, seed, **shared), arguments.steps
    for steps in arguments.sgd:
        yield f"sgd {steps} 0", lambda steps=steps: SGDSteps(space, arguments.dataset, steps, 1, **shared), 0


def trained(name: str, evaluator: GHN | OneShot, steps: int, folder: Path) -> float:
    """Train an evaluator, from where an earlier run of this program left it, and return the seconds that it took in all."""
    folder.mkdir(parents=True, exist_ok=True)
    path, clock = folder / f"{name.replace(' ', '-')}.pt", folder / f"{name.replace(' ', '-')}.seconds"
    spent = float(clock.read_text()) if clock.exists() else 0.0
    started = time.perf_counter()
    try:
        evaluator.fit(steps, checkpoint=path)
    finally:
        spent += time.perf_counter() - started
        clock.write_text(str(spent))
    return spent


def compute(script: Script, scores: Scores, space: Cells, scale: dict[str, int]) -> None:
    """Score what is not in the file yet, until the time is over."""
    arguments = script.arguments
    until, candidates = time.monotonic() + 60.0 * arguments.minutes, population(space, arguments.candidates)
    for name, make, steps in methods(arguments, space, scale, script.seeds):
        if arguments.only and name.rpartition(" ")[0] not in arguments.only:
            continue

        @cache
        def ready(name: str = name, make: Callable[[], Evaluator] = make, steps: int = steps) -> tuple[Evaluator, float]:
            evaluator = make()
            initial = (
                trained(name, evaluator, steps, arguments.out.with_suffix("")) if isinstance(evaluator, GHN | OneShot) else 0.0
            )
            return evaluator, initial

        for architecture in candidates:
            if time.monotonic() > until:
                return
            scores.measure(name, architecture, ready)


def report(arguments: argparse.Namespace, scores: Scores, space: Cells, scale: dict[str, int]) -> None:
    """Print the correlations of what is in the file."""
    candidates = [str(architecture) for architecture in population(space, arguments.candidates)]
    truths = [scores.of(f"truth {seed}") for seed in range(arguments.truths)]
    common = [text for text in candidates if all(text in truth and truth[text]["score"] is not None for truth in truths)]
    if len(common) < 8:
        print(f"{len(common)} of {len(candidates)} truths are there: too few for a table.")
        return
    truth = np.array([[each[text]["score"] for text in common] for each in truths]).mean(0)
    lines: list[list[object]] = []
    if len(truths) > 1:
        first, second = (np.array([each[text]["score"] for text in common]) for each in truths[:2])
        lines.append(["one truth against another", None, None, *correlations(first, second), None])
    for name in dict.fromkeys(row["method"] for row in scores.rows.select(settings=scores.settings)):
        rows = scores.of(name)
        if not name.startswith("truth") and all(text in rows and rows[text]["score"] is not None for text in common):
            accuracy, loss = (np.array([rows[text][figure] for text in common]) for figure in ("score", "loss"))
            cost = f"{rows[common[0]]['initial']:.0f}", f"{np.mean([rows[text]['seconds'] for text in common]):.3f}"
            published = ", ".join(PUBLISHED.get(name.rpartition(" ")[0], ()))
            lines.append([f"{name}, by accuracy", *cost, *correlations(truth, accuracy), published])
            lines.append([f"{name}, by loss", None, None, *correlations(truth, -loss), None])
    channels = 3 if arguments.dataset.startswith("cifar") else 1
    params = [float(space.cost(space.parse(text), (channels, 8, 8), 10, **scale).params) for text in common]
    lines.append(["number of parameters", 0, 0, *correlations(truth, np.array(params)), None])
    title = f"{arguments.dataset}: {space!r}, {scale}, {len(common)} architectures trained {arguments.epochs} epochs"
    frame.table(CORRELATIONS, lines, title)


def correlations(truth: np.ndarray, scores: np.ndarray) -> list[str]:
    """Return correlations with their intervals: all architectures, then the better half by the truth."""
    top = np.argsort(-truth, kind="stable")[: len(truth) // 2]
    rng = np.random.default_rng(0)
    parts = [
        pearson_interval(truth, scores),
        bootstrap_interval(spearman, truth, scores, rng),
        bootstrap_interval(kendall_tau, truth, scores, rng),
        pearson_interval(truth[top], scores[top]),
        bootstrap_interval(spearman, truth[top], scores[top], rng),
    ]
    return [written(part) for part in parts]


def written(interval: Any) -> str:
    return f"{interval.value:.2f} [{interval.low:.2f}, {interval.high:.2f}]"


def main() -> None:
    script = Script(__file__, __doc__, seeds=2)
    script.argument("--dataset", default="digits", help="what datasets.load takes (default: digits)")
    script.argument("--root", help="folder of downloaded datasets")
    script.argument("--nodes", type=int, default=7, help="nodes of the blocks that are scored (default: 7; paper: 17)")
    script.argument("--in-degree", default="one_or_two", help="law of in-degrees of the sampler (default: one_or_two)")
    script.argument("--blocks", type=int, default=3)
    script.argument("--channels", type=int, default=8)
    script.argument("--epochs", type=int, default=5, help="of the real trainings (default: 5; paper: 50)")
    script.argument("--truths", type=int, default=2, help="real trainings of each architecture, averaged (default: 2)")
    script.argument("--candidates", type=int, default=100)
    script.argument("--steps", type=int, default=1500, help="of the hypernetwork and of the one-shot network (default: 1500)")
    script.argument("--sgd", type=int, nargs="*", default=[10, 100], help="steps of the short trainings (default: 10 100)")
    script.argument("--preset", default="default", help="of the hypernetwork: default or paper")
    script.argument("--device", default="auto")
    script.argument("--only", nargs="+", help="only these: truth, ghn, one-shot, or 'sgd 100'")
    script.argument("--minutes", type=float, default=1e9, help="start no further score after this number of minutes")
    arguments = script.parse()
    torch.set_num_threads(1)
    space = Cells(arguments.nodes, arguments.in_degree)
    scale = {"blocks": arguments.blocks, "channels": arguments.channels}
    names = ("dataset", "epochs", "steps", "preset")
    settings = {"space": repr(space), **scale, **{name: getattr(arguments, name) for name in names}}
    script.run(
        lambda rows: compute(script, Scores(rows, settings), space, scale),
        lambda rows: report(arguments, Scores(rows, settings), space, scale),
    )


if __name__ == "__main__":
    main()
