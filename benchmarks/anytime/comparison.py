"""Anytime networks at one maximum budget: chosen by a graph hypernetwork, drawn at random, and designed by hand.

    python -m benchmarks.anytime.comparison             # digits; about an hour on one core, in pieces
    python -m benchmarks.anytime.comparison --dataset parquet:FOLDER/cifar10_train.parquet --channels 16 --steps 5000 \
        --device cuda
    python -m benchmarks.anytime.comparison --dataset parquet:FOLDER/cifar10_train.parquet --side 16 --channels 4 --epochs 4 \
        --steps 400 --rank 150 --seeds 3                # CIFAR-10 at a size for processors; about an hour on one core

After section 5.2 of the GHN paper (C. Zhang, M. Ren, R. Urtasun, ICLR 2019), figures 3 and 4. A hypernetwork ranks random
networks of the space `anytime` by the area under their curve of accuracy against MACs; the first ten are trained, and so are
ten random ones. Multi-scale dense networks, residual networks with exits and ensembles of small networks are trained with the
same recipe, three sizes of each, as wide as the budget allows. Areas end at the last exit of the published multi-scale dense
network with the channels of the candidates. The best of each kind by validation is trained again with other seeds; the areas
compared are those on test images.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch.nn.functional import avg_pool2d

from archsearch.evaluators import GHN, AnytimeCurve, TrainingEvaluator, datasets
from archsearch.evaluators.baselines import ensemble_plan, msdnet_plan, resnet_plan
from archsearch.evaluators.datasets import Splits
from archsearch.evaluators.pareto import pareto_front
from archsearch.evaluators.score_objective import default_max_budget
from archsearch.evaluators.training.baseline import trained as trained_baseline
from archsearch.evaluators.training.recipe import Recipe, default_recipe
from archsearch.spaces import Architecture
from archsearch.spaces.anytime import Anytime
from archsearch.spaces.exits import exit_costs
from archsearch.spaces.plan import Plan
from benchmarks.frame import Row, Script, average, difference, table

SEARCHED = ("ghn", "random")
TRAINED = 10  # networks of each of them
KINDS = (*SEARCHED, "msdnet", "resnet", "ensemble")
SHARES = (0.05, 0.1, 0.25, 0.5, 1.0)  # of the maximum budget


class Comparison:
    """Data, recipe and budget that all trainings share, and their rows in the file.

    Args:
        script: The script, with its arguments.
    """

    def __init__(self, script: Script) -> None:
        arguments = script.arguments
        self.arguments, self.space, self.all_rows = arguments, Anytime(), script.rows
        self.scale = {"channels": arguments.channels}  # of the candidates
        self.splits: Splits = smaller(self.loaded(), arguments.side)
        changes: dict[str, Any] = {"epochs": arguments.epochs} if arguments.epochs else {}
        changes |= {"distillation": arguments.distillation, "backbone_first": arguments.backbone_first}
        self.recipe: Recipe = default_recipe(arguments.dataset).with_changes(**changes)
        self.shape, self.classes = self.splits.train.shape, self.splits.train.num_classes
        self.budget = default_max_budget(self.shape, self.classes, {"channels": arguments.channels})
        self.settings = {
            "dataset": arguments.dataset,
            "channels": arguments.channels,
            "recipe": self.recipe.settings(),
            "ghn": [arguments.steps, arguments.rank],
            **({"side": arguments.side} if arguments.side else {}),
        }

    def loaded(self) -> Splits:
        """Return the images at their size."""
        return datasets.load(self.arguments.dataset)

    @property
    def rows(self) -> list[Row]:
        """Rows of these settings."""
        return self.all_rows.select(settings=self.settings)

    def row(self, kind: str, name: str, seed: int) -> Row | None:
        """Return the row of a training, which is made if it is not there yet."""
        return self.all_rows.get(partial(self.trained, kind, name, seed), kind=kind, seed=seed, name=name, settings=self.settings)

    def is_searched(self, kind: str) -> bool:
        """Whether the networks of this kind are architectures of the space, and not designs."""
        return kind in SEARCHED

    def trained(self, kind: str, name: str, seed: int) -> dict[str, Any]:
        """Return areas and exits of a training, on validation and test images."""
        started = time.perf_counter()
        curves = self.searched(name, seed) if self.is_searched(kind) else self.designed(kind, name, seed)
        found = {"chance": curves[0].chance, "seconds": time.perf_counter() - started}
        for part, curve in zip(("valid", "test"), curves, strict=True):
            found |= {part: curve.auc(self.budget), f"{part}_exits": [list(curve.budgets), list(curve.accuracies)]}
        return found

    def searched(self, text: str, seed: int) -> tuple[AnytimeCurve, AnytimeCurve]:
        evaluator = self.training(self.recipe, seed, report_test=True)
        [found] = evaluator.evaluate([self.space.parse(text)])
        if not found.ok:
            raise SystemExit(f"{text}: {found.error}")
        macs, chance = found.curves["exit_macs"], evaluator.chance
        valid, test = (AnytimeCurve.of_exits(macs, found.curves[f"{part}exit_accuracy"], chance) for part in ("", "test_"))
        return valid, test

    def training(self, recipe: Recipe, seed: int, **options: Any) -> TrainingEvaluator:
        """Return an evaluator of the space's networks by their area up to the common budget."""
        common: dict[str, Any] = {"objective": "anytime", "max_budget": self.budget, "device": self.arguments.device}
        return TrainingEvaluator(self.space, self.splits, recipe=recipe, seed=seed, scale=self.scale, **common, **options)

    def designed(self, kind: str, name: str, seed: int) -> tuple[AnytimeCurve, AnytimeCurve]:
        found = trained_baseline(self.baselines()[kind][name], self.splits, self.recipe, seed, device=self.arguments.device)
        return found.validation, found.test

    def baselines(self) -> dict[str, dict[str, Plan]]:
        """Return networks that were designed by hand, three of each kind, by their names."""
        multi_scale = {"base 4, step 2": (7, 4, 2), "base 1, step 2": (8, 1, 2), "base 1, step 1": (8, 1, 1)}
        return {
            "msdnet": {name: self.widest(partial(self.msdnet, *sizes)) for name, sizes in multi_scale.items()},
            "resnet": {f"{blocks} blocks a stage": self.widest(partial(self.resnet, blocks)) for blocks in (1, 2, 4)},
            "ensemble": {f"{members} networks": self.widest(partial(self.ensemble, members)) for members in (3, 5, 8)},
        }

    def widest(self, make: Callable[[int], Plan]) -> Plan:
        """Return the widest network whose last exit keeps the budget."""
        width = 1
        while exit_costs(make(width + 1), self.shape)[-1].macs <= self.budget:
            width += 1
        return make(width)

    def msdnet(self, exits: int, base: int, step: int, width: int) -> Plan:
        return msdnet_plan(self.classes, self.shape[0], exits=exits, base=base, step=step, channels=width)

    def resnet(self, blocks: int, width: int) -> Plan:
        return resnet_plan(self.classes, self.shape[0], blocks=blocks, channels=width)

    def ensemble(self, members: int, width: int) -> Plan:
        plain = {"blocks": 1, "exit_every": 3}
        widths = (width + 2 * number for number in range(members))
        return ensemble_plan([resnet_plan(self.classes, self.shape[0], channels=each, **plain) for each in widths])

    def names(self, kind: str) -> list[str]:
        """Return the networks of a kind: text forms of architectures, or names of designs."""
        if kind in SEARCHED:
            return self.ranked() if kind == "ghn" else [str(architecture) for architecture in self.drawn(0, TRAINED)]
        return list(self.baselines()[kind])

    def drawn(self, seed: int, number: int) -> list[Architecture]:
        rng = np.random.default_rng([20_181_014, seed])
        return list(islice(samples(self.space, rng), number))

    def ranked(self) -> list[str]:
        """Return the networks that the hypernetwork ranks first; training and ranking are kept beside the file."""
        folder = self.arguments.out.with_suffix("")
        digest = hashlib.blake2b(json.dumps(self.settings, sort_keys=True).encode(), digest_size=4).hexdigest()
        found = folder / f"{digest}.json"
        if not found.exists():
            folder.mkdir(parents=True, exist_ok=True)
            ghn = GHN(self.space, self.splits, 0, scale=self.scale, objective="anytime", device=self.arguments.device)
            ghn.fit(self.arguments.steps, checkpoint=folder / f"{digest}.pt")
            scores = [each for each in ghn.evaluate(self.drawn(1, self.arguments.rank)) if each.ok]
            best = sorted(scores, key=lambda each: -each.score)[:TRAINED]
            found.write_text(json.dumps([str(each.architecture) for each in best]))
        names: list[str] = json.loads(found.read_text())
        return names


