"""Searches by real trainings on CIFAR-10 images, with and without a scheduler, each for the same CPU seconds.

    ARCHSEARCH_DATA=FOLDER python -m benchmarks.fidelity.images --part length     # how well two seeds agree; a few minutes
    ARCHSEARCH_DATA=FOLDER python -m benchmarks.fidelity.images --part searches   # 3 seeds of all methods; minutes on a core
    python -m benchmarks.fidelity.images --print

The folder holds cifar10_train.parquet and cifar10_test.parquet. Images are averaged to `--side` pixels. The first `--images` of
the training file train, its last `--validation` score the candidates, and all of the test file are for the report alone. Cells
are those of NAS-Bench-201, with `--channels` and one cell a stage.

`--part length` trains the same random cells with two seeds: the rank correlation of their validation accuracies says whether
trainings of this size and length can order cells at all. Size and length are chosen by it.

`--part searches` runs each search in this process, with one worker, for `--seconds` on a clock of CPU seconds. It counts all that
the process spends between the ends of two steps: the trainings and their validation, proposals and fits of the searcher, the
training of its hypernetwork, and the scheduler's decisions. Reading the images is left out. What a search has found is the
candidate that came furthest and has the best validation accuracy there. It is trained again, to the end, with other seeds, after
the search and off its clock; reported is the mean test accuracy of these trainings.

Methods are a searcher, and a scheduler with its defaults. The funnel is the searcher `ghn` with `asha`: a hypernetwork, trained
in the search, ranks random cells; the best are trained for an epoch, fewer for three, fewer to the end. `proxies` does so by the
number of parameters and by nwot, which need no training.
"""

from __future__ import annotations

import io
import itertools
import math
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image
from scipy.stats import kendalltau, spearmanr

from archsearch import searchers
from archsearch.cluster.schedulers import registry
from archsearch.cluster.schedulers.clock import ClockEvent
from archsearch.cluster.trials.simulated_clock import run_simulated_clock
from archsearch.evaluators import Evaluation, EvaluationSteps, TrainingEvaluator
from archsearch.searchers import ArchitectureSearcher, GHNRandomSearch, RankedRandomSearch
from archsearch.searchers.surrogate.searcher import SurrogateSearcher
from archsearch.spaces import Architecture
from archsearch.spaces.nasbench201 import NASBench201
from benchmarks.cluster.pool import InProcess
from benchmarks.frame import Row, Rows, Script, average, data, difference, table

SIDE = 32  # pixels of an image in the files
FILES = ("cifar10_train.parquet", "cifar10_test.parquet")


class Method(NamedTuple):
    """A searcher, and a scheduler or None."""

    searcher: str
    scheduler: str | None


METHODS: Mapping[str, Method] = {
    "random": Method("random", None),
    "random + asha": Method("random", "asha"),
    "evolution + asha": Method("evolution", "asha"),
    "gates + asha": Method("gates", "asha"),
    "funnel": Method("ghn", "asha"),
    "proxies": Method("proxies", None),
    "proxies + asha": Method("proxies", "asha"),
    "random + promotion": Method("random", "promotion"),
}
LENGTH_SEEDS = (0, 1)
AGAIN = 1000  # first seed of the trainings for the report
RESAMPLES = 1000


class CpuClock:
    """CPU seconds of this process between the ends of steps.

    Attributes:
        total: Seconds of all laps so far.
    """

    def __init__(self) -> None:
        self._last, self.total = time.process_time(), 0.0

    def lap(self) -> float:
        """Return the seconds since the last call, or since the start."""
        now = time.process_time()
        seconds, self._last = now - self._last, now
        self.total += seconds
        return seconds


