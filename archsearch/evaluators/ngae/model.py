"""The graph variational auto-encoder with its two predictors, and its objective.

J. Li et al., "Neural Architecture Optimization with Graph VAE", arXiv 2006.10310. With the mean m and the variance v of an
encoded graph G, of performance y and complexity z:

    s = m + noise * sqrt(v) * e,  e ~ N(0, I)
    L = L_rec + w_KL * KL + w_p * (f_p(r) - y)^2 + w_c * (f_c(r) - z)^2             (6; there all weights and the noise are 1)
    KL(N(m, v) || N(0, I)) = -1/2 * sum over dimensions of (1 + log v - m^2 - v)    (3)
    L_rec = -log P(G | s) = L_n + L_e, the cross-entropies of types and edges       (5)

The predictors read r = s as in equation 4, or r = m (`head_reads`).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from archsearch.evaluators.ngae.decoder import Decoder
from archsearch.evaluators.ngae.encoder import Encoder
from archsearch.evaluators.ngae.grammar import Grammar
from archsearch.evaluators.ngae.graphs import Graphs
from archsearch.evaluators.ngae.predictors import LatentPredictor
from archsearch.evaluators.ngae.settings import Settings


class Losses(NamedTuple):
    """The parts of the objective, each the mean over a batch.

    Args:
        reconstruction: Negative log-likelihood of the graphs, nats.
        divergence: Kullback-Leibler divergence from the standard normal distribution, nats.
        performance: Squared error of the predicted performance, over the architectures whose performance is known.
        complexity: Squared error of the predicted complexity, likewise.
    """

    reconstruction: Tensor
    divergence: Tensor
    performance: Tensor
    complexity: Tensor


class GraphVAE(nn.Module):
    """The auto-encoder with its predictors, J. Li et al., arXiv 2006.10310, figure 1.

    Args:
        grammar: Rules of the graphs.
        inputs: Inputs of a cell.
        settings: Sizes and weights of the objective.
        generator: Source of the initial weights.
    """

    def __init__(self, grammar: Grammar, inputs: int, settings: Settings, generator: torch.Generator) -> None:
        super().__init__()
        self.settings = settings
        self.encoder = Encoder(grammar, inputs, settings, generator)
        self.decoder = Decoder(grammar, settings, self.encoder.messages, generator)
        self.performance = LatentPredictor(settings.latent, settings.head, settings.sigmoid, generator)
        self.complexity = LatentPredictor(settings.latent, settings.head, settings.sigmoid, generator)

    def losses(self, graphs: Graphs, targets: Tensor, grammar: Grammar, generator: torch.Generator) -> Losses:
        """Return the parts of the objective (6).

        Args:
            graphs: A batch.
            targets: `[batch, 2]` performance and complexity; NaN where unknown.
            grammar: The rules of the space.
            generator: Source of the noise.
        """
        mean, log_variance = self.encoder(graphs)
        noise = torch.randn(mean.shape, generator=generator, device=mean.device, dtype=mean.dtype)
        latents = mean + self.settings.noise * torch.exp(0.5 * log_variance) * noise
        read = latents if self.settings.head_reads == "sample" else mean
        divergence = 0.5 * (mean**2 + torch.exp(log_variance) - 1.0 - log_variance).sum(dim=1)
        return Losses(
            self.decoder.loss(latents, graphs, grammar).mean(),
            divergence.mean(),
            _squared_error(self.performance(read), targets[:, 0]),
            _squared_error(self.complexity(read), targets[:, 1]),
        )

    def objective(self, losses: Losses) -> Tensor:
        """Return the weighted sum of the parts (6)."""
        settings = self.settings
        return (
            losses.reconstruction
            + settings.divergence_weight * losses.divergence
            + settings.performance_weight * losses.performance
            + settings.complexity_weight * losses.complexity
        )


def _squared_error(predicted: Tensor, targets: Tensor) -> Tensor:
    """Return the mean squared error where the target is known; 0 where none is."""
    known = ~torch.isnan(targets)
    errors = torch.where(known, predicted - torch.nan_to_num(targets), 0.0)
    return (errors**2).sum() / known.sum().clamp(min=1)
