"""How well surrogates rank cells after what successive halving leaves them: many scores after few epochs, few after many.

    ARCHSEARCH_DATA=FOLDER python -m benchmarks.fidelity.predictors
    ARCHSEARCH_DATA=FOLDER python -m benchmarks.fidelity.predictors --sizes 180,60,20,7 --seeds 5

The folder holds nasbench101.parquet, of which 30,001 rows have validation accuracies after 4, 12, 36 and 108 epochs. Of the first
size of cells, drawn at random, the best go on to the next number of epochs, and so on. Each way of learning gets these scores
and predicts 3,000 other cells, whose accuracies after 108 epochs are the truth. Columns: Kendall's tau over all of them, over
the best fifth of them, and the mean accuracy of the 20 cells that are predicted to be best, which a search would train next.
The scores are those of trainings of their own for each number of epochs, whose learning rate falls to zero, not of one curve.

Ways of learning:
    complete    the same number of epochs in complete trainings of random cells
    highest     the scores at the highest rung that at least ten cells reached
    order       one order: more epochs above fewer, then the score
    within      the order within each rung, all rungs with the same weight (x1), or with a weight that doubles (x2) or quadruples
                (x4) from rung to rung
    heads       as within x1, with a head for each rung on a shared encoder; the mean of the standardised predictions of all heads
    input       as within x2, with the rung as a further input of the head; the prediction for the highest rung
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from archsearch.evaluators import Predictor, metrics
from archsearch.evaluators.predictors.gaussian_process import GaussianProcess
from archsearch.evaluators.predictors.head import Head
from archsearch.evaluators.predictors.losses import hinge
from archsearch.evaluators.predictors.pairs import Pairs
from archsearch.evaluators.predictors.population import Population
from archsearch.evaluators.predictors.predictor import ENCODERS
from archsearch.evaluators.predictors.settings import settings_of
from archsearch.evaluators.predictors.stacked import FlatParameters
from archsearch.evaluators.predictors.structure import Structured
from archsearch.searchers.fitness import places
from archsearch.spaces.nasbench101.space import NASBench101
from benchmarks.frame import Rows, Script, average, data, table

EPOCHS = (4, 12, 36, 108)
COLUMNS = ("valid_acc_run_e4", "valid_acc_run_e12", "valid_acc_run_e36", "valid_acc_run")
TESTED = 3000
CHOSEN = 20
ENOUGH = 10
METHODS = ("complete", "highest", "order", "within x1", "within x2", "within x4", "heads", "input", "gp highest", "gp order")
Vector = NDArray[np.float64]
Index = NDArray[np.int64]


class Bench:
    """The cells with learning curves.

    Attributes:
        scores: `[cells, rungs]`, percent.
    """

    def __init__(self) -> None:
        found = pq.read_table(data("nasbench101.parquet") / "nasbench101.parquet")
        columns = [found[name].to_numpy().astype(np.float64) for name in COLUMNS]
        known = np.flatnonzero(np.all(np.isfinite(columns), axis=0))
        self.space = NASBench101()
        self.scores = np.stack([column[known] for column in columns], axis=1)
        operators = np.array(found["ops"].take(known).to_pylist(), dtype=np.int64)
        self.graphs = self.space.encode_adjacency(found["adjacency"].to_numpy()[known], operators)
        self.population = Predictor(self.space).prepare(self.graphs)
        self.paths = GaussianProcess(self.space).prepare(self.graphs)


class Course:
    """The scores that successive halving leaves, and the cells to predict.

    Args:
        bench: The cells.
        sizes: Number of cells that come to each rung.
        seed: Seed of the draw.
    """

    def __init__(self, bench: Bench, sizes: Sequence[int], seed: int) -> None:
        order = np.random.default_rng(1000 + seed).permutation(len(bench.scores))
        self.tested, self.others = order[:TESTED], order[TESTED:]
        self.rungs = [self.others[: sizes[0]]]
        for rung, size in enumerate(sizes[1:]):
            best = np.argsort(-bench.scores[self.rungs[-1], rung], kind="stable")
            self.rungs.append(self.rungs[-1][best[:size]])
        longest = [epochs - before for before, epochs in pairwise((0, *EPOCHS))]
        self.epochs = sum(size * more for size, more in zip(sizes, longest, strict=False))

    def rows(self, bench: Bench) -> tuple[Index, Index, Vector]:
        """Return cell, rung and score of each score."""
        cells = np.concatenate(self.rungs)
        rungs = np.concatenate([np.full(len(each), rung) for rung, each in enumerate(self.rungs)])
        return cells, rungs, bench.scores[cells, rungs]


class SharedEncoder:
    """A GATES encoder whose head, or heads, learn the order within rungs; for what `Predictor` does not offer.

    Args:
        seed: Seed of weights, dropout and pairs.
        population: The cells, for the form of their graphs.
        rungs: Number of rungs.
        growth: Factor of the weight from rung to rung.
        heads: Whether each rung has a head of its own.
        inputs: Whether the head reads the rung.
    """

    def __init__(
        self, seed: int, population: Population, rungs: int, *, growth: float = 1.0, heads: bool = False, inputs: bool = False
    ) -> None:
        self.settings, self.rungs, self.inputs, self.by_head = settings_of("default", population.form), rungs, inputs, heads
        self.growth = growth
        self.generators = [torch.Generator().manual_seed(seed)]
        encoder = ENCODERS["gates"](population.form)(population.form, self.settings, self.generators)
        self.encoder = Structured(encoder, population.form)
        width = self.encoder.features + (rungs if inputs else 0)
        number = rungs if heads else 1
        self.heads = torch.nn.ModuleList(
            Head(width, self.settings.head, self.settings.dropout, self.generators) for _ in range(number)
        )

    def fit(self, cells: Population, rungs: Index, scores: Vector) -> SharedEncoder:
        model = torch.nn.ModuleList([self.encoder, self.heads])
        parameters = FlatParameters(model)
        optimizer = torch.optim.Adam([parameters.flat], lr=self.settings.learning_rate)
        precomputed = self.encoder.precompute(*(tensor.unsqueeze(0) for tensor in cells.tensors))
        own = [torch.tensor(np.flatnonzero(rungs == rung)) for rung in range(self.rungs)]
        targets = [torch.tensor(scores[each.numpy()], dtype=torch.float32)[None] for each in own]
        pairs = [Pairs(each, self.settings.pairs) for each in targets]
        weights = np.array([self.growth**rung for rung in range(self.rungs)])
        model.train()
        for _ in range(self.settings.epochs):
            vectors = self.encoder(*precomputed)
            total = torch.zeros(1)
            for rung, (rows, some, weight) in enumerate(zip(own, pairs, weights / weights.sum(), strict=True)):
                predicted = self._scored(vectors[:, rows], rung)
                worse, better, shares = some.draw(self.generators)
                gaps = predicted.gather(1, better) - predicted.gather(1, worse)
                total = total + weight * hinge(gaps, shares, self.settings.margin)
            parameters.derive(total.sum())
            optimizer.step()
        model.eval()
        return self

    @torch.inference_mode()
    def predict(self, cells: Population) -> Vector:
        """Return the mean of the standardised predictions of all heads, or that of one head for the highest rung."""
        found = [self.encoder(*self.encoder.precompute(*tensors)) for tensors in cells.chunks(512)]
        each = []
        for rung in range(self.rungs) if self.by_head else [self.rungs - 1]:
            raw = torch.cat([self._scored(vectors, rung) for vectors in found], dim=1)[0].double().numpy()
            each.append((raw - raw.mean()) / max(float(raw.std()), 1e-12))
        mean: Vector = np.mean(each, axis=0)
        return mean

    def _scored(self, vectors: torch.Tensor, rung: int) -> torch.Tensor:
        if self.inputs:
            marks = torch.nn.functional.one_hot(torch.tensor(rung), self.rungs).to(vectors).expand(*vectors.shape[:2], -1)
            vectors = torch.cat([vectors, marks], dim=2)
        scored: torch.Tensor = self.heads[rung if self.by_head else 0](vectors)
        return scored


def predictions(method: str, bench: Bench, course: Course, seed: int) -> Vector:
    """Return what a way of learning predicts for the tested cells."""
    cells, rungs, scores = course.rows(bench)
    known, tested = bench.population, bench.population[course.tested]
    process = GaussianProcess(bench.space, seed)
    predictor = Predictor(bench.space, seed=seed)
    first = course.rungs[0]
    reached = np.array([np.count_nonzero(cells == cell) - 1 for cell in first])
    last = bench.scores[first, reached]
    ordered = places(last, [None if rung == len(EPOCHS) - 1 else int(EPOCHS[rung]) for rung in reached])
    highest = max(rung for rung, each in enumerate(course.rungs) if len(each) >= ENOUGH)
    top, top_scores = course.rungs[highest], bench.scores[course.rungs[highest], highest]
    shared = partial(SharedEncoder, seed, known, len(course.rungs))
    whole = np.random.default_rng(seed).choice(course.others, max(2, round(course.epochs / EPOCHS[-1])), replace=False)
    ways: Mapping[str, Callable[[], Vector]] = {
        "complete": lambda: predictor.fit(known[whole], bench.scores[whole, -1]).predict(tested),
        "highest": lambda: predictor.fit(known[top], top_scores).predict(tested),
        "order": lambda: predictor.fit(known[first], ordered).predict(tested),
        "within x1": lambda: shared().fit(known[cells], rungs, scores).predict(tested),
        "within x2": lambda: predictor.fit(known[cells], scores, rungs=rungs).predict(tested),
        "within x4": lambda: shared(growth=4.0).fit(known[cells], rungs, scores).predict(tested),
        "heads": lambda: shared(heads=True).fit(known[cells], rungs, scores).predict(tested),
        "input": lambda: shared(growth=2.0, inputs=True).fit(known[cells], rungs, scores).predict(tested),
        "gp highest": lambda: process.fit(bench.paths[top], top_scores).predict(bench.paths[course.tested]),
        "gp order": lambda: process.fit(bench.paths[first], ordered).predict(bench.paths[course.tested]),
    }
    return ways[method]()


def measure(method: str, bench: Bench, sizes: Sequence[int], seed: int) -> dict[str, Any]:
    """Return how well a way of learning predicts."""
    course = Course(bench, sizes, seed)
    started = time.process_time()
    predicted = predictions(method, bench, course, seed)
    seconds, truth = time.process_time() - started, bench.scores[course.tested, -1]
    best = truth >= np.quantile(truth, 0.8)
    chosen = truth[np.argsort(-predicted, kind="stable")[:CHOSEN]]
    return {
        "tau": metrics.kendall_tau(truth, predicted),
        "tau_of_best": metrics.kendall_tau(truth[best], predicted[best]),
        "chosen_mean": float(chosen.mean()),
        "chosen_best": float(chosen.max()),
        "epochs_paid": course.epochs,
        "cpu_seconds": seconds,
    }


def report(rows: Rows) -> None:
    """Print a table for each list of sizes."""
    columns = ("way of learning", "seeds", "tau", "tau of the best fifth", f"mean of the {CHOSEN} chosen (%)", "CPU s")
    for sizes in sorted({row["sizes"] for row in rows.all()}):
        lines = []
        for method in METHODS:
            found = rows.select(sizes=sizes, method=method)
            if found:
                lines.append(
                    [
                        method,
                        len(found),
                        average((row["tau"] for row in found), 3),
                        average((row["tau_of_best"] for row in found), 3),
                        average(row["chosen_mean"] for row in found),
                        f"{np.median([row['cpu_seconds'] for row in found]):.1f}",
                    ]
                )
        table(columns, lines, title=f"{sizes} cells at {', '.join(map(str, EPOCHS))} epochs")


def main() -> None:
    script = Script(__file__, __doc__, seeds=10)
    script.argument("--sizes", default="60,20,7,2", help="number of cells at each rung (default: 60,20,7,2)")
    script.argument("--methods", nargs="+", default=list(METHODS), choices=METHODS, help="only these")
    arguments = script.parse()
    torch.set_num_threads(1)
    sizes = [int(each) for each in arguments.sizes.split(",")]
    held: list[Bench] = []

    def measured(method: str, seed: int) -> dict[str, Any]:
        if not held:
            held.append(Bench())
        return measure(method, held[0], sizes, seed)

    def run(rows: Rows) -> None:
        for seed in script.seeds:
            for method in arguments.methods:
                rows.get(partial(measured, method, seed), sizes=arguments.sizes, method=method, seed=seed)

    script.run(run, report)


if __name__ == "__main__":
    main()