class TimedSteps(EvaluationSteps):
    """A training whose steps take the CPU seconds that the process has spent since the last step of any candidate.

    Args:
        steps: The training.
        clock: The clock of the search.
        spent: CPU seconds of each training step alone, to which those of this training are added.
    """

    def __init__(self, steps: EvaluationSteps, clock: CpuClock, spent: list[float]) -> None:
        super().__init__(steps.architecture)
        self._steps, self._clock, self._spent, self._seconds = steps, clock, spent, 0.0

    def step(self) -> Evaluation:
        started = time.process_time()
        evaluation = self._steps.step()
        self._spent.append(time.process_time() - started)
        self._seconds += self._clock.lap()
        self.fidelity = self._steps.fidelity
        return replace(evaluation, seconds=self._seconds)

    def state(self) -> dict[str, Any]:
        return self._steps.state()

    def load_state(self, state: Mapping[str, Any]) -> None:
        self._steps.load_state(state)
        self.fidelity = self._steps.fidelity


class TimedTraining(TrainingEvaluator):
    """Trainings on a clock of CPU seconds, which starts with `start`."""

    clock: CpuClock
    spent: list[float]

    def start(self) -> None:
        self.clock, self.spent = CpuClock(), []

    def begin(self, architecture: Architecture) -> TimedSteps:  # type: ignore[override]
        return TimedSteps(super().begin(architecture), self.clock, self.spent)


class RankingInProcess(InProcess):
    """The calls on a pool of a search that ranks candidates before they are trained, answered in this process."""

    def submit_fit(self, rows: Any, **options: Any) -> Future[SimpleNamespace]:
        done: Future[SimpleNamespace] = Future()
        done.set_result(self.fit(rows, **options))
        return done

    def evaluate(self, candidates: Sequence[str]) -> SimpleNamespace:
        return SimpleNamespace(columns=self._surrogate.evaluate(candidates), errors={})


class Bench:
    """The images at a size for processors, and how networks are trained on them.

    Args:
        arguments: Those of the command line.
        folder: Folder for the smaller images.
    """

    def __init__(self, arguments: Any, folder: Path) -> None:
        self.arguments, self.folder, self.space = arguments, folder, NASBench201()
        train, test = (data(*FILES) / name for name in FILES)
        rows = pq.read_table(train, columns=["image", "label"])
        if arguments.images + arguments.validation > len(rows):
            raise SystemExit(f"--images and --validation: expected at most {len(rows)} together; got more.")
        parts = {
            "train": rows.slice(0, arguments.images),
            "validation": rows.slice(len(rows) - arguments.validation),
            "test": pq.read_table(test, columns=["image", "label"]),
        }
        for name, part in parts.items():
            pq.write_table(smaller(part, arguments.side), folder / f"{name}.parquet")

    def training(self, kind: type[TrainingEvaluator], seed: int, **options: Any) -> Any:
        """Return an evaluator of these trainings, whose images are loaded."""
        scale = {"channels": self.arguments.channels, "cells_per_stage": 1}
        common: dict[str, Any] = {
            "epochs": self.arguments.epochs,
            "batch_size": self.arguments.batch,
            "crop": self.arguments.side // 8,
            "flip": True,
            "device": "cpu",
            "scale": scale,
        }
        made = kind(self.space, f"parquet:{self.folder}", seed=seed, **common, **options)
        made.warns = False
        for part in ("train", "validation", "test"):
            made.images.part(part, torch.device("cpu"))
        return made


