"""How well scores without training agree with real training: the correlation protocol of the GHN paper (section 5.3).

    python benchmarks/ghn_correlation.py                             # digits: blocks of 7 nodes; hours on one core, in pieces
    python benchmarks/ghn_correlation.py --only truth --minutes 30   # as many of the truths as fit in half an hour
    python benchmarks/ghn_correlation.py --print                     # the table of what is there so far
    python benchmarks/ghn_correlation.py --dataset cifar10 --nodes 17 --blocks 18 --channels 32 --epochs 50 --steps 140800

Random architectures are trained for real: that is the truth. Then the graph hypernetwork, the one-shot network, some steps of SGD
and the number of parameters score the same architectures, and the table gives their correlation with the truth on all of them
(`Rand`) and on the better half (`Top`), with 95 % intervals, and what they cost. Each score is a line of a file and is not
computed again; hypernetworks and one-shot networks in training are kept in a folder beside it, so that the program may be stopped
at any time. The sampler of architectures is the space's own, by the law of in-degrees named in the file.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rows import read, write

from archsearch.evaluators import GHN, Evaluation, Evaluator, OneShot, SGDSteps, TrainingEvaluator
from archsearch.evaluators.metrics import bootstrap_interval, kendall_tau, pearson_interval, spearman
from archsearch.spaces import Architecture
from archsearch.spaces.cells import Cells

# Method: Pearson's correlation on 100 random architectures and on the better 50 of them (table 4; no intervals are given).
PUBLISHED = {
    "ghn": ("0.68", "0.48"),
    "one-shot": ("0.58", "0.31"),
    "sgd 10": ("0.26", "-0.05"),
    "sgd 100": ("0.59", "0.06"),
    "sgd 200": ("0.62", "0.20"),
    "sgd 1000": ("0.77", "0.26"),
}
ARCHITECTURE_SEED = 20_190_506  # no training of a hypernetwork draws from this stream


class Records:
    """Scores in a file, a line each: what was scored, by what, with which settings.

    Args:
        path: The file; it is made when it is missing.
        settings: What all of them depend on; lines of other settings are left alone.
    """

    def __init__(self, path: Path, settings: dict[str, Any]) -> None:
        self.path, self.settings = path, settings
        self.rows = [row for row in read(path) if row["settings"] == settings]

    def of(self, method: str) -> dict[str, dict[str, Any]]:
        """Return the lines of a method by architecture."""
        return {row["architecture"]: row for row in self.rows if row["method"] == method}

    def add(self, method: str, evaluation: Evaluation, initial: float) -> None:
        """Append a line; `initial` are the seconds that the method cost before it could score."""
        row = {
            "method": method,
            "architecture": str(evaluation.architecture),
            "score": evaluation.score if evaluation.ok else None,
            "loss": evaluation.metrics.get("valid_loss"),
            "seconds": evaluation.seconds,
            "initial": initial,
            "settings": self.settings,
        }
        self.rows.append(row)
        write(self.path, row)


def population(space: Cells, number: int) -> list[Architecture]:
    """Return different architectures; the first ones are the same whatever their number."""
    rng, found = np.random.default_rng(ARCHITECTURE_SEED), dict[str, Architecture]()
    while len(found) < number:
        architecture = space.sample(rng)
        found.setdefault(space.key(architecture), architecture)
    return list(found.values())


def methods(
    arguments: argparse.Namespace, space: Cells, scale: dict[str, int]
) -> Iterator[tuple[str, Callable[[], Evaluator], int]]:
    """Yield name, evaluator and steps of its training (0 for none) of what is compared, the truth first."""
    shared = {"scale": scale, "device": arguments.device, "root": arguments.root}
    for seed in range(arguments.truths):
        yield (
            f"truth {seed}",
            lambda seed=seed: TrainingEvaluator(space, arguments.dataset, seed=seed, epochs=arguments.epochs, **shared),
            0,
        )
    for seed in range(arguments.seeds):
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


def compute(arguments: argparse.Namespace, records: Records, space: Cells, scale: dict[str, int]) -> None:
    """Score what is not in the file yet, until the time is over."""
    until, candidates = time.monotonic() + 60.0 * arguments.minutes, population(space, arguments.candidates)
    for name, make, steps in methods(arguments, space, scale):
        known = records.of(name)
        missing = [architecture for architecture in candidates if str(architecture) not in known]
        if not missing or (arguments.only and name.rpartition(" ")[0] not in arguments.only):
            continue
        evaluator, initial = make(), 0.0
        if isinstance(evaluator, GHN | OneShot):
            initial = trained(name, evaluator, steps, arguments.results.with_suffix(""))
        for architecture in missing:
            if time.monotonic() > until:
                return
            [evaluation] = evaluator.evaluate([architecture])
            records.add(name, evaluation, initial)
        print(f"{name}: {len(candidates)} architectures scored", flush=True)


def table(arguments: argparse.Namespace, records: Records, space: Cells, scale: dict[str, int]) -> None:
    """Print the correlations of what is in the file as Markdown."""
    candidates = [str(architecture) for architecture in population(space, arguments.candidates)]
    truths = [records.of(f"truth {seed}") for seed in range(arguments.truths)]
    common = [text for text in candidates if all(text in truth and truth[text]["score"] is not None for truth in truths)]
    if len(common) < 8:
        print(f"{len(common)} of {len(candidates)} truths are there: too few for a table.")
        return
    truth = np.array([[each[text]["score"] for text in common] for each in truths]).mean(0)
    print(f"\n### {arguments.dataset}: {space!r}, {scale}, {len(common)} architectures trained {arguments.epochs} epochs\n")
    print(
        "| method | initial s | s each | Rand: Pearson | Spearman | Kendall | Top half: Pearson | Spearman | published Rand, Top|"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    names = list(dict.fromkeys(row["method"] for row in records.rows))
    if len(truths) > 1:
        first, second = ([each[text]["score"] for text in common] for each in truths[:2])
        print(f"| one truth against another | | | {correlations(np.array(first), np.array(second))} | |")
    for name in [name for name in names if not name.startswith("truth")]:
        rows = records.of(name)
        if all(text in rows and rows[text]["score"] is not None for text in common):
            scores = np.array([rows[text]["score"] for text in common])
            losses = np.array([rows[text]["loss"] for text in common])
            cost = f"{rows[common[0]]['initial']:.0f} | {np.mean([rows[text]['seconds'] for text in common]):.3f}"
            published = ", ".join(PUBLISHED.get(name.rpartition(" ")[0], ("", "")))
            print(f"| {name}, by accuracy | {cost} | {correlations(truth, scores)} | {published} |")
            print(f"| {name}, by loss | | | {correlations(truth, -losses)} | |")
    channels = 3 if arguments.dataset.startswith("cifar") else 1
    params = [float(space.cost(space.parse(text), (channels, 8, 8), 10, **scale).params) for text in common]
    print(f"| number of parameters | 0 | 0 | {correlations(truth, np.array(params))} | |", flush=True)


def correlations(truth: np.ndarray, scores: np.ndarray) -> str:
    """Return the columns of a table: Pearson, Spearman, Kendall on all, Pearson and Spearman on the better half."""
    rng = np.random.default_rng(0)
    top = np.argsort(-truth, kind="stable")[: len(truth) // 2]
    cells = []
    for true, predicted, whole in ((truth, scores, True), (truth[top], scores[top], False)):
        interval = pearson_interval(true, predicted)
        cells.append(f"{interval.value:.2f} [{interval.low:.2f}, {interval.high:.2f}]")
        cells.append(written(bootstrap_interval(spearman, true, predicted, rng)))
        if whole:
            cells.append(written(bootstrap_interval(kendall_tau, true, predicted, rng)))
    return " | ".join(cells)


def written(interval: Any) -> str:
    return f"{interval.value:.2f} [{interval.low:.2f}, {interval.high:.2f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="digits", help="what datasets.load takes (default: digits)")
    parser.add_argument("--root", help="folder of downloaded datasets")
    parser.add_argument("--nodes", type=int, default=7, help="nodes of the blocks that are scored (default: 7; paper: 17)")
    parser.add_argument("--in-degree", default="one_or_two", help="law of in-degrees of the sampler (default: one_or_two)")
    parser.add_argument("--blocks", type=int, default=3)
    parser.add_argument("--channels", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=5, help="of the real trainings (default: 5; paper: 50)")
    parser.add_argument(
        "--truths", type=int, default=2, help="real trainings of each architecture; their mean counts (default: 2)"
    )
    parser.add_argument("--candidates", type=int, default=100)
    parser.add_argument("--steps", type=int, default=1500, help="of the hypernetwork and of the one-shot network (default: 1500)")
    parser.add_argument("--sgd", type=int, nargs="*", default=[10, 100], help="steps of the short trainings (default: 10 100)")
    parser.add_argument("--seeds", type=int, default=2, help="hypernetworks and one-shot networks (default: 2)")
    parser.add_argument("--preset", default="default", help="of the hypernetwork: default or paper")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--only", nargs="+", help="only these: truth, ghn, one-shot, or 'sgd 100'")
    parser.add_argument("--minutes", type=float, default=1e9, help="begin no further score after so many minutes")
    parser.add_argument("--results", type=Path, default=Path("ghn_correlation.jsonl"))
    parser.add_argument("--print", action="store_true", help="only print the table of what is there")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    space = Cells(arguments.nodes, arguments.in_degree)
    scale = {"blocks": arguments.blocks, "channels": arguments.channels}
    names = ("dataset", "epochs", "steps", "preset")
    settings = {"space": repr(space), **scale, **{name: getattr(arguments, name) for name in names}}
    records = Records(arguments.results, settings)
    if not arguments.print:
        compute(arguments, records, space, scale)
    table(arguments, records, space, scale)


if __name__ == "__main__":
    main()
