"""The card of a trained hypernetwork: what it learned, how it ranks a table, and what it must not be used for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from archsearch.evaluators.ghn.ghn import GHN
from archsearch.evaluators.metrics import bootstrap_interval, kendall_tau
from archsearch.evaluators.tabular import TabularEvaluator
from archsearch.searchers.surrogate.rank_sum import rank_sum

if TYPE_CHECKING:
    from archsearch.searchers.pretrained_ghn import PretrainedGHN

_CELLS, _SEED, _RESAMPLES = 200, 20_190_506, 200
_NOT_FOR = """\
## What it must not be used for

- Another space, size of networks, shape of images or number of classes: `--set hypernetwork=...` refuses them.
- Its figures are no accuracies: candidates with generated weights are far from trained. They only rank.
- Other images of the same shape: it runs on them, but learned nothing of them, and what it ranks there is not measured.
- Weights to begin a training with: trainings from generated weights ended below those from random ones.
"""


def card(recipe: PretrainedGHN, folder: Path, ghn: GHN, table: TabularEvaluator | None = None) -> str:
    """Return the card as Markdown.

    Args:
        recipe: How it was trained.
        folder: Its folder.
        ghn: The trained hypernetwork.
        table: Trained scores to compare with; None takes `digits201` for cells of NAS-Bench-201 and digits.
    """
    shape = " x ".join(map(str, ghn.images.input_shape))
    size = ", ".join(f"{name} {value}" for name, value in ghn.scale.items())
    found = table if table is not None else _fitting(recipe)
    parts = [
        f"# A graph hypernetwork for {recipe.space}",
        f"It generates weights for networks of the space `{recipe.space}` ({size}), so that candidates can be ranked without "
        f"training them (C. Zhang et al., ICLR 2019, arXiv 1810.05749):\n\n    archsearch run --space {recipe.space} --dataset "
        f"{recipe.dataset} --searcher ghn --set hypernetwork={folder}",
        "## What it learned",
        f"`{recipe.dataset}`: {len(ghn.images.splits.train):,} training images of {shape} (channels x height x width), "
        f"{ghn.images.num_classes} classes; {recipe.steps:,} steps of {ghn.ghn_settings.batch_size} images in each of "
        f"{recipe.workers} process(es), seed {recipe.seed}, weights {ghn.settings()['weights']}. Trained anew by\n\n"
        f"    {recipe.command(folder)}",
        "## How it ranks",
        _ranking(ghn, found) if found is not None else "Not compared: no table of trained scores was given (`--table`).",
        _NOT_FOR,
    ]
    return "\n\n".join(parts)


def _fitting(recipe: PretrainedGHN) -> TabularEvaluator | None:
    if recipe.space == "nasbench201" and recipe.dataset == "digits":
        return TabularEvaluator.embedded("digits201")
    return None


def _ranking(ghn: GHN, table: TabularEvaluator) -> str:
    """Return a table of Kendall's tau with the scores of random architectures of a table, and on the better half of them."""
    texts = table.architectures
    chosen = np.random.default_rng(_SEED).permutation(len(texts))[:_CELLS]
    cells = [table.space.parse(texts[at]) for at in chosen]
    truth = np.array([each.score for each in table.evaluate(cells)])
    scored = ghn.evaluate(cells)
    figures = {
        "loss": np.array([-each.metrics["valid_loss"] if each.ok else np.nan for each in scored]),
        "number of parameters": np.array([float(ghn.space.cost(each, **ghn.cost_arguments).params) for each in cells]),
    }
    figures["both, as ranks"] = rank_sum(list(figures.values()))
    better = truth >= np.median(truth)
    lines = []
    for name, values in figures.items():
        known = np.isfinite(values)
        whole, half = (
            bootstrap_interval(kendall_tau, truth[rows & known], values[rows & known], np.random.default_rng(_SEED), _RESAMPLES)
            for rows in (np.ones_like(better), better)
        )
        shown = " | ".join(f"{each.value:.2f} ({each.low:.2f} to {each.high:.2f})" for each in (whole, half))
        lines.append(f"| {name} | {shown} |")
    return (
        f"Kendall's tau with `{table.name}` on {len(cells)} random architectures, and on their better half; 95 % intervals.\n\n"
        "| ranked by | all | better half |\n| --- | --- | --- |\n" + "\n".join(lines)
    )
