"""GATES on nodes: by hand, against a loop over nodes, and under renumbering."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from archsearch import spaces
from archsearch.evaluators.predictors.encoders.gates_node import NodeGATES
from archsearch.evaluators.predictors.form import Form
from archsearch.evaluators.predictors.settings import Settings
from archsearch.spaces import GraphBatch, SearchSpace
from archsearch.spaces.anytime import Anytime

Renumber = Callable[[GraphBatch, NDArray[np.int64]], GraphBatch]
Generators = Callable[..., list[torch.Generator]]
SMALL = Settings(layers=3, width=6, embedding=4, hidden=5)
OPTIONS = [(False, True), (True, False), (False, False), (True, True)]


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def population(space: SearchSpace, number: int, seed: int = 0) -> GraphBatch:
    rng = np.random.default_rng(seed)
    return space.encode([space.sample(rng) for _ in range(number)])


def encoder(space: SearchSpace, batch: GraphBatch, settings: Settings, *generators: torch.Generator) -> NodeGATES:
    """Return an encoder, with the zeros that it starts from replaced by random numbers."""
    made = NodeGATES(Form.of(batch, space.num_inputs), settings, generators)
    with torch.no_grad():
        made.rest.normal_(generator=generators[0])
        for layer in made.layers:
            layer.bias.normal_(generator=generators[0])
    return made


def encoded(encoder: NodeGATES, batch: GraphBatch) -> Tensor:
    """Return `[members, batch, features]`."""
    with torch.no_grad():
        return encoder.forward(*encoder.precompute(*(tensor.unsqueeze(0) for tensor in encoder.tensors(batch, encoder.form))))


def longest_paths(edges: NDArray[np.bool_]) -> list[int]:
    """Return the length of the longest path to each node; no edge leads to an earlier one."""
    lengths: list[int] = []
    for node in range(len(edges)):
        lengths.append(max((1 + lengths[source] for source in np.flatnonzero(edges[:, node])), default=0))
    return lengths


def node_by_node(encoder: NodeGATES, batch: GraphBatch, row: int, member: int) -> Tensor:
    """Return the vector of one architecture by the equations, one node at a time."""
    parameters = {name: value[member].detach() for name, value in encoder.named_parameters()}
    embeddings = torch.cat([torch.zeros(1, encoder.settings.embedding), parameters["operators"]])
    vector, number = [], 0
    last = len(parameters["rest"]) - 1
    for cell in range(batch.operators.shape[1]):
        operators, edges = batch.operators[row, cell], batch.adjacency[row, cell]
        states, depths = {}, longest_paths(edges)
        for node in np.flatnonzero(operators >= 0):
            own = parameters["entries"][number] if operators[node] == 0 else parameters["rest"][min(depths[node], last)]
            number += int(operators[node] == 0)
            states[node] = own @ parameters["project.weight"] + parameters["project.bias"][0]
        for layer in range(encoder.settings.layers):
            of = {name: parameters[f"layers.{layer}.{name}"] for name in ("gate.weight", "gate.bias", "weight", "bias")}
            moved = {node: (state.relu() if layer else state) @ of["weight"] for node, state in states.items()}
            for node in states:
                arriving = sum((moved[source] for source in states if edges[source, node]), torch.zeros(encoder.settings.width))
                arriving = arriving + moved[node] if encoder.settings.self_loops else arriving
                gate = torch.sigmoid(embeddings[operators[node]] @ of["gate.weight"] + of["gate.bias"][0])
                states[node] = gate * arriving + of["bias"][0] + (moved[node] if encoder.settings.residual else 0.0)
        others = [state for node, state in states.items() if operators[node] != 0]
        vector.append(torch.stack(others).sum(0) / (encoder.form.nodes - encoder.form.inputs))
    return torch.cat(vector)


def test_chain_by_hand(generators: Generators) -> None:
    """Input, operator, output, with one feature of each kind and two layers."""
    space = spaces.get("nasbench101")
    batch = space.encode([space.parse("[[0,1,1],[0,0,1],[0,0,0]] [input,conv3x3-bn-relu,output]")])
    settings = Settings(layers=2, width=1, embedding=1, hidden=1, residual=False, self_loops=False)
    made = NodeGATES(Form.of(batch, space.num_inputs), settings, generators())
    values = {
        "entries": 2.0,
        "rest": 0.5,
        "project.weight": 3.0,
        "project.bias": 1.0,
        "layers.0.weight": 0.5,
        "layers.0.gate.weight": 1.0,
        "layers.0.gate.bias": 0.25,
        "layers.0.bias": -0.125,
        "layers.1.weight": -2.0,
        "layers.1.gate.weight": -1.0,
        "layers.1.gate.bias": 0.0,
        "layers.1.bias": 0.75,
    }
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            parameter.fill_(values.get(name, 0.0))
        made.operators[0, :, 0] = torch.tensor([0.1, 0.7, 0.0, 0.0])  # output, conv3x3, conv1x1, maxpool3x3
    entry, other = 0.5 * (3.0 * 2.0 + 1.0), 0.5 * (3.0 * 0.5 + 1.0)
    # Layer 1: nothing arrives at the input, the input at the operator, both at the output.
    first = [-0.125, sigmoid(0.7 + 0.25) * entry - 0.125, sigmoid(0.1 + 0.25) * (entry + other) - 0.125]
    moved = [-2.0 * max(0.0, state) for state in first]
    second = [sigmoid(-0.7) * moved[0] + 0.75, sigmoid(-0.1) * (moved[0] + moved[1]) + 0.75]
    # The sum is over the largest number of nodes that are no inputs, whatever this cell has.
    assert float(encoded(made, batch)) == pytest.approx(sum(second) / 6, rel=1e-6)


@pytest.mark.parametrize("name", ["nasbench101", "enas", "cells", "anytime", "nasbench201"])
@pytest.mark.parametrize(("residual", "self_loops"), OPTIONS)
@pytest.mark.parametrize("depth_scale", [0.0, 0.5])
def test_fast_encoder_is_the_node_by_node_one(
    name: str, residual: bool, self_loops: bool, depth_scale: float, generators: Generators
) -> None:
    space = Anytime(nodes=(5, 3)) if name == "anytime" else spaces.get(name)
    batch = population(space, 8)
    settings = SMALL.with_changes(residual=residual, self_loops=self_loops, depth_scale=depth_scale)
    made = encoder(space, batch, settings, *generators(0, 1))
    vectors = encoded(made, batch)
    for member in range(2):
        expected = torch.stack([node_by_node(made, batch, row, member) for row in range(8)])
        assert torch.allclose(vectors[member], expected, atol=1e-5)


@pytest.mark.parametrize(("residual", "self_loops", "depth_scale"), [(*OPTIONS[0], 0.3), (*OPTIONS[1], 0.0)])
def test_renumbered_cells_of_nasbench101_have_the_same_vector(
    residual: bool, self_loops: bool, depth_scale: float, renumbered: Renumber, generators: Generators
) -> None:
    """10,000 pairs; the nodes of one of each pair stand in any order, so that edges run backwards and the padding in between."""
    space = spaces.get("nasbench101")
    batch = population(space, 10_000)
    rng = np.random.default_rng(1)
    other = renumbered(batch, rng.permuted(np.tile(np.arange(7), (len(batch), 1)), axis=1))
    assert (other.adjacency != batch.adjacency).any(axis=(1, 2, 3)).mean() > 0.99
    settings = Settings(layers=4, width=24, residual=residual, self_loops=self_loops, depth_scale=depth_scale)
    made = encoder(space, batch, settings, *generators())
    vectors, same = encoded(made, batch), encoded(made, other)
    assert (vectors - same).abs().max() < 1e-5 * vectors.abs().max()


def test_different_cells_have_different_vectors(generators: Generators) -> None:
    space = spaces.get("nasbench101")
    batch = population(space, 3000)
    keys = space.keys(batch)
    made = encoder(space, batch, Settings(width=32), *generators())
    [vectors] = encoded(made.double(), batch)
    distinct = torch.unique(vectors.mul(1e9).round(), dim=0)
    assert len(distinct) == len(set(keys))


def test_inputs_of_several_cells_are_distinguished(renumbered: Renumber, generators: Generators) -> None:
    """Another order of the nodes changes nothing, unless it swaps the inputs."""
    space = spaces.get("cells")
    batch = population(space, 20)
    made = encoder(space, batch, SMALL, *generators())
    order = np.tile(np.arange(batch.operators.shape[2]), (20, 1))
    inner = order.copy()
    inner[:, 2:] = np.random.default_rng(0).permuted(inner[:, 2:], axis=1)
    swapped = order.copy()
    swapped[:, :2] = [1, 0]
    vectors = encoded(made, batch)
    assert torch.allclose(encoded(made, renumbered(batch, inner)), vectors, atol=1e-5)
    assert (encoded(made, renumbered(batch, swapped)) - vectors).abs().amax(2).min() > 1e-4


def test_padding_changes_nothing(generators: Generators) -> None:
    space = spaces.get("nasbench101")
    small = space.encode([space.parse("[[0,1,1],[0,0,1],[0,0,0]] [input,conv3x3-bn-relu,output]")])
    cut = GraphBatch(small.vocabulary, small.operators[..., :3], small.adjacency[..., :3, :3])
    made = encoder(space, small, SMALL, *generators())
    assert torch.allclose(encoded(made, cut), encoded(made, small), atol=1e-6)


def test_gradient_reaches_all_parameters(generators: Generators) -> None:
    space = spaces.get("nasbench101")
    batch = population(space, 30)
    made = encoder(space, batch, SMALL, *generators(0, 1))
    made(*made.precompute(*(tensor.unsqueeze(0) for tensor in made.tensors(batch, made.form)))).square().sum().backward()
    for name, parameter in made.named_parameters():
        assert parameter.grad is not None and (parameter.grad.flatten(1).abs().amax(1) > 0).all(), name
