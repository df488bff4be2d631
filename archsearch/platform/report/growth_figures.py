"""Figures of a progressive search: sizes of the evaluated architectures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from archsearch.platform.report import axes as scales

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def growth_figures(details: Mapping[str, Any]) -> Iterator[tuple[str, Figure, str]]:
    """Yield name, figure and alternative text of each figure of a progressive search.

    Args:
        details: `ArchitectureSearcher.details`; those of other searchers yield nothing.
    """
    if "sizes" not in details:
        return
    sizes = details["sizes"]
    numbers = ", ".join(f"{count} of size {size}" for size, count in enumerate(np.bincount(sizes)) if count)
    yield "sizes", sizes_over_time(sizes), f"Number of decided places of each evaluated architecture: {numbers}"


def sizes_over_time(sizes: Any) -> Figure:
    """Return sizes, `[outcomes]`, in the order of the outcomes, and how many there are of each."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(6.4, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 1))
    left.scatter(np.arange(1, len(sizes) + 1), sizes, s=12, color="#0072b2")
    left.set(xlabel="candidates evaluated", ylabel="places decided")
    counts = np.bincount(sizes)
    right.barh(np.arange(len(counts)), counts, color="#0072b2")
    right.set(xlabel="candidates")
    for axes in (left, right):
        scales.plain(axes)
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    return figure
