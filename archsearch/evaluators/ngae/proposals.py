"""New architectures by gradient ascent in the latent space: starts, ascent, decoding, and random draws if too few are new."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from archsearch.evaluators.ngae.ascent import Path
from archsearch.evaluators.ngae.latent_space import LatentSpace
from archsearch.evaluators.ngae.region import Region
from archsearch.spaces import Architecture

Vector = NDArray[np.float64]
Climb = Callable[[torch.Tensor, float, int], Path]
"""The ascent from points `[points, latent]` with a weight of the complexity and the number of trajectories to record."""

_HALVINGS = 6
_HIGHEST_WEIGHT = 10.0
_NOISE = (1.0, 2.0)  # scales of the noise added to the ends of an ascent that led to too few new architectures
_RANDOM_DRAWS = 50


@dataclass(frozen=True)
class Proposals:
    """New architectures of an ascent, best first.

    Args:
        architectures: Architectures with distinct keys.
        accuracy: `[architectures]` predicted accuracy of each, encoded again.
        complexity: `[architectures]` predicted complexity of each, encoded again; NaN where it was not learned.
        weight: Weight of the complexity in the objective.
        widened: Number that come from around the ends of the ascent, because too few ends were new.
        random: Number drawn at random from the space, because that did not suffice either.
        path: The ascent.
    """

    architectures: list[Architecture]
    accuracy: Vector
    complexity: Vector
    weight: float
    widened: int
    random: int
    path: Path


def propose(
    space: LatentSpace,
    climb: Climb,
    n: int,
    *,
    region: Region,
    weight: float,
    budget: float | None,
    starts: int,
    best: Vector | None,
    best_share: float = 0.5,
    best_spread: float = 0.5,
    sample: bool = False,
    rerank: bool = True,
    exclude: Collection[str],
    recorded_starts: int,
    rng: np.random.Generator,
) -> Proposals:
    """Return up to `n` new architectures; see `NGAE.ascend`.

    Args:
        space: Encodes, decodes and predicts.
        climb: The ascent.
        n: Number of architectures that are wanted.
        region: Region that starts are drawn from.
        weight: Weight of the complexity; not used with a budget.
        budget: Largest mean complexity, in the unit of the fit; None for no limit.
        starts: Number of points to start from.
        best: `[known, latent]` encodings that some of the starts are taken from; None takes all starts from the region.
        best_share: Share of the starts that are taken from `best`.
        best_spread: Largest deviation of the noise around `best`, in deviations of the region.
        sample: Whether decisions of the decoder are drawn.
        rerank: Whether the best by prediction are returned; otherwise the first.
        exclude: Keys of architectures that are not proposed.
        recorded_starts: Number of starts whose trajectory is recorded.
        rng: Source of everything random.
    """
    points = _starts(region, starts, best, best_share, best_spread, rng)
    if budget is not None:
        weight = _weight_within(space, climb, budget, points)
    path = climb(points, weight, recorded_starts)
    found: dict[str, Architecture] = {}

    def take(architectures: list[Architecture]) -> None:
        """Add the architectures that are neither excluded nor already taken."""
        for architecture in {str(architecture): architecture for architecture in architectures}.values():
            key = space.space.key(architecture)
            if key not in exclude:
                found.setdefault(key, architecture)

    take(space.decode(path.latents, sample=sample, seed=_seed(rng) if sample else 0))
    ascended = len(found)
    for scale in _NOISE:
        if len(found) < n:
            take(space.decode(_around(region, path.latents, scale, rng), sample=True, seed=_seed(rng)))
    widened = len(found) - ascended
    for _ in range(_RANDOM_DRAWS * n):
        if len(found) >= n:
            break
        take([space.space.sample(rng)])
    random = len(found) - ascended - widened
    architectures = list(found.values())
    accuracy, complexity = space.predict_latents(space.encode(architectures))
    objective = space.objective(accuracy, complexity, weight) if rerank else np.zeros(len(architectures))
    order = np.argsort(-objective, kind="stable")[:n]
    return Proposals(
        architectures=[architectures[at] for at in order],
        accuracy=accuracy[order],
        complexity=complexity[order],
        weight=weight,
        widened=widened,
        random=random,
        path=path,
    )


def _starts(
    region: Region, number: int, best: Vector | None, share: float, spread: float, rng: np.random.Generator
) -> torch.Tensor:
    """Return points to start from: a share of them the best known and points around these, the others drawn from the region."""
    generator = torch.Generator(region.center.device).manual_seed(_seed(rng))
    if best is None:
        return region.sample(number, generator)
    known = torch.tensor(best, dtype=torch.float32, device=region.center.device)
    taken = known[torch.arange(int(share * number)) % len(known)]
    scales = spread * torch.rand((len(taken), 1), generator=generator, device=known.device)
    scales[: len(known)] = 0.0
    around = taken + scales * (region.sample(len(taken), generator) - region.center)
    return torch.cat([around, region.sample(number - len(taken), generator)])


def _around(region: Region, latents: torch.Tensor, scale: float, rng: np.random.Generator) -> torch.Tensor:
    """Return points with noise added that has the covariance of the data, times the square of the scale."""
    generator = torch.Generator(latents.device).manual_seed(_seed(rng))
    return latents + scale * (region.sample(len(latents), generator) - region.center)


def _weight_within(space: LatentSpace, climb: Climb, budget: float, points: torch.Tensor) -> float:
    """Return the smallest weight with which the mean architecture at the end of an ascent keeps within a budget."""
    few = points[:: max(1, len(points) // 200)]

    def fits(weight: float) -> bool:
        architectures = space.decode(climb(few, weight, 0).latents)
        return float(space.predict_latents(space.encode(architectures))[1].mean()) <= budget

    low, high = 0.0, _HIGHEST_WEIGHT
    if fits(low):
        return low
    for _ in range(_HALVINGS):
        middle = (low * high) ** 0.5 if low else high / 8
        low, high = (low, middle) if fits(middle) else (middle, high)
    return high


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**31))