def smaller(splits: Splits, side: int | None) -> Splits:
    """Return images that are averaged to `side` pixels a side; None leaves them as they are."""
    if side is None:
        return splits
    window = splits.train.shape[1] // side
    pooled = (avg_pool2d(part.images.float(), window).round().to(torch.uint8) for part in splits)
    return Splits(*(replace(part, images=images) for part, images in zip(splits, pooled, strict=True)))


def samples(space: Anytime, rng: np.random.Generator) -> Iterator[Architecture]:
    """Yield random networks without end."""
    while True:
        yield space.sample(rng)


def compute(comparison: Comparison, seeds: int) -> None:
    """Train all networks with one seed, and the best of each kind with the others."""
    for kind in comparison.arguments.kinds:
        first = [row for name in comparison.names(kind) if (row := comparison.row(kind, name, 0)) is not None]
        if not first:
            continue
        best = max(first, key=lambda row: row["valid"])["name"]
        for seed in range(1, seeds + 1):
            comparison.row(kind, best, seed)


def report(comparison: Comparison) -> None:
    """Print the tables."""
    rows = comparison.rows
    kinds = {kind: [row for row in rows if row["kind"] == kind] for kind in dict.fromkeys(row["kind"] for row in rows)}
    first = {kind: [row for row in found if row["seed"] == 0] for kind, found in kinds.items()}
    budget = comparison.budget
    lines = []
    for kind, found in first.items():
        best = max(found, key=lambda row: row["valid"])
        means = (average(100 * row[part] for row in found) for part in ("valid", "test"))
        lines.append([kind, len(found), *means, f"{100 * best['test']:.2f}"])
    title = f"{comparison.arguments.dataset}, areas up to {budget / 1e6:.3g} M MACs"
    table(["networks", "trained", "mean area, validation %", "mean area, test %", "best by validation, test %"], lines, title)
    if set(SEARCHED) <= set(kinds):
        gain = difference(*([100 * row["test"] for row in first[kind]] for kind in SEARCHED))
        print(f"\nChosen less random, points of area (95 % interval): {gain}.")
    shares = [f"test accuracy % at {100 * share:.3g} % of the budget" for share in SHARES]
    columns = ["the best of each", "seeds", "area, test %", "with improving exits", "last exit, M MACs", *shares]
    again = {kind: [row for row in found if row["seed"] > 0] for kind, found in kinds.items()}
    table(columns, (again_line(kind, found, budget) for kind, found in again.items() if found))


