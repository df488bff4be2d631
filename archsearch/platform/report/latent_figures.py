"""Figures of an `ngae` search: the latent space of its graph auto-encoder, the training, and the ascents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from archsearch.platform.report import axes as scales

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LINE, _DOT, _WAY = "#0072b2", "#d55e00", "#009e73"


def latent_figures(details: Mapping[str, Any]) -> Iterator[tuple[str, Figure, str]]:
    """Yield name, figure and alternative text of each figure of the last stage of an `ngae` search.

    As in J. Li et al., arXiv 2006.10310: training (figure 3, left), the latent space (figure 3, right), predictions against
    scores (figure 4); and the gradient ascents.

    Args:
        details: `ArchitectureSearcher.details`; those of other searchers yield nothing.
    """
    if "trajectories" not in details:
        return
    yield "training", training(details["history"]), "Reconstruction loss and Kullback-Leibler divergence during the last fit"
    if len(details["scores"]):
        yield (
            "latent_space",
            latent_space(details),
            "Evaluated architectures in the first two principal components of the latent space, coloured by predicted rank; "
            "lines are gradient ascents",
        )
        yield (
            "predicted_rank",
            predicted(details["scores"], details["predicted"]),
            "Predicted rank of the architectures of the last fit, against the rank of their scores",
        )
    yield (
        "ascent",
        ascent(details["objectives"]),
        "Objective along the gradient ascents: median, and band from the 10th to the 90th percentile",
    )


def training(history: Any) -> Figure:
    """Return reconstruction loss and divergence against epochs; `history` is `[epochs, 5]`."""
    figure, axes = _figure()
    epochs = np.arange(1, len(history) + 1)
    axes.plot(epochs, history[:, 0], color=_LINE, label="reconstruction")
    axes.plot(epochs, history[:, 1], color=_DOT, linestyle="--", label="divergence")
    axes.set(xlabel="epoch", ylabel="nats", yscale="log")
    axes.legend()
    scales.counts(axes, len(history))
    return figure


def latent_space(details: Mapping[str, Any]) -> Figure:
    """Return architectures and gradient ascents in the first two principal components of the latent space."""
    figure, axes = _figure()
    points = details["points"][: len(details["predicted"])]
    dots = axes.scatter(points[:, 0], points[:, 1], c=details["predicted"], s=16, cmap="viridis")
    figure.colorbar(dots, ax=axes, label="predicted rank")
    for way in np.moveaxis(details["trajectories"], 1, 0):
        axes.plot(way[:, 0], way[:, 1], color=_WAY, linewidth=0.8)
        axes.plot(*way[-1], marker="o", color=_WAY, markersize=3)
    axes.set(xlabel="first principal component", ylabel="second principal component")
    return figure


def predicted(scores: Any, predictions: Any) -> Figure:
    """Return predicted ranks against the ranks of the scores, `[architectures]` each."""
    figure, axes = _figure()
    axes.scatter(scores, predictions, s=16, color=_LINE)
    axes.axline((0.0, 0.0), slope=1.0, color="#9a9a9a", linewidth=0.8)
    axes.set(xlabel="rank of the score (1 is best)", ylabel="predicted rank")
    return figure


def ascent(objectives: Any) -> Figure:
    """Return the objective against steps; `objectives` is `[3, steps + 1]`: 10th percentile, median, 90th percentile."""
    figure, axes = _figure()
    steps = np.arange(objectives.shape[1])
    axes.fill_between(steps, objectives[0], objectives[2], color=_LINE, alpha=0.2, linewidth=0)
    axes.plot(steps, objectives[1], color=_LINE)
    axes.set(
        xlabel="step of the gradient ascent", ylabel="predicted performance minus weighted complexity\n(standard deviations)"
    )
    return figure


def _figure() -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.add_subplot()
    scales.plain(axes)
    return figure, axes
