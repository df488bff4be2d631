"""Which pairs of architectures a ranking loss compares."""

from __future__ import annotations

import torch
from torch import Tensor

from archsearch.evaluators.predictors.stacked import Generators


def all_gaps(scores: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return the gap between the scores of each pair, better minus worse, and the weight of the pair.

    Args:
        scores: `[members, batch]`, predicted.
        targets: `[members, batch]`, true.

    Returns:
        Two tensors `[members, batch, batch]`; the weights are equal for all pairs with different targets, zero otherwise, and
        sum to 1 for each member (to 0 where all targets are equal).
    """
    gaps = scores.unsqueeze(1) - scores.unsqueeze(2)
    counts = (targets.unsqueeze(1) > targets.unsqueeze(2)).to(scores.dtype)
    return gaps, counts / counts.sum((1, 2), keepdim=True).clamp(min=1.0)


def draw_pairs(targets: Tensor, per_architecture: int, generators: Generators) -> tuple[Tensor, Tensor, Tensor]:
    """Draw pairs with different targets, uniformly and without repeats.

    Args:
        targets: `[members, batch]`.
        per_architecture: Pairs for each architecture of the batch; all pairs where there are fewer.
        generators: One for each member.

    Returns:
        The worse and the better one of each pair, two tensors `[members, pairs]` of indices, and the weights of the pairs as in
        `all_gaps`, `[members, pairs]`.
    """
    size = targets.shape[1]
    limit = min(per_architecture * size, size * (size - 1) // 2)
    drawn = [_drawn(row, limit, generator) for row, generator in zip(targets, generators, strict=True)]
    worse, better, weights = (torch.stack(parts) for parts in zip(*drawn, strict=True))
    return worse, better, weights


def _drawn(targets: Tensor, limit: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    size = len(targets)
    first, second = torch.triu_indices(size, size, 1, device=targets.device)
    order = torch.randperm(len(first), generator=generator, device=targets.device)
    for part in (order[: 2 * limit], order):  # ties are rare: the first part is nearly always enough
        differ = part[targets[first[part]] != targets[second[part]]][:limit]
        if len(differ) == limit:
            break
    first, second = first[differ], second[differ]
    rising = targets[first] < targets[second]
    worse, better = torch.where(rising, first, second), torch.where(rising, second, first)
    missing = limit - len(differ)
    weights = torch.full((len(differ),), 1.0 / max(len(differ), 1), device=targets.device)
    pad = torch.nn.functional.pad
    return pad(worse, (0, missing)), pad(better, (0, missing)), pad(weights, (0, missing))