def again_line(kind: str, rows: list[Row], budget: float) -> list[str]:
    """Return the line of a network that was trained with several seeds."""
    curves = [AnytimeCurve.of_exits(row["test_exits"][0], row["test_exits"][1], row["chance"]) for row in rows]
    accuracies = 100 * np.mean([curve.at([share * budget for share in SHARES]) for curve in curves], axis=0)
    areas = average(100 * row["test"] for row in rows), average(100 * improving(row).auc(budget) for row in rows)
    shown = [f"{accuracy:.2f}" for accuracy in accuracies]
    return [kind, str(len(rows)), *areas, f"{curves[0].budgets[-1] / 1e6:.3g}", *shown]


def improving(row: Row) -> AnytimeCurve:
    """Return the curve on test images of the exits that were better on validation images than each cheaper one."""
    (budgets, accuracies), better = row["test_exits"], pareto_front(*row["valid_exits"])
    return AnytimeCurve.of_exits([budgets[each] for each in better], [accuracies[each] for each in better], row["chance"])


def main() -> None:
    script = Script(__file__, __doc__)
    script.argument("--dataset", default="digits", help="as datasets.load takes it (default: digits)")
    script.argument("--side", type=int, help="pixels a side to which images are averaged (default: as they are)")
    script.argument("--channels", type=int, default=8, help="of the candidates (default: 8)")
    script.argument("--epochs", type=int, help="of each training (default: those of the dataset's recipe)")
    script.argument("--distillation", type=float, default=0.0, help="share of the losses of earlier exits, of all networks")
    script.argument("--backbone-first", type=float, default=0.0, help="share of the epochs in which the last exit learns alone")
    script.argument("--steps", type=int, default=1500, help="of the hypernetwork (default: 1500)")
    script.argument("--rank", type=int, default=300, help="random networks that it ranks (default: 300)")
    script.argument("--seeds", type=int, default=5, help="further trainings of the best of each kind (default: 5)")
    script.argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS), help="what to train (default: all)")
    script.argument("--device", default="auto")
    arguments = script.parse()
    torch.set_num_threads(1)
    comparison = Comparison(script)
    script.run(lambda rows: compute(comparison, arguments.seeds), lambda rows: report(comparison))


if __name__ == "__main__":
    main()
