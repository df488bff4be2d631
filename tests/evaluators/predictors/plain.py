"""Slow reference of the predictor: GATES, head and losses by their equations, one architecture, node and pair at a time."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from archsearch.evaluators.predictors.encoders.gates_cells import CellsGATES
from archsearch.evaluators.predictors.encoders.gates_edge import EdgeGATES
from archsearch.evaluators.predictors.encoders.gates_node import NodeGATES
from archsearch.evaluators.predictors.featured import Featured
from archsearch.evaluators.predictors.head import Head
from archsearch.evaluators.predictors.structure import Structured
from archsearch.spaces import Architecture, SearchSpace
from archsearch.spaces import nasbench201 as on_edges
from archsearch.spaces import nasnet as in_slots


def vector(encoder: torch.nn.Module, space: SearchSpace, architecture: Architecture, *appended: Tensor) -> Tensor:
    """Return the vector of one architecture, followed by its counted structure and its features where the preset has them."""
    if isinstance(encoder, Structured | Featured):
        *before, last = appended
        return torch.cat([vector(encoder.encoder, space, architecture, *before), last])
    if isinstance(encoder, NodeGATES):
        return on_nodes(encoder, space, architecture)
    if isinstance(encoder, EdgeGATES):
        return on_pairs(encoder, space, architecture)
    assert isinstance(encoder, CellsGATES)
    return by_slots(encoder, architecture)


def of_layer(encoder: torch.nn.Module, number: int) -> dict[str, Tensor]:
    beginning = f"layers.{number}."
    return {name.removeprefix(beginning): value[0] for name, value in encoder.named_parameters() if name.startswith(beginning)}


def on_nodes(encoder: NodeGATES, space: SearchSpace, architecture: Architecture) -> Tensor:
    """H' = sigmoid(E W_o + b_o) * (A S) + R(S) + b with S = H W_x; the sum of all but the inputs over the most of such nodes."""
    batch, found, number = space.encode([architecture]), [], 0
    embeddings = torch.cat([torch.zeros_like(encoder.operators[0][:1]), encoder.operators[0]])
    for operators, edges in zip(batch.operators[0], batch.adjacency[0], strict=True):
        nodes = [int(node) for node in np.flatnonzero(operators >= 0)]
        depths: dict[int, int] = {}
        for node in nodes:
            depths[node] = max((1 + depths[source] for source in nodes if edges[source, node]), default=0)
        states = {}
        for node in nodes:
            own = encoder.rest[0][min(depths[node], encoder.rest.shape[1] - 1)]
            if operators[node] == 0:
                own, number = encoder.entries[0][number], number + 1
            states[node] = own @ encoder.project.weight[0] + encoder.project.bias[0, 0]
        for layer in range(encoder.settings.layers):
            of = of_layer(encoder, layer)
            moved = {node: (state.relu() if layer else state) @ of["weight"] for node, state in states.items()}
            for node in nodes:
                reads = [source for source in nodes if edges[source, node]] + [node] * encoder.settings.self_loops
                arriving = sum((moved[source] for source in reads), torch.zeros_like(moved[node]))
                gate = torch.sigmoid(embeddings[operators[node]] @ of["gate.weight"] + of["gate.bias"][0])
                states[node] = gate * arriving + of["bias"][0] + (moved[node] if encoder.settings.residual else 0.0)
        others = [state for node, state in states.items() if operators[node] != 0]
        found.append(torch.stack(others).sum(0) / (encoder.form.nodes - encoder.form.inputs))
    return torch.cat(found)


