"""The predictors of performance and complexity on the latent space, with their gradients in closed form."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from archsearch.evaluators.ngae.propagation import uniform


class LatentPredictor(nn.Module):
    """A perceptron with hyperbolic tangents and one output, `f_perf(s)` and `f_comp(s)` of NGAE, equation 4.

    J. Li et al., arXiv 2006.10310, section 3.2: two hidden layers and a sigmoid at the end; they name no other activation.

        f(s) = w_L tanh(... tanh(W_1 s + b_1) ...) + b_L    (followed by a sigmoid with `sigmoid`)

    Args:
        latent: Dimensions of the latent space.
        widths: Widths of the hidden layers.
        sigmoid: Whether the output is a sigmoid.
        generator: Source of the initial weights.
    """

    def __init__(self, latent: int, widths: Sequence[int], sigmoid: bool, generator: torch.Generator) -> None:
        super().__init__()
        sizes = [latent, *widths, 1]
        pairs = list(pairwise(sizes))
        self.weights = nn.ParameterList([uniform(generator, given, given, made) for given, made in pairs])
        self.biases = nn.ParameterList([uniform(generator, given, made) for given, made in pairs])
        self.sigmoid = sigmoid

    def forward(self, latents: Tensor) -> Tensor:
        """Return predictions `[batch]` at latent points `[batch, latent]`."""
        return self._layers(latents)[-1].squeeze(-1)

    @torch.inference_mode()
    def with_gradient(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """Return predictions `[batch]` and their gradients `[batch, latent]`: one product a layer, forward and back."""
        values = self._layers(latents)
        figures = values[-1]
        gradient = figures * (1.0 - figures) if self.sigmoid else torch.ones_like(figures)
        for number in reversed(range(len(self.weights))):
            gradient = gradient @ self.weights[number].T
            if number:
                gradient = gradient * (1.0 - values[number - 1] ** 2)
        return figures.squeeze(-1), gradient

    def _layers(self, latents: Tensor) -> list[Tensor]:
        """Return the outputs of all layers."""
        values = [latents]
        last = len(self.weights) - 1
        for number, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            product = values[-1] @ weight + bias
            values.append(torch.tanh(product) if number < last else torch.sigmoid(product) if self.sigmoid else product)
        return values[1:]
