"""Figures of searches in supernets over the training: weights of operators, rewards of a controller, scores of a population."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from archsearch.platform.report import axes as scales

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999999", "#f0e442")
_STYLES = ("-", "--", ":", "-.")
_COLUMNS, _MOST = 3, 18


def supernet_figures(details: Mapping[str, Any]) -> Iterator[tuple[str, Figure, str]]:
    """Yield name, figure and alternative text of each figure of a search in a supernet.

    Args:
        details: `ArchitectureSearcher.details`; those of other searchers yield nothing.
    """
    if (weights := details.get("operator_weights")) and weights["steps"]:
        text = "Weight of each operator at each place of the supernet, against training steps"
        yield "operator_weights", operator_weights(weights), text
    if (controller := details.get("path_controller")) and controller["steps"]:
        text = "Reward of the controller's paths with its moving mean, and its entropy, against training steps"
        yield "path_controller", controller_figure(controller), text
    if (population := details.get("scored_population")) and population["steps"]:
        text = "Best and mean score of the population with the shared weights, and the means by origin, against training steps"
        yield "scored_population", population_figure(population), text


def operator_weights(weights: Mapping[str, Any]) -> Figure:
    """Return the softmax of the weights against steps, one panel for each gene that chooses among several alternatives.

    Args:
        weights: `steps`, `[points]`; `weights`, `[points, alternatives of all genes]`; `genes`, their names; and
            `alternatives`, a list for each gene. The first 18 genes are drawn.
    """
    from matplotlib.figure import Figure

    table, steps = np.array(weights["weights"]), weights["steps"]
    shown: list[tuple[str, list[str], Any]] = []
    start = 0
    for gene, alternatives in zip(weights["genes"], weights["alternatives"], strict=True):
        part = table[:, start : start + len(alternatives)]
        start += len(alternatives)
        if len(alternatives) > 1 and len(shown) < _MOST:
            shown.append((gene, alternatives, part))
    columns = min(_COLUMNS, len(shown))
    rows = -(-len(shown) // columns)
    figure = Figure(figsize=(3.2 * columns, 2.3 * rows + 0.6), layout="constrained")
    colours: dict[str, tuple[str, str]] = {}
    for place, (gene, alternatives, part) in enumerate(shown):
        axes = figure.add_subplot(rows, columns, place + 1)
        scales.plain(axes)
        for alternative, values in zip(alternatives, part.T, strict=True):
            number = len(colours)
            colour, style = colours.setdefault(
                alternative, (_COLOURS[number % len(_COLOURS)], _STYLES[number // len(_COLOURS) % len(_STYLES)])
            )
            axes.plot(steps, values, color=colour, linestyle=style, linewidth=1.2, label=alternative)
        axes.set_title(gene, fontsize=9)
        axes.set_ylim(0.0, max(0.5, 1.05 * float(part.max())))
        axes.set(xlabel="step", ylabel="" if place % columns else "softmax of its weight")
    handles = {label: handle for axes in figure.axes for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=5, fontsize=8, frameon=False)
    return figure


def controller_figure(controller: Mapping[str, Any]) -> Figure:
    """Return rewards, their moving mean, and entropy (nats) against steps, `[points]` each."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 5.4), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    for axes in (above, below):
        scales.plain(axes)
    above.plot(controller["steps"], controller["reward"], color=_COLOURS[0], linewidth=1.0, label="mean reward of a step")
    above.plot(controller["steps"], controller["baseline"], color=_COLOURS[1], linestyle="--", label="moving mean")
    above.set_ylabel("accuracy on a batch")
    above.legend(frameon=False)
    below.plot(controller["steps"], controller["entropy"], color=_COLOURS[2])
    below.set(xlabel="step", ylabel="entropy (nats)")
    below.set_ylim(bottom=0.0)
    return figure


def population_figure(population: Mapping[str, Any]) -> Figure:
    """Return the scores of a population against steps.

    Args:
        population: `steps`, and `best`, `mean`, and the means `kept`, `improved` and `random` by origin, `[scorings]` each, None
            where there are none.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.subplots()
    scales.plain(axes)
    labels = {"best": "best", "mean": "mean", "kept": "kept ones", "improved": "improved ones", "random": "random ones"}
    for (name, label), colour in zip(labels.items(), _COLOURS, strict=False):
        values = np.array(population[name], dtype=np.float64)
        axes.plot(population["steps"], values, color=colour, marker="o", markersize=3, label=label)
    axes.set(xlabel="step", ylabel="score with shared weights")
    axes.legend(frameon=False)
    return figure
