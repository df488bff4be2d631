"""Graph features beside the vector of an encoder, as an input of the head.

The features are those of `graf` (G. Kadlecová et al., ICML 2024, arXiv 2404.16551). benchmarks/gates/encodings.py measures what
they add.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from archsearch.evaluators.predictors.encoders.encoder import Encoder
from archsearch.evaluators.predictors.structure import Structured

SIZE = 0.3
"""Standard deviation of a feature as the head reads it: with 1 the head learns the features and little of the vectors."""
_FARTHEST = 5.0  # standard deviations from the mean beyond which a feature is cut off


class Featured(nn.Module):
    """An encoder whose vectors are followed by features, standardised by the architectures of the first fit.

    A feature that is the same for all of these is left at zero for all others too.

    Args:
        encoder: Makes the vectors.
        numbers: Number of features of an architecture.
        device: Device of the features.
    """

    center: Tensor
    factor: Tensor

    def __init__(self, encoder: Encoder | Structured, numbers: int, device: torch.device) -> None:
        super().__init__()
        self.encoder = encoder
        self.features = encoder.features + numbers
        self.register_buffer("center", torch.zeros(numbers, device=device))
        self.register_buffer("factor", torch.zeros(numbers, device=device))

    def settle(self, features: Tensor) -> None:
        """Set mean and deviation by the features of the architectures to learn from, `[architectures, numbers]`."""
        deviation, self.center = torch.std_mean(features, dim=0, correction=0)
        varied = (features != features[0]).any(0)
        self.factor = torch.where(varied, SIZE / deviation.clamp(min=torch.finfo(deviation.dtype).tiny), 0.0)

    def precompute(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Return the encoder's precomputed tensors, and the features standardised."""
        *graphs, features = tensors
        farthest = SIZE * _FARTHEST
        return *self.encoder.precompute(*graphs), ((features - self.center) * self.factor).clamp(-farthest, farthest)

    def forward(self, *precomputed: Tensor) -> Tensor:
        """Return `[members, batch, features]`; the last tensor is that of the features, `[members or 1, batch, numbers]`."""
        *graphs, features = precomputed
        vectors = self.encoder(*graphs)
        return torch.cat([vectors, features.expand(len(vectors), -1, -1)], dim=2)
