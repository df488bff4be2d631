"""The default job, seed by seed: does its ending say that the candidates which it chose are better than random ones?

    python -m benchmarks.ghn.default_job                                    # seeds 0 to 9 in the table: a minute on one core
    python -m benchmarks.ghn.default_job --kinds job                        # the searches themselves, a minute or two each
    python -m benchmarks.ghn.default_job --kinds ranks --first 100 --seeds 3 --rank_by loss loss+params+nwot

`job` runs the search of `archsearch run` without arguments (`configuration.DEFAULT_JOB`). A seed decides if the 95 % interval of
the difference in validation accuracy between the chosen and the random candidates does not hold 0; the aim is 8 of 10. That is
the interval of the search's ending (Hodges and Lehmann's median of all pairs); beside it stands the difference of means (Welch).
`table` is the same in a plain loop, with the trainings of the table `digits201`, which have the same recipe: a score is that of
one training, by the numbers of right images. Beside it stands a ranking that costs nothing: of 1,000 random cells those with the
most parameters. The settings were chosen in the table, with seeds from 100.

`ranks` is the same by a hypernetwork: it learns digits and, with training-free scores, ranks random blocks of 17 nodes. The first
20 of each sum of ranks and 20 random blocks are trained for 5 epochs, with 2 blocks and 4 channels: one such training agrees with
the next much better by validation loss (Spearman .96) than by accuracy (.69).
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from functools import cache, partial
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from scipy.stats import ttest_ind

import archsearch.evaluators.tables
from archsearch import platform
from archsearch.evaluators import TrainingEvaluator
from archsearch.evaluators.ghn.surrogate import GHNSurrogate
from archsearch.evaluators.metrics import Interval, kendall_tau
from archsearch.evaluators.predictors.gaussian_process import GaussianProcess
from archsearch.platform.report.advantage import shift
from archsearch.searchers.surrogate.rank_parts import ranks_of
from archsearch.spaces import Architecture
from archsearch.spaces.cells import Cells
from archsearch.spaces.nasbench201 import NASBench201
from benchmarks.frame import Row, Rows, Script, average, difference, table

PROXIES = ("params", "nwot", "zico")


def drawn(space: Cells, number: int, seed: int) -> list[Architecture]:
    """Return distinct random architectures."""
    rng, found = np.random.default_rng([seed, 79]), dict[str, Architecture]()
    while len(found) < number:
        architecture = space.sample(rng)
        found.setdefault(space.key(architecture), architecture)
    return list(found.values())


def job(seed: int, workers: int | None) -> dict[str, Any]:
    """Return the scores of the default job by group, and its seconds."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        settings: dict[str, Any] = {"reuse": False, "tracking": "off", "report": False, "workers": workers}
        result = platform.run_search(seed=seed, storage=folder, progress=False, **settings)
    (name, chosen), (_, others) = list(result.summary.groups.items())[:2]
    return {"method": name, "chosen": chosen, "random": others, "seconds": time.perf_counter() - started}


