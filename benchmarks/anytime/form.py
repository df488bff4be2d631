"""What each scale setting of the space `anytime` gives: the same random networks in the paper's form and in others.

    python -m benchmarks.anytime.form                                    # digits; some minutes on one core
    ARCHSEARCH_DATA=FOLDER python -m benchmarks.anytime.form --dataset cifar10 --side 16 --channels 4 --epochs 4 --networks 1

Random networks are trained with each setting alone and with several together, by the recipe of anytime/comparison.py but for the
epochs. Shown are the area on validation images, up to the last exit of the published MSDNet, and its difference to the paper's
form in pairs. Test images are not looked at, and the networks are none of those that searches report.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any

import numpy as np
import torch

from archsearch.evaluators.training.baseline import trained
from archsearch.spaces.anytime import Anytime
from benchmarks.anytime.comparison import samples
from benchmarks.anytime.search import Searches, arguments_of
from benchmarks.frame import Rows, Script, average, table

TOGETHER = {"relus": 2, "exit_regions": 2, "exit_mean": 20}
FORMS: Mapping[str, Mapping[str, int]] = {
    "paper": {},
    "relus=2": {"relus": 2},
    "exit_regions=2": {"exit_regions": 2},
    "exit_mean=20": {"exit_mean": 20},
    "exit_nodes=20": {"exit_nodes": 20},
    "widening=2": {"widening": 2},
    "relus=2 exit_regions=2 exit_mean=20": TOGETHER,
    "these, exit_nodes=20": {**TOGETHER, "exit_nodes": 20},
    "these, widening=2": {**TOGETHER, "widening": 2},
}
SEED = 77


def measure(script: Script, rows: Rows) -> None:
    """Train what is not in the file yet."""
    searches, arguments = Searches(script), script.arguments
    space = Anytime(nodes=tuple(arguments.nodes), exit_probability=arguments.exit_probability)
    networks = list(islice(samples(space, np.random.default_rng([20_261_201, 0])), arguments.networks))
    for number, network in enumerate(networks):
        for form, settings in FORMS.items():

            def area(network=network, settings=settings) -> dict[str, Any]:  # type: ignore[no-untyped-def]
                plan = space.plan(network, searches.classes, searches.shape[0], channels=arguments.channels, **settings)
                curve = trained(plan, searches.splits, searches.recipe, SEED, device=arguments.device).validation
                return {"valid": curve.auc(searches.budget), "first": curve.budgets[0], "last": curve.accuracies[-1]}

            rows.get(area, form=form, network=number, name=str(network), **identity(script))


def identity(script: Script) -> dict[str, Any]:
    """Return what tells the rows of these images and trainings from others."""
    return {name: getattr(script.arguments, name) for name in ("dataset", "side", "channels", "epochs")}


def report(script: Script, rows: Rows) -> None:
    """Print the areas, and the differences to the paper's form in pairs."""
    found = rows.select(**identity(script))
    paper = {row["network"]: row for row in found if row["form"] == "paper"}
    lines = []
    for form in FORMS:
        own = [row for row in found if row["form"] == form and row["network"] in paper]
        gains = [100 * (row["valid"] - paper[row["network"]]["valid"]) for row in own]
        lines.append(
            [form, len(own), *(average(100 * row[name] for row in own) for name in ("valid", "last")), _gain(form, gains)]
        )
    table(["form", "networks", "area, validation %", "last exit, %", "less the paper's form, points"], lines)


def _gain(form: str, gains: list[float]) -> str:
    return "" if form == "paper" or not gains else average(gains, signed=True)


def main() -> None:
    script = Script(__file__, __doc__)
    arguments_of(script)
    script.argument("--networks", type=int, default=3, help="random networks (default: 3)")
    script.parse()
    torch.set_num_threads(1)
    script.run(lambda rows: measure(script, rows), lambda rows: report(script, rows))


if __name__ == "__main__":
    main()