def smaller(rows: pa.Table, side: int) -> pa.Table:
    """Return PNG images that are averaged to `side` pixels a side, and their labels."""
    images = []
    for encoded in rows["image"].to_pylist():
        buffer = io.BytesIO()
        Image.open(io.BytesIO(encoded)).reduce(SIDE // side).save(buffer, "PNG")
        images.append(buffer.getvalue())
    return pa.table({"image": pa.array(images, pa.binary()), "label": rows["label"]})


def kept_in_process(searcher: ArchitectureSearcher) -> ArchitectureSearcher:
    """Return a searcher whose model, if it has one, is made in this process and not in actors."""
    if isinstance(searcher, SurrogateSearcher):
        pool = RankingInProcess if isinstance(searcher, RankedRandomSearch) else InProcess
        searcher._pool = pool(searcher.surrogate()())  # type: ignore[assignment]  # it has what a stage asks for
    return searcher


def searcher_of(name: str, bench: Bench, evaluator: TimedTraining, seed: int, cache: str) -> ArchitectureSearcher:
    """Return a searcher with its defaults, but for the length of a hypernetwork's training; it proposes one cell at a time."""
    kind = searchers.get(name)
    options: dict[str, Any] = {"batch_size": 1}
    if issubclass(kind, GHNRandomSearch):
        options |= {"steps": bench.arguments.ghn_steps, "rank_candidates": bench.arguments.ghn_rank, "cache": cache}
    if issubclass(kind, RankedRandomSearch):
        options = kind.options_for(evaluator, {**options, "device": "cpu"})
    made = kind(bench.space, seed, **options)
    return kept_in_process(made)


def search(bench: Bench, method: Method, seed: int) -> dict[str, Any]:
    """Return what a search finds in its CPU seconds, and what it spent them on."""
    evaluator, seconds, began = bench.training(TimedTraining, seed), bench.arguments.seconds, time.perf_counter()
    with tempfile.TemporaryDirectory() as cache:
        asked = searcher_of(method.searcher, bench, evaluator, seed, cache)
        scheduler = registry.get(method.scheduler, {}, max_fidelity=bench.arguments.epochs) if method.scheduler else None
        evaluator.start()
        course = run_simulated_clock(asked, evaluator, workers=1, scheduler=scheduler, seconds=seconds)
    found = best_of(course)
    if found is None:
        raise SystemExit(f"--seconds: expected enough for one step of {method}; {seconds:g} are not.")
    scored = [event for event in course if event.action not in ("FAIL", "RESUME")]
    again = retrained(bench, found.evaluation, seed)
    return {
        "found": str(found.evaluation.architecture),
        "fidelity": found.fidelity,
        "validation": 100 * found.score,
        "again": again,
        "test": float(np.mean(again)),
        "started": len({event.number for event in course}),
        "complete": sum(event.action == "COMPLETE" for event in course),
        "epochs_done": sum(max(event.fidelity for event in group) for group in by_candidate(scored)),
        "training_seconds": sum(evaluator.spent),
        "other_seconds": evaluator.clock.total - sum(evaluator.spent),
        "clock_seconds": course[-1].second,
        "wall": time.perf_counter() - began,
    }


def by_candidate(events: Sequence[ClockEvent]) -> list[list[ClockEvent]]:
    ordered = sorted(events, key=lambda event: event.number)
    return [list(group) for _, group in itertools.groupby(ordered, key=lambda event: event.number)]


def best_of(course: Sequence[ClockEvent]) -> Any:
    """Return the event of the candidate that came furthest and has the best score there; None if there is no score."""
    scored = [event for event in course if event.action not in ("FAIL", "RESUME") and math.isfinite(event.score)]
    return max(scored, key=lambda event: (event.fidelity, event.score), default=None)


def retrained(bench: Bench, evaluation: Evaluation, seed: int) -> list[float]:
    """Return the test accuracy (%) of trainings with other seeds, to the end."""
    accuracies = []
    for number in range(bench.arguments.again):
        evaluator = bench.training(TrainingEvaluator, AGAIN + bench.arguments.again * seed + number, report_test=True)
        [trained] = evaluator.evaluate([evaluation.architecture])
        if not trained.ok:
            raise SystemExit(f"{trained.architecture}: {trained.error}")
        accuracies.append(100 * trained.metrics["test_accuracy"])
    return accuracies


def curve_of(bench: Bench, cell: Architecture, seed: int) -> dict[str, Any]:
    """Return the validation accuracies (%) of a training after each epoch, its test accuracy and its CPU seconds."""
    evaluator, started = bench.training(TrainingEvaluator, seed, report_test=True), time.process_time()
    [trained] = evaluator.evaluate([cell])
    if not trained.ok:
        raise SystemExit(f"{cell}: {trained.error}")
    curve = [100 * score for score in trained.curves["step_score"]]
    test = 100 * trained.metrics["test_accuracy"]
    return {"curve": curve, "test": test, "seconds": time.process_time() - started, "text": str(cell)}


def cells(number: int) -> list[Architecture]:
    """Return distinct random cells."""
    space, rng, found = NASBench201(), np.random.default_rng(20_261_130), dict[str, Architecture]()
    while len(found) < number:
        drawn = space.sample(rng)
        found.setdefault(space.key(drawn), drawn)
    return list(found.values())


def settings_of(arguments: Any) -> dict[str, Any]:
    """Return what the trainings depend on, for the identity of rows."""
    return {name: getattr(arguments, name) for name in ("images", "validation", "side", "channels", "batch", "epochs")}


@contextmanager
def made_bench(arguments: Any) -> Iterator[Bench]:
    with tempfile.TemporaryDirectory() as folder:
        yield Bench(arguments, Path(folder))


def measure(script: Script, rows: Rows) -> None:
    """Measure what is not in the file yet; searches seed by seed, so that all methods have equally many."""
    asked, settings = script.arguments, settings_of(script.arguments)
    with made_bench(asked) as bench:
        if asked.part == "length":
            for number, cell in enumerate(cells(asked.cells)):
                for seed in LENGTH_SEEDS:
                    rows.get(
                        lambda cell=cell, seed=seed: curve_of(bench, cell, seed),
                        part="length",
                        settings=settings,
                        cell=number,
                        seed=seed,
                    )
            return
        budget = {**settings, "seconds": asked.seconds, "again": asked.again}
        for seed in script.seeds:
            for name in [each for each in METHODS if each in asked.only]:
                own = {"ghn": [asked.ghn_steps, asked.ghn_rank]} if METHODS[name].searcher == "ghn" else {}
                rows.get(
                    lambda name=name, seed=seed: search(bench, METHODS[name], seed),
                    part="searches",
                    settings={**budget, **own},
                    method=name,
                    seed=seed,
                )


def report(rows: Rows) -> None:
    """Print the tables of both parts, for each of the settings in the file."""
    lengths = rows.select(part="length")
    columns = [
        "images, validation",
        "pixels",
        "channels",
        "batch",
        "epochs",
        "CPU s of a training",
        "cells",
        "validation %: mean, range",
    ]
    columns += [
        "tau of two seeds (95 %)",
        "Spearman's rho",
        "tau with the other seed's end, by epoch",
        "tau with its test images",
    ]
    table(columns, (length_line(found) for found in grouped(lengths, settings)), "Agreement of two seeds")
    for own in grouped(rows.select(part="searches"), budget):
        title = ", ".join(f"{name} {value}" for name, value in own[0]["settings"].items() if name != "ghn")
        base = [row["test"] for row in own if row["method"] == "random"]
        lines = [search_line(name, found, base) for name in METHODS if (found := [row for row in own if row["method"] == name])]
        columns = ["method", "seeds", "candidates, complete", "epochs", "CPU s besides trainings", "best validation %"]
        table([*columns, "test %, trained again", "less random"], lines, title)


def settings(row: Row) -> str:
    return str(row["settings"])


def budget(row: Row) -> str:
    return str({name: value for name, value in row["settings"].items() if name != "ghn"})


def grouped(rows: Sequence[Row], key: Any) -> list[list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return list(found.values())


def length_line(rows: Sequence[Row]) -> list[object]:
    """Return the line of one size and length of trainings; only cells that have both seeds count."""
    by_seed = [{row["cell"]: row for row in rows if row["seed"] == seed} for seed in LENGTH_SEEDS]
    common = sorted(by_seed[0].keys() & by_seed[1].keys())
    asked = rows[0]["settings"]
    shown: list[object] = [
        f"{asked['images']}, {asked['validation']}",
        asked["side"],
        *(asked[name] for name in ("channels", "batch", "epochs")),
    ]
    seconds = np.mean([row["seconds"] for row in rows])
    if len(common) < 3:
        return [*shown, f"{seconds:.1f}", len(common), *[None] * 5]
    first, second = (np.array([own[cell]["curve"] for cell in common]) for own in by_seed)
    tests = [np.array([own[cell]["test"] for cell in common]) for own in by_seed]
    epochs = first.shape[1]
    ends = first[:, -1], second[:, -1]
    drawn = np.random.default_rng(0).integers(len(common), size=(RESAMPLES, len(common)))
    taus = [kendalltau(ends[0][each], ends[1][each]).statistic for each in drawn]
    low, high = np.nanquantile(taus, [0.025, 0.975])
    both = ((first, second, tests[1]), (second, first, tests[0]))
    rungs = [each for each in (1, 2, 3, 4, 6, 9, 12) if each < epochs]
    agreement = ", ".join(
        f"{epoch}: {np.mean([kendalltau(own[:, epoch - 1], other[:, -1]).statistic for own, other, _ in both]):.2f}"
        for epoch in rungs
    )
    return [
        *shown,
        f"{seconds:.1f}",
        len(common),
        f"{np.mean(ends):.1f}, {np.min(ends):.1f} to {np.max(ends):.1f}",
        f"{kendalltau(*ends).statistic:.2f} ({low:.2f} to {high:.2f})",
        f"{spearmanr(*ends).statistic:.2f}",
        agreement,
        f"{np.mean([kendalltau(own[:, -1], test).statistic for own, _, test in both]):.2f}",
    ]


def search_line(name: str, rows: Sequence[Row], base: Sequence[float]) -> list[object]:
    """Return the line of a method."""
    mean = {each: np.mean([row[each] for row in rows]) for each in ("started", "complete", "epochs_done", "validation")}
    others = [row["other_seconds"] for row in rows if "other_seconds" in row]
    tests = [row["test"] for row in rows]
    return [
        name,
        len(rows),
        f"{mean['started']:.0f}, {mean['complete']:.0f}",
        f"{mean['epochs_done']:.0f}",
        f"{np.mean(others):.1f}" if others else None,
        f"{mean['validation']:.2f}",
        average(tests),
        None if name == "random" else difference(tests, base),
    ]


def main() -> None:
    script = Script(__file__, __doc__, seeds=3)
    script.argument("--part", choices=("length", "searches"), default="searches", help="what to measure (default: searches)")
    script.argument("--only", nargs="+", choices=list(METHODS), default=list(METHODS), help="methods (default: all)")
    script.argument("--seconds", type=float, default=60.0, help="CPU seconds of a search (default: 60)")
    script.argument("--images", type=int, default=2000, help="training images (default: 2000)")
    script.argument("--validation", type=int, default=3000, help="validation images (default: 3000)")
    script.argument("--side", type=int, choices=(8, 16, 32), default=8, help="pixels a side (default: 8)")
    script.argument("--channels", type=int, default=4, help="of the first stage (default: 4)")
    script.argument("--batch", type=int, default=32, help="images in a step (default: 32)")
    script.argument("--epochs", type=int, default=9, help="of a whole training (default: 9)")
    script.argument("--cells", type=int, default=12, help="random cells of --part length (default: 12)")
    script.argument("--again", type=int, default=1, help="trainings for the report of what a search has found (default: 1)")
    script.argument("--ghn-steps", type=int, default=60, help="training steps of the hypernetwork (default: 60)")
    script.argument("--ghn-rank", type=int, default=60, help="cells that it ranks (default: 60)")
    script.parse()
    torch.set_num_threads(1)
    script.run(lambda rows: measure(script, rows), report)


if __name__ == "__main__":
    main()
