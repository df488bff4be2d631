"""Generation of graphs that obey the rules of a space, for a batch of latent points at once."""

from __future__ import annotations

import torch
from torch import Tensor

from archsearch.evaluators.ngae.decoder import Decoder
from archsearch.evaluators.ngae.grammar import Grammar
from archsearch.evaluators.ngae.graphs import ABSENT, Graphs


@torch.no_grad()
def generate(decoder: Decoder, grammar: Grammar, latents: Tensor, generator: torch.Generator | None = None) -> Graphs:
    """Return a graph for each latent point; each decision is drawn, or the likelier one is taken.

    The decoder is not evaluated where the rules leave no choice: for edges that all graphs have, for edges to the output from
    vertices that no other vertex reads, and where the smallest or largest in-degree or number of edges is reached.

    Args:
        decoder: Gives the probabilities.
        grammar: The rules.
        latents: `[batch, latent]`.
        generator: Source of the decisions; None takes the likelier ones.
    """
    return _Writer(decoder, grammar, latents, generator).written()


class _Writer:
    """Graphs under construction: one vertex after the other, and for each its edges from the nearest vertex to the farthest."""

    def __init__(self, decoder: Decoder, grammar: Grammar, latents: Tensor, generator: torch.Generator | None) -> None:
        self.decoder, self.grammar, self.latents, self.generator = decoder, grammar, latents, generator
        batch, cells, vertices = len(latents), grammar.cells, grammar.vertices
        width = decoder.unit.weight.shape[0]
        self.output = vertices - 1
        self.types = torch.zeros(batch, cells, vertices, dtype=torch.int64, device=latents.device)
        self.edges = torch.zeros(batch, cells, vertices, vertices, dtype=torch.bool, device=latents.device)
        self.states = latents.new_zeros(batch, cells, vertices, width)
        self.sent = torch.zeros_like(self.states)
        self.sources = latents.new_zeros(batch, cells, vertices, decoder.edges.out.shape[0])
        self.seen = decoder.edges.seen(latents)
        if isinstance(self.seen, Tensor):
            self.seen = self.seen[:, None]

    def written(self) -> Graphs:
        for vertex in range(self.grammar.vertices):
            self.types[:, :, vertex] = self._type(vertex)
            if vertex == 0:
                state = self.decoder.unit(self.types[:, :, 0], self.decoder.start(self.latents))
            else:
                state = self._connected(vertex)
            self.states[:, :, vertex] = state
            self.sent[:, :, vertex] = self.decoder.messages.sent(state, vertex)
            self.sources[:, :, vertex] = state @ self.decoder.edges.source
        return Graphs(self.types, self.edges)

    def _type(self, vertex: int) -> Tensor:
        """Return the types of a vertex, `[batch, cells]`."""
        allowed = self.grammar.types[:, vertex].expand(len(self.latents), -1, -1).clone()
        if 0 < vertex < self.output:
            only_absent = self.types[:, :, vertex - 1] == ABSENT
            only_absent |= self._least_edges() + 1 > self.grammar.budget
            only_absent &= allowed[..., ABSENT]
            allowed[..., ABSENT + 1 :] &= ~only_absent[..., None]
        if bool((allowed.sum(dim=-1) == 1).all()):
            return allowed.int().argmax(dim=-1)
        logits = self.decoder.types.logits(self.states[:, :, [vertex - 1]], self.latents, [vertex]).squeeze(2)
        logits = logits.masked_fill(~allowed, -torch.inf)
        if self.generator is None:
            return logits.argmax(dim=-1)
        probabilities = torch.softmax(logits, dim=-1)
        return torch.multinomial(probabilities.flatten(0, 1), 1, generator=self.generator).view(logits.shape[:2])

    def _connected(self, vertex: int) -> Tensor:
        """Write the edges that end at a vertex, and return its states `[batch, cells, width]`."""
        unit, grammar = self.decoder.unit, self.grammar
        rows = unit.table[self.types[:, :, vertex]]
        reached = torch.zeros_like(self.states[:, :, 0])
        there = self.types[:, :, vertex] != ABSENT
        spare = grammar.budget - self._least_edges() - int(vertex < self.output)
        degree = torch.zeros_like(self.types[:, :, 0])
        left = self._possible(vertex)
        for source in reversed(range(vertex)):
            loose = self._loose(source)
            must, may = self._rules(source, vertex, loose)
            left -= (must | may).to(left.dtype)
            may &= (degree < grammar.most[:, vertex]) & (loose | (spare > 0))
            must |= may & (degree + left < grammar.fewest[:, vertex])
            chosen = must & there
            asked = may & ~must & there
            if bool(asked.any()):
                chosen |= asked & self._drawn(source, vertex, unit.joined(rows, reached))
            self.edges[:, :, source, vertex] = chosen
            degree += chosen
            spare = spare - (chosen & ~loose).to(spare.dtype)
            reached = reached + chosen[..., None] * self.sent[:, :, source]
        return unit.joined(rows, reached)

    def _rules(self, source: int, vertex: int, loose: Tensor) -> tuple[Tensor, Tensor]:
        """Return whether an edge is forced, and whether it is free, `[batch, cells]` bool each."""
        grammar = self.grammar
        present = self.types[:, :, source] != ABSENT
        must = grammar.forced[:, source, vertex] & present
        may = grammar.free[:, source, vertex] & present
        if vertex == self.output:
            unread = ~self.edges[:, :, source, :-1].any(dim=-1)
            must |= may & unread & grammar.collects[:, source]
            may = may & (unread | ~grammar.exclusive[:, source])
        return must, may & ~must

    def _possible(self, vertex: int) -> Tensor:
        """Return the number of edges that may end at a vertex, `[batch, cells]`."""
        ends = (self.grammar.forced | self.grammar.free)[:, :vertex, vertex]
        return (ends & (self.types[:, :, :vertex] != ABSENT)).sum(dim=-1)

    def _loose(self, vertex: int) -> Tensor:
        """Return whether the output must read a vertex because no other has read it so far, `[batch, cells]` bool."""
        unread = ~self.edges[:, :, vertex].any(dim=-1)
        return unread & self.grammar.collects[:, vertex] & (self.types[:, :, vertex] != ABSENT)

    def _least_edges(self) -> Tensor:
        """Return the number of edges of the graphs if no further vertex is added, `[batch, cells]`."""
        unread = ~self.edges.any(dim=-1) & self.grammar.collects & (self.types != ABSENT)
        return self.edges.sum(dim=(2, 3)) + unread[..., : self.output].sum(dim=-1)

    def _drawn(self, source: int, vertex: int, state: Tensor) -> Tensor:
        """Return whether an edge is generated, `[batch, cells]` bool, given states after all nearer edges."""
        head = self.decoder.edges
        place = head.place(source, vertex)
        logits = head.logit(self.sources[:, :, source], state @ head.target, place, self.seen)
        logits = logits + head.straight(self.latents, source, vertex)
        if self.generator is None:
            return logits > 0
        chance = torch.rand(logits.shape, generator=self.generator, device=logits.device)
        return chance < torch.sigmoid(logits)
