"""The equations of NGAE for one graph at a time, as slow twins of the batched ones.

J. Li et al., "Neural Architecture Optimization with Graph VAE", arXiv 2006.10310, with the gated sum of D-VAE (M. Zhang et al.,
NeurIPS 2019, equation 6) as aggregate A and a gated recurrent unit as update U.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from archsearch.evaluators.ngae.grammar import Grammar
from archsearch.evaluators.ngae.graphs import ABSENT, Graphs
from archsearch.evaluators.ngae.model import GraphVAE
from archsearch.evaluators.ngae.predictors import LatentPredictor
from archsearch.evaluators.ngae.propagation import Messages, Unit
from archsearch.evaluators.ngae.settings import Settings


def one_unit(unit: Unit, kind: int, state: Tensor) -> Tensor:
    """U: a gated recurrent unit, with a one-hot input."""
    width = len(state)
    given, kept = unit.table[kind], state @ unit.weight + unit.bias
    reset = torch.sigmoid(given[:width] + kept[:width])
    update = torch.sigmoid(given[width : 2 * width] + kept[width : 2 * width])
    new = torch.tanh(given[2 * width :] + reset * kept[2 * width :])
    return (1 - update) * new + update * state


def one_message(messages: Messages, state: Tensor, vertex: int, cell: int) -> Tensor:
    """One term of A: `sigmoid(G [h; id] + b) * (M [h; id])`; without an id, of h alone."""
    width = len(state)
    both = state @ messages.weight
    if messages.places is not None:
        both = both + messages.places[vertex, cell]
    return torch.sigmoid(both[:width] + messages.bias) * both[width:]


def one_pass(messages: Messages, unit: Unit, kinds: list[int], edges: Tensor, cell: int, first: Tensor) -> list[Tensor]:
    """Equation 2: the states of the vertices of one cell, one after the other."""
    states: list[Tensor] = []
    for vertex, kind in enumerate(kinds):
        total = first if vertex == 0 else torch.zeros_like(first)
        for source in range(vertex):
            if edges[source, vertex]:
                total = total + one_message(messages, states[source], source, cell)
        states.append(one_unit(unit, kind, total))
    return states


def one_encoding(model: GraphVAE, graphs: Graphs, row: int, inputs: int, settings: Settings) -> tuple[Tensor, Tensor]:
    """Mean and log-variance of one graph."""
    encoder, read = model.encoder, []
    for cell in range(graphs.types.shape[1]):
        kinds, edges = graphs.types[row, cell].tolist(), graphs.edges[row, cell]
        zero = torch.zeros(settings.width, dtype=torch.float64)
        ahead = one_pass(encoder.messages, encoder.unit, kinds, edges, cell, zero)
        read += ahead if settings.reads_all else [ahead[-1]]
        if settings.backward:
            turned = edges.T.flip((0, 1))
            back = one_pass(encoder.backward_messages, encoder.backward_unit, kinds[::-1], turned, cell, zero)
            read += back if settings.reads_all else back[-inputs:]
    state, latent = torch.cat(read) @ encoder.read_weight + encoder.read_bias, settings.latent
    biases = encoder.mean_bias[:latent], encoder.mean_bias[latent:]
    if settings.perceptrons:
        halves = torch.tanh(state[: settings.width]), torch.tanh(state[settings.width :])
        mean, log_variance = (half @ weight for half, weight in zip(halves, encoder.mean_weight, strict=True))
    else:
        mean, log_variance = state @ encoder.mean_weight[:, :latent], state @ encoder.mean_weight[:, latent:]
    return mean + biases[0], log_variance + biases[1]


def one_divergence(mean: Tensor, log_variance: Tensor) -> float:
    """Equation 3: `-1/2 sum over j of (1 + log sigma_j^2 - mu_j^2 - sigma_j^2)`."""
    pairs = zip(mean.tolist(), log_variance.tolist(), strict=True)
    return -0.5 * sum(1.0 + logarithm - mu**2 - math.exp(logarithm) for mu, logarithm in pairs)


def one_prediction(predictor: LatentPredictor, point: Tensor) -> Tensor:
    """f_perf or f_comp at one point: a perceptron with hyperbolic tangents, unit by unit."""
    layers = list(zip(predictor.weights, predictor.biases, strict=True))
    values = point
    for number, (weight, bias) in enumerate(layers):
        values = torch.stack([values.dot(weight[:, unit]) + bias[unit] for unit in range(weight.shape[1])])
        if number < len(layers) - 1:
            values = torch.tanh(values)
    [output] = values
    return 1 / (1 + torch.exp(-output)) if predictor.sigmoid else output


def one_reconstruction(model: GraphVAE, grammar: Grammar, graphs: Graphs, latent: Tensor, row: int, settings: Settings) -> Tensor:
    """Equation 5: the cross-entropy of one graph, decision by decision, as a decoder takes them (teacher forcing)."""
    decoder, total = model.decoder, torch.zeros((), dtype=torch.float64)
    types, edge_head = decoder.types, decoder.edges
    for cell in range(graphs.types.shape[1]):
        kinds, edges = graphs.types[row, cell].tolist(), graphs.edges[row, cell]
        first = torch.tanh(latent @ decoder.start_weight[cell] + decoder.start_bias[cell])
        states = one_pass(decoder.messages, decoder.unit, kinds, edges, cell, first)
        for vertex in range(1, len(kinds)):
            allowed = grammar.types[cell, vertex]
            hidden = states[vertex - 1] @ types.state + types.places[vertex if settings.conditioned else 0, cell]
            if settings.conditioned:
                hidden = hidden + latent @ types.latent
            logits = torch.relu(hidden) @ types.out + types.bias
            if settings.conditioned:
                logits = logits + latent @ types.direct[vertex, cell]
            chances = torch.softmax(logits[allowed], dim=0)
            total = total - torch.log(chances[int(allowed[: kinds[vertex]].sum())])
            reached = torch.zeros_like(first)
            for source in reversed(range(vertex)):
                if not rules_decide(grammar, graphs, row, cell, source, vertex):
                    state = one_unit(decoder.unit, kinds[vertex], reached)
                    place = edge_head.places[(source, vertex) if settings.conditioned else (0, 0)][cell]
                    hidden = states[source] @ edge_head.source + state @ edge_head.target + place
                    if settings.conditioned:
                        hidden = hidden + latent @ edge_head.latent
                    logit = (torch.relu(hidden) @ edge_head.out + edge_head.bias)[0]
                    if settings.conditioned:
                        logit = logit + latent @ edge_head.direct[source, vertex, cell]
                    chance = torch.sigmoid(logit)
                    total = total - torch.log(chance if edges[source, vertex] else 1 - chance)
                if edges[source, vertex]:
                    reached = reached + one_message(decoder.messages, states[source], source, cell)
    return total


def rules_decide(grammar: Grammar, graphs: Graphs, row: int, cell: int, source: int, vertex: int) -> bool:
    """Whether the rules of the space leave no choice of an edge."""
    kinds, edges = graphs.types[row, cell], graphs.edges[row, cell]
    if not grammar.free[cell, source, vertex] or kinds[source] == ABSENT or kinds[vertex] == ABSENT:
        return True
    if vertex < len(kinds) - 1:
        return False
    read = bool(edges[source, :-1].any())
    return bool(grammar.exclusive[cell, source]) if read else bool(grammar.collects[cell, source])
