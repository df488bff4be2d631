"""The encoder, which maps a graph to a normal distribution in the latent space."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from archsearch.evaluators.ngae.grammar import Grammar
from archsearch.evaluators.ngae.graphs import Graphs
from archsearch.evaluators.ngae.propagation import Messages, Unit, propagate, uniform
from archsearch.evaluators.ngae.settings import Settings


class Encoder(nn.Module):
    """Asynchronous message passing in topological order, then mean and log-variance.

    J. Li et al., "Neural Architecture Optimization with Graph VAE", arXiv 2006.10310, section 3.1. With the type T_v of vertex v
    and the gated sum A of its messages (see `propagation`):

        h_v = U(T_v, A({h_u : u -> v}))                          (2)
        mean, log-variance = f_mean(h), f_logvar(h)

    where U is a gated recurrent unit and h is read at the output. With `backward` h also has the states of the reversed graph,
    read at the inputs; with `reads_all` both are read at all vertices. Several cells are encoded side by side. Both functions are
    linear and share their first map, or with `perceptrons` each is `W_2 tanh(W_1 h + b_1) + b_2`.

    Args:
        grammar: Sizes of the graphs.
        inputs: Inputs of a cell.
        settings: Sizes of the model.
        generator: Source of the initial weights.
    """

    def __init__(self, grammar: Grammar, inputs: int, settings: Settings, generator: torch.Generator) -> None:
        super().__init__()
        width, latent, self.inputs = settings.width, settings.latent, inputs
        self.reads_all, self.backward, self.perceptrons = settings.reads_all, settings.backward, settings.perceptrons
        self.messages = Messages(grammar, width, settings.identified, generator)
        self.unit = Unit(grammar.num_types, width, generator)
        if self.backward:
            self.backward_messages = Messages(grammar, width, settings.identified, generator)
            self.backward_unit = Unit(grammar.num_types, width, generator)
        ends = grammar.vertices * (1 + self.backward) if self.reads_all else 1 + inputs * self.backward
        read, hidden = grammar.cells * ends * width, width * (1 + self.perceptrons)
        self.read_weight, self.read_bias = uniform(generator, read, read, hidden), uniform(generator, read, hidden)
        shape = (2, width, latent) if self.perceptrons else (width, 2 * latent)
        self.mean_weight, self.mean_bias = uniform(generator, width, *shape), uniform(generator, width, 2 * latent)

    def forward(self, graphs: Graphs) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance, `[batch, latent]` each."""
        edges = graphs.edges.to(self.read_weight.dtype)
        states, _ = propagate(self.messages, self.unit, graphs.types, edges)
        ends = [states if self.reads_all else states[:, :, -1:]]
        if self.backward:
            reversed_edges = edges.transpose(2, 3).flip((2, 3))
            back, _ = propagate(self.backward_messages, self.backward_unit, graphs.types.flip(2), reversed_edges)
            ends.append(back if self.reads_all else back[:, :, -self.inputs :])
        hidden = torch.cat(ends, dim=2).flatten(1) @ self.read_weight + self.read_bias
        if self.perceptrons:
            parts = torch.tanh(hidden).unflatten(1, (2, -1))  # one hidden layer for the mean, one for the log-variance
            product = torch.einsum("bpw,pwz->bpz", parts, self.mean_weight).flatten(1)
        else:
            product = hidden @ self.mean_weight
        mean, log_variance = (product + self.mean_bias).chunk(2, dim=-1)
        return mean, log_variance
