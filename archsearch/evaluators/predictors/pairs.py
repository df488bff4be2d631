"""Pairs of architectures for ranking losses: all of a batch, or a random sample."""

from __future__ import annotations

import torch
from torch import Tensor

from archsearch.evaluators.predictors.stacked import Generators

_LISTED = 50_000  # pairs up to which a list of them all is faster
_SHARE = 4  # pairs for each one that is drawn, below which most numbers would be passed over


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

    Of many pairs only those that are drawn are ever made: all are numbered, and numbers that were drawn before or that belong to
    equal targets are passed over. With rungs, as many pairs are drawn of each rung as if it were a batch of its own, and the
    weights of all pairs of rung k are proportional to 2^k (see `Predictor.fit`).

    Args:
        targets: `[members, batch]`.
        per_architecture: Pairs that are drawn for each architecture of the batch; all pairs where there are fewer.
        rungs: `[members, batch]` whole numbers from 0; only architectures of the same rung are paired. None pairs all.
    """

    def __init__(self, targets: Tensor, per_architecture: int, rungs: Tensor | None = None) -> None:
        size = targets.shape[1]
        # Of two places in the order, the first one holds the worse architecture.
        self._targets, self._order = targets.sort(dim=1)
        self._limit = min(per_architecture * size, size * (size - 1) // 2)
        self._members: list[list[tuple[Tensor, int]]] = []  # pairs, and how many of them are drawn; empty if they are numbered
        if rungs is not None:
            members = self._listed()
            self._members = [_by_rung(pairs, own, per_architecture) for pairs, own in zip(members, rungs, strict=True)]
            shares = [_shares(pairs, own) for pairs, own in zip(self._members, rungs, strict=True)]
            self._limit = max(map(len, shares))
            self._weights = torch.stack([torch.nn.functional.pad(each, (0, self._limit - len(each))) for each in shares])
            return
        counts = [size * (size - 1) // 2 - _ties(ordered) for ordered in self._targets]
        if size * (size - 1) // 2 <= _LISTED or min(counts) < _SHARE * self._limit:
            self._members = [[(pairs, self._limit)] for pairs in self._listed()]
        used = torch.tensor([[min(self._limit, count)] for count in counts], device=targets.device)
        self._weights = (torch.arange(self._limit, device=targets.device) < used) / used.clamp(min=1)

    def draw(self, generators: Generators) -> tuple[Tensor, Tensor, Tensor]:
        """Draw pairs, uniformly and without repeats.

        Args:
            generators: One for each member.

        Returns:
            The worse and the better one of each pair, two tensors `[members, pairs]` of indices, and the weights of the pairs as
            in `all_gaps`, `[members, pairs]`.
        """
        if self._members:
            drawn = [self._of_listed(pairs, generator) for pairs, generator in zip(self._members, generators, strict=True)]
        else:
            drawn = [self._of_numbered(member, generator) for member, generator in enumerate(generators)]
        worse, better = torch.stack(drawn, dim=1)
        return worse, better, self._weights

    def _listed(self) -> list[Tensor]:
        """Return all pairs of each member that have different targets, `[2, pairs]` each."""
        size = self._targets.shape[1]
        places = torch.triu_indices(size, size, 1, device=self._targets.device)
        return [own[places[:, row[places[0]] != row[places[1]]]] for row, own in zip(self._targets, self._order, strict=True)]

    def _of_listed(self, sets: list[tuple[Tensor, int]], generator: torch.Generator) -> Tensor:
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

    def _of_numbered(self, member: int, generator: torch.Generator) -> Tensor:
        """Return pairs of one member, `[2, limit]`: the first of a sequence of random numbers."""
        targets, size = self._targets[member], self._targets.shape[1]
        numbers = torch.empty(0, dtype=torch.int64, device=targets.device)
        while True:
            more = torch.randint(
                size * (size - 1) // 2, (self._limit + self._limit // 4,), generator=generator, device=targets.device
            )
            numbers = torch.cat([numbers, more])
            # Pair k of places i < j is k = j (j - 1) / 2 + i.
            above = ((1.0 + (1.0 + 8.0 * numbers.double()).sqrt()) / 2.0).floor().long()
            below = numbers - above * (above - 1) // 2
            kept = (targets[below] != targets[above]) & _first(numbers)
            places = torch.stack([below, above])[:, kept]
            if places.shape[1] >= self._limit:
                return self._order[member][places[:, : self._limit]]


def _ties(ordered: Tensor) -> int:
    """Return the number of pairs of equal values in a sorted row."""
    counts = torch.unique_consecutive(ordered, return_counts=True)[1]
    return int((counts * (counts - 1) // 2).sum())


def _first(numbers: Tensor) -> Tensor:
    """Return whether each number is not among those before it, `[numbers]` bool."""
    ordered, order = numbers.sort(stable=True)
    first = torch.ones_like(numbers, dtype=torch.bool)
    first[order[1:]] = ordered[1:] != ordered[:-1]
    return first


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
