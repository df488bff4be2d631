"""GATES on edges: by hand, against a loop over nodes, and on all of NAS-Bench-201."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from archsearch.evaluators.predictors.encoders.gates_edge import EdgeGATES
from archsearch.evaluators.predictors.form import Form
from archsearch.evaluators.predictors.settings import Settings
from archsearch.spaces import GraphBatch
from archsearch.spaces.nasbench201 import EDGES, NASBench201

Generators = Callable[..., list[torch.Generator]]
SPACE = NASBench201()
ALL = np.array(list(itertools.product(range(5), repeat=6)))
NONE = 0
SMALL = Settings(layers=3, width=6, embedding=4, hidden=5)


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def encoder(settings: Settings, generators: list[torch.Generator]) -> EdgeGATES:
    return EdgeGATES(Form.of(SPACE.encode_genotypes(ALL[:1]), inputs=1), settings, generators)


def encoded(encoder: EdgeGATES, batch: GraphBatch) -> Tensor:
    """Return `[members, batch, features]`."""
    with torch.no_grad():
        return encoder.forward(*encoder.precompute(*(tensor.unsqueeze(0) for tensor in encoder.tensors(batch, encoder.form))))


def node_by_node(encoder: EdgeGATES, genotype: tuple[int, ...], member: int) -> Tensor:
    """Return the vector of one cell by the equations: all nodes in all layers, edge by edge."""
    parameters = {name: value[member].detach() for name, value in encoder.named_parameters()}
    first = [parameters["entries"][0], *[torch.zeros(encoder.settings.embedding)] * 3]
    states = [state @ parameters["project.weight"] + parameters["project.bias"][0] for state in first]
    for layer in range(encoder.settings.layers):
        of = {name: parameters[f"layers.{layer}.{name}"] for name in ("gate.weight", "gate.bias", "weight")}
        moved = [(state.relu() if layer else state) @ of["weight"] for state in states]
        states = [moved[0], *(torch.zeros(encoder.settings.width) for _ in range(3))]
        for (source, target), operator in zip(EDGES, genotype, strict=True):
            if operator != NONE:
                gate = torch.sigmoid(parameters["operators"][operator - 1] @ of["gate.weight"] + of["gate.bias"][0])
                states[target] = states[target] + gate * moved[source]
    return states[3]


def test_cell_by_hand(generators: Generators) -> None:
    """One feature of each kind, two layers: 0>1 by operator 1, 1>3 by operator 2, 0>3 by operator 3."""
    made = encoder(Settings(layers=2, width=1, embedding=1, hidden=1), generators())
    values = {
        "entries": 2.0,
        "project.weight": 3.0,
        "project.bias": 1.0,
        "layers.0.weight": 0.5,
        "layers.0.gate.weight": 1.0,
        "layers.0.gate.bias": 0.25,
        "layers.1.weight": 2.0,
        "layers.1.gate.weight": -1.0,
        "layers.1.gate.bias": 0.5,
    }
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            parameter.fill_(values.get(name, 0.0))
        made.operators[0, :, 0] = torch.tensor([0.1, 0.2, 0.3, 0.4])
    batch = SPACE.encode([SPACE.from_genotype([1, 0, 0, 3, 2, 0])])
    entry = 0.5 * (3.0 * 2.0 + 1.0)
    node = sigmoid(0.1 + 0.25) * entry
    expected = sigmoid(-0.3 + 0.5) * (2.0 * entry) + sigmoid(-0.2 + 0.5) * (2.0 * node)
    assert float(encoded(made, batch)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("layers", [1, 2, 5])
def test_fast_encoder_is_the_node_by_node_one(layers: int, generators: Generators) -> None:
    made = encoder(SMALL.with_changes(layers=layers), generators(0, 1))
    genotypes = ALL[np.random.default_rng(layers).integers(len(ALL), size=60)]
    vectors = encoded(made, SPACE.encode_genotypes(genotypes))
    for member in range(2):
        expected = torch.stack([node_by_node(made, tuple(genotype), member) for genotype in genotypes])
        assert torch.allclose(vectors[member], expected, atol=1e-5)


def what_reaches(genotype: tuple[int, ...], node: int = 3) -> str:
    """Return the sum that arrives at a node as a string of operators on the sums of its sources; empty for none."""
    terms = []
    for (source, target), operator in zip(EDGES, genotype, strict=True):
        inner = "x" if source == 0 else what_reaches(genotype, source) if target == node else ""
        if target == node and operator != NONE and inner:
            terms.append(f"{operator}({inner})")
    return "+".join(sorted(terms))


def test_vectors_are_equal_where_cells_are_isomorphic_and_only_there(generators: Generators) -> None:
    """All 15,625 cells. Edges that carry nothing do not count; the order of nodes and sums does not either.

    A skip connection is an operator like any other here, so that GATES distinguishes more cells than the published 6,466 keys.
    """
    made = encoder(Settings(), generators()).double()
    [vectors] = encoded(made, SPACE.encode_genotypes(ALL))
    groups: dict[str, list[int]] = defaultdict(list)
    for row, genotype in enumerate(ALL):
        groups[what_reaches(tuple(genotype))].append(row)
    scale = vectors.abs().max()
    firsts = torch.stack([vectors[rows[0]] for rows in groups.values()])
    spread = max(float((vectors[rows] - vectors[rows[0]]).abs().max()) for rows in groups.values())
    assert spread < 1e-12 * scale, "isomorphic cells differ"
    assert len(torch.unique((firsts / scale * 1e10).round(), dim=0)) == len(groups), "different cells share a vector"


def test_swapped_nodes_change_nothing(generators: Generators) -> None:
    """The nodes 1 and 2 may change places where no edge joins them: 3,125 cells."""
    apart = ALL[ALL[:, 2] == NONE]
    swapped = apart[:, [1, 0, 2, 3, 5, 4]]
    made = encoder(Settings(), generators())
    vectors, same = (encoded(made, SPACE.encode_genotypes(genotypes)) for genotypes in (apart, swapped))
    assert (apart != swapped).any(axis=1).sum() == 3125 - 125
    assert (vectors - same).abs().max() < 1e-5 * vectors.abs().max()


def test_gradient_reaches_all_parameters(generators: Generators) -> None:
    made = encoder(SMALL.with_changes(width=32, hidden=32), generators(0, 1))  # a ReLU of few features may be dead
    batch = SPACE.encode_genotypes(ALL[::97])
    made(*made.precompute(*(tensor.unsqueeze(0) for tensor in made.tensors(batch, made.form)))).square().sum().backward()
    for name, parameter in made.named_parameters():
        assert parameter.grad is not None and (parameter.grad.flatten(1).abs().amax(1) > 0).all(), name
