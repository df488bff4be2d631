"""Figures of a search by a controller: reward and entropy of each update."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from archsearch.platform.report import axes as scales

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def controller_figures(details: Mapping[str, Any]) -> Iterator[tuple[str, Figure, str]]:
    """Yield name, figure and alternative text of each figure of a controller.

    Args:
        details: `ArchitectureSearcher.details`; those of other searchers yield nothing.
    """
    if "updates" not in details:
        return
    course = details["updates"]
    yield (
        "controller",
        learning(course),
        f"Mean reward and entropy of the controller at each update; the last entropy is {course['entropy'][-1]:.2f} nats a gene",
    )


def learning(course: Mapping[str, Any]) -> Figure:
    """Return mean reward and entropy against evaluations.

    Args:
        course: `candidates`, `reward` and `entropy`, `[updates]` each.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    for axes, name, label in ((upper, "reward", "mean reward"), (lower, "entropy", "entropy\n(nats a gene)")):
        axes.plot(course["candidates"], course[name], color="#0072b2", marker="o", markersize=3)
        axes.set(ylabel=label)
        scales.plain(axes)
    lower.set(xlabel="candidates evaluated", ylim=(0.0, None))
    return figure
