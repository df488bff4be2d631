"""Models of predictors: an encoder with a head that scores architectures or compares two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from archsearch.evaluators.predictors import losses
from archsearch.evaluators.predictors.encoders.encoder import Encoder
from archsearch.evaluators.predictors.featured import Featured
from archsearch.evaluators.predictors.head import Head
from archsearch.evaluators.predictors.pairs import Pairs, all_gaps
from archsearch.evaluators.predictors.settings import Settings
from archsearch.evaluators.predictors.stacked import Generators
from archsearch.evaluators.predictors.structure import Structured

Body = Encoder | Structured | Featured
"""An encoder, or one whose vectors are followed by numbers."""


@dataclass(frozen=True, eq=False)
class Batch:
    """The data of a batch that do not depend on the parameters, shared by all steps on it.

    Args:
        precomputed: Input of the encoder; see `Encoder.precompute`.
        targets: `[members, batch]`.
        pairs: Pairs that a pairwise loss draws from; None for other losses, and where all pairs are taken.
    """

    precomputed: tuple[Tensor, ...]
    targets: Tensor
    pairs: Pairs | None


class ScoringModel(nn.Module):
    """Scores an architecture by itself: `s(a) = head(encoder(a))`.

    Args:
        encoder: Makes vectors of architectures.
        loss: `hinge`, `bce`, `listmle` or `mse`.
        settings: Sizes and training.
        generators: One for each member.
    """

    def __init__(self, encoder: Body, loss: str, settings: Settings, generators: Generators) -> None:
        super().__init__()
        self.encoder, self.settings, self.generators, self._loss = encoder, settings, generators, loss
        self.head = Head(encoder.features, settings.head, settings.dropout, generators)

    def forward(self, tensors: Sequence[Tensor]) -> Tensor:
        """Return scores, `[members, batch]`."""
        scores: Tensor = self.head(self.encoder(*self.encoder.precompute(*tensors)))
        return scores

    def batch(self, tensors: Sequence[Tensor], targets: Tensor, rungs: Tensor | None = None) -> Batch:
        """Return architectures to train on, with targets and, for pairs within rungs alone, rungs, `[members, batch]` each."""
        drawing = (self.settings.pairs or rungs is not None) and self._loss in ("hinge", "bce")
        pairs = Pairs(targets, self.settings.pairs or targets.shape[1], rungs) if drawing else None
        return Batch(self.encoder.precompute(*tensors), targets, pairs)

    def loss(self, batch: Batch) -> Tensor:
        """Return the loss of each member, `[members]`."""
        scores: Tensor = self.head(self.encoder(*batch.precomputed))
        if self._loss == "mse":
            return losses.mse(scores, batch.targets)
        if self._loss == "listmle":
            return losses.list_mle(scores, batch.targets)
        if batch.pairs:
            worse, better, weights = batch.pairs.draw(self.generators)
            gaps = scores.gather(1, better) - scores.gather(1, worse)
        else:
            gaps, weights = all_gaps(scores, batch.targets)
        return losses.binary(gaps, weights) if self._loss == "bce" else losses.hinge(gaps, weights, self.settings.margin)


class ComparingModel(nn.Module):
    """Compares two architectures: `c(a, b) = head([e_a; e_b - e_a])`, above zero where b is.

    An architecture is scored by the mean probability of being better than a few that the model was trained on,
    `(sigmoid(c(r, a)) + 1 - sigmoid(c(a, r))) / 2` for reference r. (The authors of GATES sort with the comparisons instead;
    a score does not depend on what else is scored.)

    Args:
        encoder: Makes vectors of architectures.
        settings: Sizes and training.
        generators: One for each member.
        references: Number of architectures that others are compared with.
    """

    references: Tensor

    def __init__(self, encoder: Body, settings: Settings, generators: Generators, references: int = 32) -> None:
        super().__init__()
        self.encoder, self.settings, self.generators = encoder, settings, generators
        self.head = Head(2 * encoder.features, settings.head, settings.dropout, generators)
        shape = (len(generators), references, encoder.features)
        self.register_buffer("references", torch.zeros(shape, device=generators[0].device))

    def forward(self, tensors: Sequence[Tensor]) -> Tensor:
        """Return scores, `[members, batch]`."""
        vectors = self.encoder(*self.encoder.precompute(*tensors)).unsqueeze(2)
        pairs = torch.broadcast_tensors(vectors, self.references.unsqueeze(1))
        own, other = (pair.flatten(1, 2) for pair in pairs)
        wins = (self._compared(other, own).sigmoid() + 1.0 - self._compared(own, other).sigmoid()) / 2.0
        scores: Tensor = wins.unflatten(1, (vectors.shape[1], -1)).mean(2)
        return scores

    def batch(self, tensors: Sequence[Tensor], targets: Tensor, rungs: Tensor | None = None) -> Batch:
        """Return architectures to train on, with targets and, for pairs within rungs alone, rungs, `[members, batch]` each."""
        pairs = Pairs(targets, self.settings.pairs or targets.shape[1], rungs)
        return Batch(self.encoder.precompute(*tensors), targets, pairs)

    def loss(self, batch: Batch) -> Tensor:
        """Return the loss of each member, `[members]`: the hinge loss of both comparisons."""
        assert batch.pairs
        vectors: Tensor = self.encoder(*batch.precomputed)
        worse, better, weights = batch.pairs.draw(self.generators)
        low, high = (vectors.gather(1, place.unsqueeze(2).expand(-1, -1, vectors.shape[2])) for place in (worse, better))
        margin = self.settings.margin
        rising, falling = self._compared(low, high), self._compared(high, low)
        return losses.hinge(rising, weights, margin) + losses.hinge(-falling, weights, margin)

    def remember(self, tensors: Sequence[Tensor]) -> None:
        """Set the architectures that others are compared with."""
        self.references.copy_(self.encoder(*self.encoder.precompute(*tensors)))

    def _compared(self, first: Tensor, second: Tensor) -> Tensor:
        compared: Tensor = self.head(torch.cat([first, second - first], dim=2))
        return compared
