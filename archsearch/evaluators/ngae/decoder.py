"""The decoder, which generates a graph from a latent point, vertex by vertex and edge by edge."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from archsearch.evaluators.ngae.grammar import Grammar
from archsearch.evaluators.ngae.graphs import Graphs
from archsearch.evaluators.ngae.propagation import Messages, Unit, propagate, uniform
from archsearch.evaluators.ngae.settings import Settings


class Decoder(nn.Module):
    """Generates a graph in topological order: the type of each vertex, then its edges from the nearest vertex to the farthest.

    J. Li et al., "Neural Architecture Optimization with Graph VAE", arXiv 2006.10310, section 3.3. The first vertex of each cell
    starts from the latent point. A type follows from the state of the vertex before; an edge from u to v from the state of u and
    that of v given its edges so far. With `conditioned` both also read the latent point and their place, in the hidden features
    and in a part of the logits that is linear in the latent point.

    Args:
        grammar: Rules of the graphs.
        settings: Sizes of the model.
        messages: The gated sum, shared with the encoder.
        generator: Source of the initial weights.
    """

    def __init__(self, grammar: Grammar, settings: Settings, messages: Messages, generator: torch.Generator) -> None:
        super().__init__()
        width, latent = settings.width, settings.latent
        self.messages = messages
        self.unit = Unit(grammar.num_types, width, generator)
        self.start_weight = uniform(generator, latent, grammar.cells, latent, width)
        self.start_bias = uniform(generator, latent, grammar.cells, width)
        self.types = TypeHead(grammar, settings, generator)
        self.edges = EdgeHead(grammar, settings, generator)

    def start(self, latents: Tensor) -> Tensor:
        """Return the vector that the first vertex of each cell reads in place of messages, `[batch, cells, width]`."""
        return torch.tanh(torch.einsum("bz,czw->bcw", latents, self.start_weight) + self.start_bias)

    def loss(self, latents: Tensor, graphs: Graphs, grammar: Grammar) -> Tensor:
        """Return the negative log-likelihood of graphs given latent points, `[batch]` nats: teacher forcing, undecided parts."""
        edges = graphs.edges.to(latents.dtype)
        states, sent = propagate(self.messages, self.unit, graphs.types, edges, self.start(latents))
        return self.types.loss(states, latents, graphs) + self.edges.loss(states, sent, latents, graphs, self.unit, grammar)


class TypeHead(nn.Module):
    """The probabilities of the types of a vertex.

    Args:
        grammar: Rules of the graphs: the types that each vertex may have.
        settings: Sizes of the model.
        generator: Source of the initial weights.
    """

    allowed: Tensor

    def __init__(self, grammar: Grammar, settings: Settings, generator: torch.Generator) -> None:
        super().__init__()
        hidden = settings.type_width
        self.conditioned = settings.conditioned
        self.register_buffer("allowed", grammar.types, persistent=False)
        self.choices = [v for v in range(1, grammar.vertices) if bool((grammar.types[:, v].sum(dim=-1) > 1).any())]
        self.state = uniform(generator, settings.width, settings.width, hidden)
        self.places = uniform(generator, settings.width, grammar.vertices if self.conditioned else 1, grammar.cells, hidden)
        if self.conditioned:
            self.latent = uniform(generator, settings.latent, settings.latent, hidden)
            shape = (grammar.vertices, grammar.cells, settings.latent, grammar.num_types)
            self.direct = uniform(generator, settings.latent, *shape)
        self.out = uniform(generator, hidden, hidden, grammar.num_types)
        self.bias = uniform(generator, hidden, grammar.num_types)

    def logits(self, before: Tensor, latents: Tensor, vertices: list[int]) -> Tensor:
        """Return logits of the types of vertices, -inf where not allowed.

        Args:
            before: `[batch, cells, vertices, width]` states of the vertices before them.
            latents: `[batch, latent]`.
            vertices: Numbers of the vertices.

        Returns:
            `[batch, cells, vertices, types]`.
        """
        place = self.places[vertices if self.conditioned else [0]].transpose(0, 1)
        hidden = before @ self.state + place
        if self.conditioned:
            hidden = hidden + (latents @ self.latent)[:, None, None]
        logits = torch.relu(hidden) @ self.out + self.bias
        if self.conditioned:
            logits = logits + torch.einsum("bz,vczt->bcvt", latents, self.direct[vertices])
        return logits.masked_fill(~self.allowed[:, vertices], -torch.inf)

    def loss(self, states: Tensor, latents: Tensor, graphs: Graphs) -> Tensor:
        """Return the cross-entropy of the types of graphs, `[batch]`."""
        if not self.choices:
            return latents.new_zeros(len(latents))
        logits = self.logits(states[:, :, [vertex - 1 for vertex in self.choices]], latents, self.choices)
        true = graphs.types[:, :, self.choices]
        return F.cross_entropy(logits.flatten(0, 2), true.flatten(), reduction="none").view(len(latents), -1).sum(dim=1)


class EdgeHead(nn.Module):
    """The probability of an edge from one vertex to another that has some of its edges already.

    Args:
        grammar: Rules of the graphs: the undecided edges.
        settings: Sizes of the model.
        generator: Source of the initial weights.
    """

    sources: Tensor
    targets: Tensor

    def __init__(self, grammar: Grammar, settings: Settings, generator: torch.Generator) -> None:
        super().__init__()
        hidden = settings.edge_width
        self.conditioned = settings.conditioned
        sources, targets = grammar.free.any(dim=0).nonzero(as_tuple=True)
        self.register_buffer("sources", sources, persistent=False)
        self.register_buffer("targets", targets, persistent=False)
        self.source = uniform(generator, settings.width, settings.width, hidden)
        self.target = uniform(generator, settings.width, settings.width, hidden)
        shape = (grammar.vertices, grammar.vertices) if self.conditioned else (1, 1)
        self.places = uniform(generator, settings.width, *shape, grammar.cells, hidden)
        if self.conditioned:
            self.latent = uniform(generator, settings.latent, settings.latent, hidden)
            self.direct = uniform(generator, settings.latent, *shape, grammar.cells, settings.latent)
        self.out = uniform(generator, hidden, hidden)
        self.bias = uniform(generator, hidden, 1)

    def seen(self, latents: Tensor) -> Tensor | float:
        """Return the part of the hidden features that depends on the latent points, `[batch, hidden]`."""
        return latents @ self.latent if self.conditioned else 0.0

    def logit(self, source: Tensor, target: Tensor, place: Tensor, seen: Tensor | float) -> Tensor:
        """Return logits `[...]` of edges from the four parts of their hidden features."""
        return torch.relu(source + target + place + seen) @ self.out + self.bias

    def straight(self, latents: Tensor, source: Tensor | int, target: Tensor | int) -> Tensor | float:
        """Return the part of the logits of edges that is linear in the latent points, `[batch, cells, ...]`."""
        if not self.conditioned:
            return 0.0
        return torch.einsum("bz,...cz->bc...", latents, self.direct[source, target])

    def place(self, source: Tensor | int, target: Tensor | int) -> Tensor:
        """Return the part of the hidden features that depends on the places of edges, `[..., cells, hidden]`."""
        return self.places[source, target] if self.conditioned else self.places[0, 0]

    def loss(self, states: Tensor, sent: Tensor, latents: Tensor, graphs: Graphs, unit: Unit, grammar: Grammar) -> Tensor:
        """Return the cross-entropy of the undecided edges of graphs, `[batch]`.

        The state of a vertex after its nearest edges is the unit applied to the sum of their messages; one call computes the
        states after each edge.
        """
        if not len(self.sources):
            return latents.new_zeros(len(latents))
        vertices = torch.arange(grammar.vertices, device=latents.device)
        nearer = vertices[:, None] > self.sources
        parts = (graphs.edges[..., self.targets] & nearer).to(sent.dtype).transpose(2, 3)
        partial = unit.joined(unit.table[graphs.types[..., self.targets]], parts @ sent)
        source = (states @ self.source)[:, :, self.sources]
        place = self.place(self.sources, self.targets)
        place = place.transpose(0, 1) if self.conditioned else place[:, None]
        seen = self.seen(latents)
        seen = seen[:, None, None] if isinstance(seen, Tensor) else seen
        logits = self.logit(source, partial @ self.target, place, seen) + self.straight(latents, self.sources, self.targets)
        true = graphs.edges[..., self.sources, self.targets]
        loss = F.binary_cross_entropy_with_logits(logits, true.to(logits.dtype), reduction="none")
        decided = grammar.decided(graphs)[..., self.sources, self.targets]
        return loss.masked_fill(decided, 0.0).flatten(1).sum(dim=1)
