"""From the ends of an ascent to architectures that are worth an evaluation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from archsearch.evaluators.ngae.ascent import Path
from archsearch.evaluators.ngae.region import Region
from archsearch.spaces import Architecture

if TYPE_CHECKING:
    from archsearch.evaluators.ngae.ngae import NGAE

Vector = NDArray[np.float64]
_HALVINGS = 6
_HIGHEST_WEIGHT = 10.0
_WIDENED = (1.0, 2.0)  # scale of the noise that is added to the ends of an ascent that led to nothing new
_RANDOM_DRAWS = 50


@dataclass(frozen=True)
class Proposals:
    """What an ascent led to, best first.

    Args:
        architectures: New ones, no two of the same key.
        accuracy: `[architectures]` what is predicted of each, encoded again.
        complexity: Likewise; NaN where it was not learned.
        weight: Of the complexity in the objective.
        widened: How many come from around the ends of the ascent, because too few ends were new.
        random: How many were drawn from the space, because that did not suffice either.
        path: The ascent.
    """

    architectures: list[Architecture]
    accuracy: Vector
    complexity: Vector
    weight: float
    widened: int
    random: int
    path: Path


class Proposer:
    """Starts, climbs, decodes, and keeps what is new.

    Args:
        model: Encodes, decodes and predicts.
        region: Where its data is.
        climb: The ascent from points `[points, latent]`, with a weight, of which the way of so many is told.
        rng: Source of everything random.
    """

    def __init__(
        self,
        model: NGAE,
        region: Region,
        climb: Callable[[torch.Tensor, float, int], Path],
        rng: np.random.Generator,
    ) -> None:
        self.model, self.region, self.climb, self.rng = model, region, climb, rng

    def propose(
        self,
        n: int,
        weight: float,
        budget: float | None,
        starts: int,
        best: Vector | None,
        exclude: set[str],
        followed: int,
    ) -> Proposals:
        """Return up to `n` new architectures; see `NGAE.ascend`."""
        points = self._starts(starts, best)
        if budget is not None:
            weight = self._weight_within(budget, points)
        path = self.climb(points, weight, followed)
        found: dict[str, Architecture] = {}
        self._take(found, exclude, self.model.decode(path.latents))
        ascended = len(found)
        for scale in _WIDENED:
            if len(found) < n:
                self._take(found, exclude, self.model.decode(self._around(path.latents, scale), sample=True, seed=self._seed()))
        widened = len(found) - ascended
        for _ in range(_RANDOM_DRAWS * n):
            if len(found) >= n:
                break
            self._take(found, exclude, [self.model.space.sample(self.rng)])
        random = len(found) - ascended - widened
        architectures = list(found.values())
        accuracy, complexity = self.model.predict_latents(self.model.encode(architectures))
        order = np.argsort(-self.model.objective(accuracy, complexity, weight), kind="stable")[:n]
        chosen = [architectures[at] for at in order]
        return Proposals(chosen, accuracy[order], complexity[order], weight, widened, random, path)

    def _starts(self, number: int, best: Vector | None) -> torch.Tensor:
        """Return points to start from: half of them around the best known, the others from the distribution of the data."""
        generator = torch.Generator(self.region.center.device).manual_seed(self._seed())
        if best is None:
            return self.region.sample(number, generator)
        known = torch.tensor(best, dtype=torch.float32, device=self.region.center.device)
        half = known[torch.arange(number // 2) % len(known)]
        return torch.cat([half, self.region.sample(number - len(half), generator)])

    def _around(self, latents: torch.Tensor, scale: float) -> torch.Tensor:
        generator = torch.Generator(latents.device).manual_seed(self._seed())
        return latents + scale * (self.region.sample(len(latents), generator) - self.region.center)

    def _take(self, found: dict[str, Architecture], exclude: set[str], architectures: list[Architecture]) -> None:
        """Add what is neither excluded nor there."""
        for architecture in {str(architecture): architecture for architecture in architectures}.values():
            key = self.model.space.key(architecture)
            if key not in exclude:
                found.setdefault(key, architecture)

    def _weight_within(self, budget: float, points: torch.Tensor) -> float:
        """Return the smallest weight with which the mean architecture at the end of an ascent keeps within a budget."""
        low, high = 0.0, _HIGHEST_WEIGHT
        few = points[:: max(1, len(points) // 200)]
        if self._mean_complexity(few, low) <= budget:
            return low
        for _ in range(_HALVINGS):
            middle = (low * high) ** 0.5 if low else high / 8
            low, high = (low, middle) if self._mean_complexity(few, middle) <= budget else (middle, high)
        return high

    def _mean_complexity(self, points: torch.Tensor, weight: float) -> float:
        architectures = self.model.decode(self.climb(points, weight, 0).latents)
        return float(self.model.predict_latents(self.model.encode(architectures))[1].mean())

    def _seed(self) -> int:
        return int(self.rng.integers(2**31))