def on_pairs(encoder: EdgeGATES, space: SearchSpace, architecture: Architecture) -> Tensor:
    """H'_v = sum over u of sigmoid(E_vu W_o + b_o) * S_u, and S_v at the input; the state of the last node."""
    entry = encoder.entries[0][0]
    states = [own @ encoder.project.weight[0] + encoder.project.bias[0, 0] for own in (entry, *[0 * entry] * 3)]
    for layer in range(encoder.settings.layers):
        of = of_layer(encoder, layer)
        moved = [(state.relu() if layer else state) @ of["weight"] for state in states]
        states = [moved[0], *[torch.zeros_like(moved[0])] * 3]
        for (source, target), operator in zip(on_edges.EDGES, space.genotype(architecture), strict=True):
            if operator:  # 0 is none
                gate = torch.sigmoid(encoder.operators[0][operator - 1] @ of["gate.weight"] + of["gate.bias"][0])
                states[target] = states[target] + gate * moved[source]
    return states[3]


def by_slots(encoder: CellsGATES, architecture: Architecture) -> Tensor:
    """H'_v = mean over slots d of sigmoid(E_vd W_o + b_o) * S_u(v, d), and S_v at the inputs; the mean over the steps."""
    found, inputs = [], in_slots.INPUTS
    for number, cell in enumerate(architecture.cells):
        entries = list(encoder.entries[0][inputs * number :][:inputs])
        steps = [torch.zeros_like(entries[0])] * in_slots.STEPS
        states = [own @ encoder.project.weight[0] + encoder.project.bias[0, 0] for own in (*entries, *steps)]
        for layer in range(encoder.settings.layers):
            of = of_layer(encoder, layer)
            moved = [(state.relu() if layer else state) @ of["weight"] for state in states]
            states = [*moved[:inputs], *[torch.zeros_like(moved[0])] * in_slots.STEPS]
            for (source, target), name in zip(cell.edges, cell.edge_operators, strict=True):
                embedding = encoder.operators[0][in_slots.OPERATORS.index(name)]
                gate = torch.sigmoid(embedding @ of["gate.weight"] + of["gate.bias"][0])
                states[target] = states[target] + gate * moved[source] / in_slots.SLOTS
        found.append(torch.stack(states[inputs:]).mean(0))
    return torch.cat(found)


def head(head: Head, values: Tensor) -> Tensor:
    """Return the score of one vector: linear layers with a rectifier between them."""
    for number, layer in enumerate(head.layers):
        values = (values.relu() if number else values) @ layer.weight[0] + layer.bias[0, 0]
    return values[0]


def pairs(targets: Sequence[float]) -> list[tuple[int, int]]:
    """Return the pairs with different targets, the worse first."""
    return [(i, j) for i, j in itertools.permutations(range(len(targets)), 2) if targets[j] > targets[i]]


def loss(name: str, scores: Sequence[Tensor], targets: Sequence[float], margin: float) -> Tensor:
    """Return the loss of scores: hinge, bce, listmle or mse; means over pairs, places or architectures."""
    if name == "hinge":
        return torch.stack([(margin - (scores[j] - scores[i])).clamp(min=0.0) for i, j in pairs(targets)]).mean()
    if name == "bce":
        return torch.stack([-torch.log(torch.sigmoid(scores[j] - scores[i])) for i, j in pairs(targets)]).mean()
    if name == "mse":
        return torch.stack([(torch.sigmoid(s) - y) ** 2 for s, y in zip(scores, targets, strict=True)]).mean()
    ranked = [scores[at] for at in sorted(range(len(targets)), key=lambda at: -targets[at])]
    return torch.stack([torch.stack(ranked[i:]).exp().sum().log() - ranked[i] for i in range(len(ranked))]).mean()


def comparator(of_head: Head, vectors: Sequence[Tensor], targets: Sequence[float], margin: float) -> Tensor:
    """Return the hinge loss of both comparisons of each pair, c(a, b) = head([e_a; e_b - e_a]), above zero where b is better."""
    terms = []
    for low, high in pairs(targets):
        rising = head(of_head, torch.cat([vectors[low], vectors[high] - vectors[low]]))
        falling = head(of_head, torch.cat([vectors[high], vectors[low] - vectors[high]]))
        terms.append((margin - rising).clamp(min=0.0) + (margin + falling).clamp(min=0.0))
    return torch.stack(terms).mean()
