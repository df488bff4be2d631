"""Graph convolutions against a loop over nodes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from archsearch import spaces
from archsearch.evaluators.predictors.encoders.gcn import GCN, GlobalGCN
from archsearch.evaluators.predictors.form import Form
from archsearch.evaluators.predictors.settings import Settings
from archsearch.spaces import GraphBatch

Renumber = Callable[[GraphBatch, NDArray[np.int64]], GraphBatch]
Generators = Callable[..., list[torch.Generator]]
SMALL = Settings(width=6, embedding=4)


def encoded(encoder: GCN, batch: GraphBatch) -> Tensor:
    """Return `[members, batch, features]`."""
    with torch.no_grad():
        return encoder.forward(*encoder.precompute(*(tensor.unsqueeze(0) for tensor in encoder.tensors(batch, encoder.form))))


def population(name: str, number: int) -> tuple[GraphBatch, Form]:
    space, rng = spaces.get(name), np.random.default_rng(0)
    batch = space.encode([space.sample(rng) for _ in range(number)])
    return batch, Form.of(batch, space.num_inputs)


def node_by_node(encoder: GCN, batch: GraphBatch, row: int, member: int) -> Tensor:
    """Return the vector of one architecture: `A H W + b` one node at a time."""
    parameters = {name: value[member].detach() for name, value in encoder.named_parameters()}
    vector = []
    for cell in range(batch.operators.shape[1]):
        operators, edges = batch.operators[row, cell], batch.adjacency[row, cell]
        nodes = np.flatnonzero(operators >= 0)
        states = {v: parameters["operators"][operators[v]] @ parameters["project.weight"] for v in nodes}
        states = {v: state + parameters["project.bias"][0] for v, state in states.items()}
        for number in range(encoder.settings.convolutions):
            weight, bias = parameters[f"layers.{number}.weight"], parameters[f"layers.{number}.bias"][0]
            last = number + 1 == encoder.settings.convolutions
            if last and isinstance(encoder, GlobalGCN):
                vector.append(sum(states.values(), torch.zeros(weight.shape[0])) @ weight + bias)
                break
            states = {v: sum((states[u] for u in nodes if edges[u, v]), torch.zeros(weight.shape[0])) for v in nodes}
            states = {v: state @ weight + bias for v, state in states.items()}
            states = {v: state if last else state.relu() for v, state in states.items()}
        else:
            others = [states[v] for v in nodes if operators[v] != 0]
            vector.append(torch.stack(others).sum(0) / (encoder.form.nodes - encoder.form.inputs))
    return torch.cat(vector)


@pytest.mark.parametrize("name", ["nasbench101", "nasbench201", "nasnet", "cells"])
@pytest.mark.parametrize("kind", [GCN, GlobalGCN])
@pytest.mark.parametrize("convolutions", [1, 2, 3])
def test_fast_encoder_is_the_node_by_node_one(name: str, kind: type[GCN], convolutions: int, generators: Generators) -> None:
    batch, form = population(name, 6)
    made = kind(form, SMALL.with_changes(convolutions=convolutions), generators(0, 1))
    vectors = encoded(made, batch)
    assert vectors.shape == (2, 6, made.features)
    for member in range(2):
        expected = torch.stack([node_by_node(made, batch, row, member) for row in range(6)])
        assert torch.allclose(vectors[member], expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", [GCN, GlobalGCN])
def test_order_of_the_nodes_does_not_matter(kind: type[GCN], renumbered: Renumber, generators: Generators) -> None:
    batch, form = population("nasbench101", 300)
    made = kind(form, Settings(), generators())
    order = np.random.default_rng(1).permuted(np.tile(np.arange(7), (300, 1)), axis=1)
    vectors = encoded(made, batch)
    assert (vectors - encoded(made, renumbered(batch, order))).abs().max() < 1e-5 * vectors.abs().max()
