"""Pairs of architectures for ranking losses: all of a batch, or a random sample."""

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


class Pairs:
    """The pairs of a batch that have different targets, from which each step draws some.

    Args:
        targets: `[members, batch]`.
        per_architecture: Pairs that are drawn for each architecture of the batch; all pairs where there are fewer.
    """

    def __init__(self, targets: Tensor, per_architecture: int) -> None:
        size = targets.shape[1]
        self._limit = min(per_architecture * size, size * (size - 1) // 2)
        ordered, order = targets.sort(dim=1)
        # Of two places in the order, the first one holds the worse architecture.
        places = torch.triu_indices(size, size, 1, device=targets.device)
        tied = (ordered[:, 1:] == ordered[:, :-1]).any()
        self._members = [
            own[places[:, row[places[0]] != row[places[1]]] if tied else places] for row, own in zip(ordered, order, strict=True)
        ]
        counts = torch.tensor([[min(self._limit, pairs.shape[1])] for pairs in self._members], device=targets.device)
        used = torch.arange(self._limit, device=targets.device) < counts
        self._weights = used / counts.clamp(min=1)

    def draw(self, generators: Generators) -> tuple[Tensor, Tensor, Tensor]:
        """Draw pairs, uniformly and without repeats.

        Args:
            generators: One for each member.

        Returns:
            The worse and the better one of each pair, two tensors `[members, pairs]` of indices, and the weights of the pairs as
            in `all_gaps`, `[members, pairs]`.
        """
        drawn = [self._drawn(pairs, generator) for pairs, generator in zip(self._members, generators, strict=True)]
        worse, better = torch.stack(drawn, dim=1)
        return worse, better, self._weights

    def _drawn(self, pairs: Tensor, generator: torch.Generator) -> Tensor:
        """Return pairs of one member, `[2, limit]`, padded with zeros where there are too few."""
        chosen = torch.randperm(pairs.shape[1], generator=generator, device=pairs.device)[: self._limit]
        found = pairs[:, chosen]
        return torch.nn.functional.pad(found, (0, self._limit - len(chosen))) if len(chosen) < self._limit else found
