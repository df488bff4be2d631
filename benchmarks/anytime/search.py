"""Anytime networks found by searches of equal cost, in a form of the space that can win, beside those designed by hand.

    python -m benchmarks.anytime.search --kinds funnel msdnet resnet ensemble --finalists 1      # digits; ten minutes on one core
    ARCHSEARCH_DATA=FOLDER python -m benchmarks.anytime.search --dataset cifar10 --side 16 --channels 4 --seeds 3 \
        --nodes 6 4 2 --in-degree one_or_two --exit-probability 0.6 --search-epochs 4 --search-images 0.3 --cost 100 \
        --scale channels=4 widening=2 relus=2 exit_regions=4 exit_nodes=20 exit_mean=20 --trained-scale exit_regions=2 \
        --kinds funnel msdnet resnet ensemble --finalists 1                                      # half an hour

Evolution, GATES, evolution whose candidates a scheduler promotes from rung to rung (the funnel), and random search each spend
`--cost` epochs of training on networks of the space `anytime`, scored by the area under the curve of accuracy against MACs on
validation images (`objective="anytime"`). The `--finalists` best of each are trained by the recipe of the baselines, in full; the
best of these by validation is trained again with other seeds, and so is the best of each design. The areas compared are those on
test images, up to the last exit of the published MSDNet with `--channels` channels, for all. `--scale` gives the form and the
width of the searched networks; `--nodes` and `--in-degree` their size and wiring.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from archsearch.cluster.schedulers import registry
from archsearch.cluster.trials.simulated_clock import run_simulated_clock
from archsearch.evaluators import AnytimeCurve, Evaluation, EvaluationSteps, TrainingEvaluator, datasets
from archsearch.evaluators.datasets import Splits
from archsearch.evaluators.training.recipe import Recipe
from archsearch.searchers import GATESEvolution, RandomSearch, RegularizedEvolution
from archsearch.spaces import Architecture
from archsearch.spaces.anytime import Anytime
from benchmarks.anytime.comparison import SHARES, Comparison
from benchmarks.cluster.pool import InProcess
from benchmarks.frame import Row, Script, average, data, difference, table

SEARCHES = ("evolution", "gates", "funnel", "random")
DESIGNS = ("msdnet", "resnet", "ensemble")
CIFAR = "cifar10_train.parquet"
SEARCH_SEED = 100  # of searches and their trainings, so that none of the reported seeds is searched with
_DRAWN = {
    "searched": ("searched", "#d55e00"),
    "msdnet": ("MSDNet", "#0072b2"),
    "resnet": ("residual network with exits", "#009e73"),
    "ensemble": ("ensemble", "#777777"),
}
_CLASSES = {"evolution": RegularizedEvolution, "gates": GATESEvolution, "funnel": RegularizedEvolution, "random": RandomSearch}
_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "evolution": {"population_size": 10, "tournament_size": 4},
    "gates": {"initial": 12, "stage_size": 4},
    "funnel": {"population_size": 10, "tournament_size": 4},
    "random": {},
}


class EpochSteps(EvaluationSteps):
    """A training whose seconds are its epochs, so that the clock of a search counts epochs.

    Args:
        steps: The training.
    """

    def __init__(self, steps: EvaluationSteps) -> None:
        super().__init__(steps.architecture)
        self._steps = steps

    def step(self) -> Evaluation:
        evaluation = self._steps.step()
        self.fidelity = self._steps.fidelity
        return dataclasses.replace(evaluation, seconds=float(self.fidelity))

    def state(self) -> dict[str, Any]:
        return self._steps.state()

    def load_state(self, state: Mapping[str, Any]) -> None:
        self._steps.load_state(state)
        self.fidelity = self._steps.fidelity


class EpochTraining(TrainingEvaluator):
    """Trainings that cost their epochs."""

    def begin(self, architecture: Architecture) -> EpochSteps:  # type: ignore[override]
        return EpochSteps(super().begin(architecture))


class Searches(Comparison):
    """Searches at equal cost, and the trainings of what they found and of the designs.

    Args:
        script: The script, with its arguments.
    """

    def __init__(self, script: Script) -> None:
        arguments = script.arguments
        arguments.steps = arguments.rank = 0  # there is no hypernetwork
        arguments.distillation = arguments.backbone_first = 0.0
        super().__init__(script)
        self.space = Anytime(tuple(arguments.nodes), arguments.in_degree, arguments.exit_probability)
        self.scale = self.space.checked_scale(dict(map(_setting, arguments.scale)))
        changed = dict(map(_setting, getattr(arguments, "trained_scale", None) or ()))
        self.trained_scale = self.space.checked_scale({**self.scale, **changed})
        common = {"dataset": arguments.dataset, "channels": arguments.channels, "recipe": self.recipe.settings()}
        self.settings = common | ({"side": arguments.side} if arguments.side else {})
        form = {"nodes": list(self.space.nodes), "scale": self.scale, "exit_probability": arguments.exit_probability}
        if arguments.in_degree != "one_or_two":
            form["in_degree"] = arguments.in_degree
        names = {"epochs": "search_epochs", "cost": "cost", "images": "search_images"}
        self.search = {key: getattr(arguments, name, None) for key, name in names.items()}
        self.form = self.settings | form | {"search": self.search}
        self.trained_form = self.form | ({"trained_scale": self.trained_scale} if changed else {})

    def loaded(self) -> Splits:
        if self.arguments.dataset == "cifar10":
            return datasets.load(f"parquet:{data(CIFAR) / CIFAR}")
        return super().loaded()

    def identity(self, kind: str) -> dict[str, Any]:
        """Return the settings on which a training depends: those of the space and the search only for what was searched."""
        return self.trained_form if self.is_searched(kind) else self.settings

    @property
    def rows(self) -> list[Row]:
        found = [row for settings in (self.trained_form, self.settings) for row in self.all_rows.select(settings=settings)]
        return [row for row in found if row["kind"] != "search"]

    def row(self, kind: str, name: str, seed: int) -> Row | None:
        identity = {"kind": kind, "seed": seed, "name": name, "settings": self.identity(kind)}
        return self.all_rows.get(lambda: self.trained(kind, name, seed), **identity)

    def is_searched(self, kind: str) -> bool:
        return kind in SEARCHES

    def names(self, kind: str) -> list[str]:
        """Return the finalists of a search, or the designs of a kind."""
        if not self.is_searched(kind):
            return [name for name in self.baselines()[kind] if self.arguments.designs is None or name in self.arguments.designs]
        row = self.all_rows.get(lambda: self.found_by(kind), kind="search", name=kind, seed=SEARCH_SEED, settings=self.form)
        return [] if row is None else [text for text, _, _ in row["finalists"]]

    def found_by(self, name: str) -> dict[str, Any]:
        """Return the best candidates of a search: those that came furthest, by validation."""
        epochs = self.arguments.search_epochs
        searcher: Any = _CLASSES[name](self.space, SEARCH_SEED, batch_size=1, **_OPTIONS[name])
        if isinstance(searcher, GATESEvolution):
            searcher._pool = InProcess(searcher.surrogate()())  # type: ignore[assignment]  # it has what a stage asks for
        scheduler = registry.get("promotion", {"grace_period": 2}, max_fidelity=epochs) if name == "funnel" else None
        recipe = self.recipe.with_changes(epochs=epochs)
        evaluator = self.training(recipe, SEARCH_SEED, images=self.arguments.search_images)
        evaluator.warns = False
        course = run_simulated_clock(searcher, evaluator, workers=1, scheduler=scheduler, seconds=float(self.arguments.cost))
        scored = [event for event in course if event.evaluation is not None and math.isfinite(event.score)]
        reached = {event.number: event for event in scored if event.action not in ("FAIL", "RESUME")}
        best = sorted(reached.values(), key=lambda event: (event.fidelity, event.score), reverse=True)
        finalists = [
            (str(e.evaluation.architecture), e.fidelity, e.score) for e in best[: self.arguments.finalists] if e.evaluation
        ]
        complete = [event.score for event in reached.values() if event.fidelity == epochs]
        return {"finalists": finalists, "candidates": len(reached), "complete": len(complete), "scores": complete}

    def training(self, recipe: Recipe, seed: int, **options: Any) -> TrainingEvaluator:
        common: dict[str, Any] = {"objective": "anytime", "max_budget": self.budget, "device": self.arguments.device}
        scale = self.scale if seed == SEARCH_SEED else self.trained_scale
        return EpochTraining(self.space, self.splits, recipe=recipe, seed=seed, scale=scale, **common, **options)


def _setting(text: str) -> tuple[str, int]:
    name, _, value = text.partition("=")
    if not value.isdigit():
        raise SystemExit(f"--scale: expected NAME=NUMBER, such as exit_regions=2; got {text!r}.")
    return name, int(value)


def compute(searches: Searches, seeds: int) -> None:
    """Search, train the finalists and the designs with seed 0, and the best of each kind by validation with the other seeds."""
    best = dict[str, str]()
    searched = sum(map(searches.is_searched, searches.arguments.kinds))
    for kind in searches.arguments.kinds:
        names = searches.names(kind)
        if len(names) == 1 and (not searches.is_searched(kind) or searched == 1):
            best[kind] = names[0]  # there is nothing to choose
            continue
        first = [row for name in names if (row := searches.row(kind, name, 0)) is not None]
        if first:
            best[kind] = max(first, key=lambda row: row["valid"])["name"]
    for seed in range(1, seeds + 1):
        for kind, name in best.items():
            searches.row(kind, name, seed)


def chosen(rows: list[Row]) -> str | None:
    """Return the search whose finalist is the best by validation with seed 0; random search is none."""
    searched = [row for row in rows if row["kind"] in SEARCHES and row["kind"] != "random"]
    first = [row for row in searched if row["seed"] == 0] or searched
    return max(first, key=lambda row: row["valid"])["kind"] if first else None


def again(rows: list[Row]) -> dict[str, list[Row]]:
    """Return the trainings with the reported seeds by kind."""
    kinds = dict.fromkeys(row["kind"] for row in rows)
    return {kind: [row for row in rows if row["kind"] == kind and row["seed"] > 0] for kind in kinds}


def curves_of(rows: list[Row]) -> list[AnytimeCurve]:
    return [AnytimeCurve.of_exits(*row["test_exits"], row["chance"]) for row in rows]


def report(searches: Searches) -> None:
    """Print the tables."""
    rows, budget = searches.rows, searches.budget
    found = {kind: trained for kind, trained in again(rows).items() if trained}
    lines = []
    for kind in SEARCHES:
        for row in searches.all_rows.select(kind="search", name=kind, settings=searches.form):
            first = [each for each in rows if each["kind"] == kind and each["seed"] == 0]
            shown = [f"{100 * max(each[part] for each in first):.2f}" if first else "" for part in ("valid",)]
            lines.append([kind, row["candidates"], row["complete"], f"{100 * row['finalists'][0][2]:.2f}", *shown])
    title = f"{_title(searches)}, areas on validation images"
    head = ["search", "candidates", "trained in full", "best in the search, validation %", "best finalist, validation %"]
    table(head, lines, title)
    own = chosen(rows)
    shares = [f"test accuracy % at {100 * share:.3g} %" for share in SHARES]
    columns = ["the best of each, trained again", "seeds", "area, test %", "first exit, % of the budget", "last exit", *shares]
    columns.append(f"{own} less this, points")
    lines = []
    for kind, trained in found.items():
        curves = curves_of(trained)
        at = 100 * np.mean([curve.at([share * budget for share in SHARES]) for curve in curves], axis=0)
        areas = [100 * row["test"] for row in trained]
        gain = difference([100 * row["test"] for row in found[own]], areas) if own in found and kind != own else ""
        ends = (f"{100 * curves[0].budgets[end] / budget:.2f}" for end in (0, -1))
        name = f"{kind}, {trained[0]['name']}" if kind in DESIGNS else kind
        lines.append([name, len(trained), average(areas), *ends, *(f"{each:.2f}" for each in at), gain])
    table(columns, lines)
    if own:
        print(f"\nThe best finalist by validation, of {own}: {found[own][0]['name'] if own in found else 'not trained again'}")


def picture(searches: Searches, path: Path) -> None:
    """Write the curves of the found network and of the designs, means of the reported seeds on test images."""
    from matplotlib.figure import Figure

    from archsearch.platform.report.axes import plain
    from archsearch.platform.report.pictures import save_png

    rows, budget = searches.rows, searches.budget
    own, found = chosen(rows), again(rows)
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axes = figure.add_subplot()
    for kind, (name, color) in _DRAWN.items():
        trained = found.get(own or "" if kind == "searched" else kind, [])
        if not trained:
            continue
        curves = curves_of(trained)
        reached = [cost for cost in curves[0].budgets if cost <= budget]
        y = 100 * np.mean([curve.at([*reached, budget]) for curve in curves], axis=0)
        area = 100 * float(np.mean([row["test"] for row in trained]))
        style: dict[str, Any] = {"linewidth": 2.4, "zorder": 4} if kind == "searched" else {"linewidth": 1.5}
        x = np.array([*reached, budget]) / budget * 100
        axes.step(x, y, where="post", color=color, **style)
        axes.plot(x[:-1], y[:-1], "o", color=color, markersize=3.5, label=f"{name} (area {area:.1f} %)")
    axes.set(xscale="log", xlabel="MACs of an image, % of the budget", ylabel="test accuracy, %", title=_title(searches))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    plain(axes)
    axes.legend(frameon=False, fontsize=9.5)
    save_png(figure, path, dpi=110)


def _title(searches: Searches) -> str:
    images = "CIFAR-10 at 16 x 16" if searches.arguments.dataset == "cifar10" else searches.arguments.dataset
    return f"{images}, {searches.budget / 1e6:.2f} M MACs, {searches.recipe.epochs} epochs"


def arguments_of(script: Script) -> None:
    """Add the arguments on which the images, the trainings and the space depend."""
    script.argument("--dataset", default="digits", choices=("digits", "cifar10"))
    script.argument("--side", type=int, help="pixels a side to which images are averaged (default: as they are)")
    script.argument("--channels", type=int, default=8, help="of the MSDNet that ends the areas (default: 8)")
    script.argument("--epochs", type=int, help="of the trainings that are compared (default: those of the dataset's recipe)")
    script.argument("--nodes", type=int, nargs="+", default=[10, 8], help="nodes of each cell (default: 10 8)")
    form = ["channels=8", "relus=2", "exit_regions=2", "exit_mean=20"]
    script.argument("--scale", nargs="+", default=form, metavar="NAME=NUMBER", help=f"default: {' '.join(form)}")
    script.argument("--in-degree", default="one", help="predecessors of a node: one, one_or_two or two (default: one)")
    script.argument("--exit-probability", type=float, default=0.8, help="of a node of a random network (default: 0.8)")
    script.argument("--device", default="cpu")


def main() -> None:
    script = Script(__file__, __doc__)
    arguments_of(script)
    script.argument("--search-epochs", type=int, default=10, help="of a training in a search (default: 10)")
    script.argument("--search-images", type=float, default=1.0, help="share of the training images in a search (default: 1)")
    changed = "changes to --scale for the trainings that are compared (default: none)"
    script.argument("--trained-scale", nargs="+", metavar="NAME=NUMBER", help=changed)
    script.argument("--cost", type=int, default=240, help="epochs of each search (default: 240)")
    script.argument("--finalists", type=int, default=3, help="networks of each search that are trained in full (default: 3)")
    script.argument("--seeds", type=int, default=5, help="further trainings of the best of each kind (default: 5)")
    script.argument("--kinds", nargs="+", choices=(*SEARCHES, *DESIGNS), default=[*SEARCHES, *DESIGNS], help="default: all")
    script.argument("--designs", nargs="+", help="which sizes of the designs to train (default: three of each)")
    script.argument("--picture", type=Path, help="file of a picture of the curves, with --print")
    arguments = script.parse()
    torch.set_num_threads(1)
    searches = Searches(script)

    def shown() -> None:
        report(searches)
        if arguments.picture:
            picture(searches, arguments.picture)

    script.run(lambda rows: compute(searches, arguments.seeds), lambda rows: shown())


if __name__ == "__main__":
    main()