def in_table(seed: int, initial: int = 30, chosen: int = 30, stage: int = 5) -> dict[str, Any]:
    """Return the scores of the default job by group, with the trainings of the table, and those of the largest of 1,000 cells."""
    content = pq.read_table(f"{archsearch.evaluators.tables.__path__[0]}/digits201.parquet")
    right = np.array(content["valid_correct"].to_pylist(), float).reshape(len(content), 2, -1)[:, :, -1]
    rng = np.random.default_rng([seed, 80])
    scores = right[:, rng.integers(2)] / json.loads(content.schema.metadata[b"images"])["valid"]
    space = NASBench201()
    process = GaussianProcess(space, seed, optimism=1.0)
    cells = [space.parse(text) for text in content["architecture"].to_pylist()]
    features, rows = process.prepare(cells), {space.key(cell): row for row, cell in enumerate(cells)}
    # As the search draws them: texts, of which more belong to a cell that does little.
    order = list(dict.fromkeys(rows[space.key(space.sample(rng))] for _ in range(2 * (initial + 1000))))
    known = order[:initial]
    for _ in range(chosen // stage):
        predicted = process.fit(features[known], scores[known]).predict(features)
        predicted[known] = -np.inf
        known += list(np.argsort(-predicted)[:stage])
    others = np.array(order[initial : initial + 1000])
    largest = others[np.argsort(-content["params"].to_numpy()[others], kind="stable")[:chosen]]
    groups = {"chosen": scores[known[initial:]], "random": scores[known[:initial]], "largest": scores[largest]}
    return {"method": "a Gaussian process", **groups, "seconds": 0.0}


def ranked(space: Cells, scale: dict[str, int], arguments: argparse.Namespace, seed: int) -> dict[str, Any]:
    """Return random architectures, those to rank with the figures that rank them."""
    architectures = [str(each) for each in drawn(space, arguments.top + arguments.candidates, seed)]
    others, candidates = architectures[: arguments.top], architectures[arguments.top :]
    surrogate = GHNSurrogate(space, "digits", seed, proxies=PROXIES, scale=scale, device="cpu")
    surrogate.load(surrogate.fit(steps=arguments.steps))
    columns = surrogate.evaluate(candidates)
    figures = {"loss": -columns["valid_loss"], **{name: columns[name] for name in ("score", *PROXIES)}}
    return {"random": others, "candidates": candidates, "figures": figures}


def first(row: Row, rank_by: str, number: int) -> list[str]:
    """Return the candidates that are first by a sum of ranks, best first."""
    ranks = ranks_of(rank_by.split("+"), {name: np.array(values, float) for name, values in row["figures"].items()})
    return [row["candidates"][at] for at in np.lexsort((-ranks.ties, -ranks.figure))[:number]]


def trained(space: Cells, scale: dict[str, int], epochs: int, seed: int, text: str) -> dict[str, Any]:
    """Return accuracy and loss of a real training."""
    evaluator = TrainingEvaluator(space, "digits", seed=seed, epochs=epochs, scale=scale, device="cpu")
    [found] = evaluator.evaluate([space.parse(text)])
    if not found.ok:
        return {"error": found.error}
    return {"accuracy": found.metrics["valid_accuracy"], "loss": found.metrics["valid_loss"], "seconds": found.seconds}


def measure(script: Script, space: Cells, scale: dict[str, int], rows: Rows) -> None:
    """Search, rank and train what is not in the file yet."""
    arguments = script.arguments
    for seed in script.seeds if "table" in arguments.kinds else ():
        rows.get(partial(in_table, seed), kind="table", seed=seed)
    for seed in script.seeds if "job" in arguments.kinds else ():
        rows.get(partial(job, seed, arguments.workers), kind="job", seed=seed)
    for seed in script.seeds if "ranks" in arguments.kinds else ():
        plan = rows.get(partial(ranked, space, scale, arguments, seed), kind="ranks", seed=seed)
        if plan is None:
            continue
        groups = [plan["random"], *(first(plan, each, arguments.top) for each in arguments.rank_by)]
        for text in dict.fromkeys(text for place in zip(*groups, strict=True) for text in place):
            work = partial(trained, space, scale, arguments.epochs, seed, text)
            rows.get(work, kind="training", seed=seed, architecture=text)


def decided(ours: list[float], others: list[float]) -> bool:
    """Return whether the 95 % interval of the difference of two means lies above 0."""
    return bool(ttest_ind(ours, others, equal_var=False).confidence_interval().low > 0)


def shown_shift(ours: list[float], others: list[float]) -> str:
    """Return the median of all differences with its 95 % interval."""
    found = shift(ours, others)
    return "" if found is None else f"{found.value:+.2f} ({found.low:+.2f} to {found.high:+.2f})"


def report(arguments: argparse.Namespace, rows: Rows) -> None:
    """Print the tables of the default job, and those of rankings by a hypernetwork."""
    for kind in ("table", "job"):
        lines, means_decide = list[list[object]](), {"chosen": 0, "largest": 0}
        found = {name: list[Interval]() for name in means_decide}
        for row in rows.select(kind=kind):
            scores = {name: [100 * each for each in row[name]] for name in ("chosen", "random", "largest") if name in row}
            for name in scores.keys() & found:
                means_decide[name] += decided(scores[name], scores["random"])
                if (interval := shift(scores[name], scores["random"])) is not None:
                    found[name].append(interval)
            best = ", ".join(f"{max(each):.2f}" for each in scores.values())
            shifts = [shown_shift(scores[name], scores["random"]) if name in scores else None for name in found]
            means = difference(scores["chosen"], scores["random"])
            lines.append([row["seed"], *shifts, means, best, f"{row['seconds']:.0f}" if row["seconds"] else None])
        groups = "chosen, random, largest" if kind == "table" else "chosen, random"
        gains = ("chosen above random, points", "largest above random", "difference of means, chosen")
        table(["seed", *gains, f"best %: {groups}", "seconds"], lines, kind)
        for name, intervals in found.items():
            if intervals:
                won = sum(each.low > 0 for each in intervals)
                mean = average([each.value for each in intervals], signed=True)
                print(f"\n{name}: {won} of {len(intervals)} decide (means: {means_decide[name]}); {mean} points above random.")
    report_ranks(arguments, rows)


def report_ranks(arguments: argparse.Namespace, rows: Rows) -> None:
    """Print the difference of each seed, how many of them decide, and what each figure agrees with."""
    outcomes = {(row["seed"], row["architecture"]): row for row in rows.select(kind="training") if "loss" in row}
    plans = rows.select(kind="ranks")

    @cache
    def values(seed: int, texts: tuple[str, ...], figure: str) -> list[float]:
        found = [outcomes[seed, text] for text in texts if (seed, text) in outcomes]
        return [100 * row["accuracy"] if figure == "accuracy" else -row["loss"] for row in found]

    lines: list[list[object]] = []
    for rank_by in arguments.rank_by:
        won, gaps = {"accuracy": 0, "loss": 0}, {"accuracy": list[float](), "loss": list[float]()}
        for plan in plans:
            seed, top = plan["seed"], tuple(first(plan, rank_by, arguments.top))
            shown: list[object] = []
            if any((seed, text) not in outcomes for text in (*top, *plan["random"])):
                continue
            for figure in won:
                pair = values(seed, top, figure), values(seed, tuple(plan["random"]), figure)
                won[figure] += decided(*pair)
                gaps[figure].append(float(np.mean(pair[0]) - np.mean(pair[1])))
                shown.append(difference(*pair, digits=2 if figure == "accuracy" else 3))
            lines.append([rank_by, seed, *shown])
        if gaps["loss"]:
            total = len(gaps["loss"])
            ends = [f"{average(gaps[figure], 2, signed=True)}; {won[figure]} of {total} decide" for figure in won]
            lines.append([f"**{rank_by}**", "all", *ends])
    table(["ranked by", "seed", "accuracy above random, points", "negative loss above random, nats"], lines)
    agree: list[list[object]] = []
    for name in ("loss", "score", *PROXIES):
        taus = []
        for plan in plans:
            known = [at for at, text in enumerate(plan["candidates"]) if (plan["seed"], text) in outcomes]
            truth = [-outcomes[plan["seed"], plan["candidates"][at]]["loss"] for at in known]
            if len(known) > 2:
                taus.append(kendall_tau(truth, [plan["figures"][name][at] for at in known]))
        agree.append([name, average(taus)])
    if plans:
        table(["figure", "Kendall's tau with the trained loss, of those ranked first by any of the above"], agree)


def main() -> None:
    script = Script(__file__, __doc__, seeds=10)
    script.argument("--kinds", nargs="+", default=["table"], choices=["table", "job", "ranks"])
    script.argument("--workers", type=int, help="trials at once in a job (default: as the search chooses)")
    script.argument("--rank_by", nargs="+", default=["loss+params+nwot"], help="sums of ranks to compare")
    script.argument("--candidates", type=int, default=300, help="to rank (default: 300)")
    script.argument("--top", type=int, default=20, help="to train of each ranking, and at random (default: 20)")
    script.argument("--steps", type=int, default=500, help="of the hypernetwork (default: 500)")
    script.argument("--epochs", type=int, default=5, help="of the trainings (default: 5)")
    script.argument("--channels", type=int, default=4)
    script.argument("--blocks", type=int, default=2)
    arguments = script.parse()
    torch.set_num_threads(1)
    space, scale = Cells(), {"blocks": arguments.blocks, "channels": arguments.channels}
    script.run(lambda rows: measure(script, space, scale, rows), partial(report, arguments))


if __name__ == "__main__":
    main()
