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

    With rungs, as many pairs are drawn of each rung as if it were a batch of its own, and the weights of all pairs of rung k are
    proportional to 2^k (see `Predictor.fit`).

    Args:
        targets: `[members, batch]`.
        per_architecture: Pairs that are drawn for each architecture of the batch; all pairs where there are fewer.
        rungs: `[members, batch]` whole numbers from 0; only architectures of the same rung are paired. None pairs all.
    """

    def __init__(self, targets: Tensor, per_architecture: int, rungs: Tensor | None = None) -> None:
        size = targets.shape[1]
        ordered, order = targets.sort(dim=1)
        # Of two places in the order, the first one holds the worse architecture.
        places = torch.triu_indices(size, size, 1, device=targets.device)
        tied = (ordered[:, 1:] == ordered[:, :-1]).any()
        members = [
            own[places[:, row[places[0]] != row[places[1]]] if tied else places] for row, own in zip(ordered, order, strict=True)
        ]
        if rungs is None:
            self._limit = min(per_architecture * size, size * (size - 1) // 2)
            self._members = [[(pairs, self._limit)] for pairs in members]
            counts = torch.tensor([[min(self._limit, pairs.shape[1])] for pairs in members], device=targets.device)
            used = torch.arange(self._limit, device=targets.device) < counts
            self._weights = used / counts.clamp(min=1)
            return
        self._members = [_by_rung(pairs, own, per_architecture) for pairs, own in zip(members, rungs, strict=True)]
        shares = [_shares(pairs, own) for pairs, own in zip(self._members, rungs, strict=True)]
        self._limit = max(map(len, shares))
        self._weights = torch.stack([torch.nn.functional.pad(each, (0, self._limit - len(each))) for each in shares])

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

    def _drawn(self, sets: list[tuple[Tensor, int]], generator: torch.Generator) -> Tensor:
        """Return pairs of one member, `[2, limit]`, padded with zeros where there are too few."""
        parts = []
        for pairs, limit in sets:
            chosen = torch.randperm(pairs.shape[1], generator=generator, device=pairs.device)[:limit]
            parts.append(pairs[:, chosen])
        found = (
            parts[0] if len(parts) == 1 else torch.cat([torch.empty(2, 0, dtype=torch.int64, device=generator.device), *parts], 1)
        )
        missing = self._limit - found.shape[1]
        return torch.nn.functional.pad(found, (0, missing)) if missing else found


def _by_rung(pairs: Tensor, rungs: Tensor, per_architecture: int) -> list[tuple[Tensor, int]]:
    """Return the pairs of each rung that has any, `[2, pairs]`, and how many of them are drawn, the lowest rung first."""
    same = pairs[:, rungs[pairs[0]] == rungs[pairs[1]]]
    owners = rungs[same[0]]
    found = [(int((rungs == rung).sum()), same[:, owners == rung]) for rung in owners.unique().tolist()]
    return [(own, min(per_architecture * size, own.shape[1])) for size, own in found]


def _shares(sets: list[tuple[Tensor, int]], rungs: Tensor) -> Tensor:
    """Return the weight of each drawn pair of one member, `[pairs]`: 2^rung, shared among the pairs of the rung; the sum is 1."""
    highest = int(rungs.max())
    parts = [
        torch.full((limit,), 2.0 ** (int(rungs[pairs[0, 0]]) - highest) / limit, device=rungs.device) for pairs, limit in sets
    ]
    weights = torch.cat([torch.empty(0, device=rungs.device), *parts])
    return weights / weights.sum().clamp(min=torch.finfo(weights.dtype).tiny)
