"""Costs of the architectures of a space, and the share of them that keeps the constraints of a search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from archsearch.evaluators.score_names import LATENCY
from archsearch.platform import units
from archsearch.platform.short_form import live_graph
from archsearch.searchers import Goals
from archsearch.spaces import SearchSpace

SAMPLE = 500
"""Architectures drawn; a cost takes less than half a millisecond."""
FEW = 0.1
"""Share of the space below which a warning is due."""


@dataclass(frozen=True)
class SpaceCosts:
    """Costs of random architectures of a space.

    Args:
        drawn: Number of architectures.
        ranges: Lowest, median and highest value of each cost, by name.
        constraints: The constraints that need no measurement, as text.
        share: Share of the architectures that keep all constraints, 0..1; 1 if there are none.
        absent: Operators of the space that none of the architectures that keep the constraints contains.
    """

    drawn: int
    ranges: dict[str, tuple[float, float, float]]
    constraints: tuple[str, ...]
    share: float
    absent: tuple[str, ...] = ()

    @property
    def is_tight(self) -> bool:
        """Whether the constraints leave less than a tenth of the space."""
        return bool(self.constraints) and self.share < FEW

    @property
    def rows(self) -> list[list[str]]:
        """A table: a heading, then one row per cost."""
        cells = [[name, *(units.quantity(value) for value in values)] for name, values in self.ranges.items()]
        return [["cost", "lowest", "median", "highest"], *cells]

    def ranges_text(self) -> str:
        """Return the range of each cost in one line."""
        parts = [
            f"{name} {units.quantity(low)} to {units.quantity(high)} (median {units.quantity(middle)})"
            for name, (low, middle, high) in self.ranges.items()
        ]
        return f"{'; '.join(parts)}; from {self.drawn:,} random architectures"

    def share_text(self) -> str:
        """Return which share of the space the constraints leave; an empty string without constraints."""
        if not self.constraints:
            return ""
        share = f"{100 * self.share:.1f} %" if self.share else f"less than {100 / self.drawn:.1f} %"
        text = f"{share} of the space keep {' and '.join(self.constraints)}"
        return f"{text}; none of these has {', '.join(self.absent)}" if self.absent else text


def space_costs(space: SearchSpace, goals: Goals, seed: int, draws: int = SAMPLE) -> SpaceCosts | None:
    """Return the costs of random architectures, or None where no cost is known before an evaluation.

    Args:
        space: The space.
        goals: The goals of the search, with its costs and constraints.
        seed: Seed of the draws.
        draws: Number of architectures.
    """
    if goals.costs is None or not goals.cost_names:
        return None
    rng = np.random.default_rng(seed)
    sample = [space.sample(rng) for _ in range(draws)]
    costs = [goals.costs(each) for each in sample]
    ranges = {}
    for name in goals.cost_names:
        values = [cost[name] for cost in costs if np.isfinite(cost.get(name, np.nan))]
        if values:
            ranges[name] = (float(min(values)), float(np.median(values)), float(max(values)))
    # A latency that is measured before a training is left out: it takes seconds.
    counted = [each for each in goals.constraints if goals.latency is None or each.name != LATENCY]
    kept = [each for each in sample if goals.counted_excess(each) == 0.0]
    absent: Sequence[str] = ()
    if counted and kept:
        used = {name for each in kept for graph in space.drawing(each) for name in live_graph(graph).operators}
        before = {name for each in sample for graph in space.drawing(each) for name in live_graph(graph).operators}
        absent = [name for name in space.operators if name in before - used]
    return SpaceCosts(draws, ranges, tuple(map(str, counted)), len(kept) / draws, tuple(absent))
