"""The encoder, which maps a graph to a normal distribution in the latent space."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from archsearch.evaluators.ngae.grammar import Grammar
from archsearch.evaluators.ngae.graphs import Graphs
from archsearch.evaluators.ngae.propagation import Messages, Unit, propagate, uniform
from archsearch.evaluators.ngae.settings import Settings


class Encoder(nn.Module):
    """Asynchronous message passing in topological order, along the edges and against them, then mean and log-variance.

    J. Li et al., "Neural Architecture Optimization with Graph VAE", arXiv 2006.10310, equations 1 to 3. With the type x_v of
    vertex v and the gated sum of its messages (see `propagation`):

        m_v = sum over u -> v of g(h_u)                          (1)
        h_v = GRU(x_v, m_v)                                      (2)
        mean, log-variance = W [h; h'] + b                       (3)

    where h is read at the output and h', of the reversed graph, at the inputs; with `reads_all` both are read at all vertices.
    Several cells are encoded side by side.

    Args:
        grammar: Sizes of the graphs.
        inputs: Inputs of a cell.
        settings: Sizes of the model.
        generator: Source of the initial weights.
    """

    def __init__(self, grammar: Grammar, inputs: int, settings: Settings, generator: torch.Generator) -> None:
        super().__init__()
        width, self.inputs = settings.width, inputs
        self.messages = Messages(grammar, width, generator)
        self.unit = Unit(grammar.num_types, width, generator)
        self.backward_messages = Messages(grammar, width, generator)
        self.backward_unit = Unit(grammar.num_types, width, generator)
        self.reads_all = settings.reads_all
        ends = 2 * grammar.vertices if self.reads_all else 1 + inputs
        read = grammar.cells * ends * width
        self.read_weight, self.read_bias = uniform(generator, read, read, width), uniform(generator, read, width)
        self.mean_weight = uniform(generator, width, width, 2 * settings.latent)
        self.mean_bias = uniform(generator, width, 2 * settings.latent)

    def forward(self, graphs: Graphs) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance, `[batch, latent]` each."""
        edges = graphs.edges.to(self.read_weight.dtype)
        states, _ = propagate(self.messages, self.unit, graphs.types, edges)
        reversed_edges = edges.transpose(2, 3).flip((2, 3))
        back, _ = propagate(self.backward_messages, self.backward_unit, graphs.types.flip(2), reversed_edges)
        ends = [states, back] if self.reads_all else [states[:, :, -1:], back[:, :, -self.inputs :]]
        read = torch.cat(ends, dim=2).flatten(1)
        mean, log_variance = ((read @ self.read_weight + self.read_bias) @ self.mean_weight + self.mean_bias).chunk(2, dim=-1)
        return mean, log_variance
