"""GATES on cells with slots: against a loop over slots, and under renumbering of steps and slots."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from archsearch.evaluators.predictors.encoders.gates_cells import CellsGATES
from archsearch.evaluators.predictors.form import Form
from archsearch.evaluators.predictors.settings import Settings
from archsearch.spaces import Architecture, GraphBatch
from archsearch.spaces.nasnet import INPUTS, OPERATORS, SLOTS, STEPS, NASNet

Generators = Callable[..., list[torch.Generator]]
SPACE = NASNet()
SMALL = Settings(layers=3, width=6, embedding=4, hidden=5)


def population(number: int, seed: int = 0) -> list[Architecture]:
    rng = np.random.default_rng(seed)
    return [SPACE.sample(rng) for _ in range(number)]


def encoder(settings: Settings, generators: list[torch.Generator]) -> CellsGATES:
    return CellsGATES(Form.of(SPACE.encode(population(1)), INPUTS), settings, generators)


def encoded(encoder: CellsGATES, batch: GraphBatch) -> Tensor:
    """Return `[members, batch, features]`."""
    with torch.no_grad():
        return encoder.forward(*encoder.precompute(*(tensor.unsqueeze(0) for tensor in encoder.tensors(batch, encoder.form))))


def slot_by_slot(encoder: CellsGATES, architecture: Architecture, member: int) -> Tensor:
    """Return the vector of one architecture by the equations."""
    parameters = {name: value[member].detach() for name, value in encoder.named_parameters()}
    vector = []
    for number, cell in enumerate(architecture.cells):
        entries = parameters["entries"][INPUTS * number :][:INPUTS]
        states = [*entries, *torch.zeros(STEPS, encoder.settings.embedding)]
        states = [state @ parameters["project.weight"] + parameters["project.bias"][0] for state in states]
        for layer in range(encoder.settings.layers):
            of = {name: parameters[f"layers.{layer}.{name}"] for name in ("gate.weight", "gate.bias", "weight")}
            moved = [(state.relu() if layer else state) @ of["weight"] for state in states]
            states = [*moved[:INPUTS], *torch.zeros(STEPS, encoder.settings.width)]
            for (source, target), name in zip(cell.edges, cell.edge_operators, strict=True):
                embedding = parameters["operators"][OPERATORS.index(name)]
                gate = torch.sigmoid(embedding @ of["gate.weight"] + of["gate.bias"][0])
                states[target] = states[target] + gate * moved[source] / SLOTS
        vector.append(torch.stack(states[INPUTS:]).mean(0))
    return torch.cat(vector)


def test_fast_encoder_is_the_slot_by_slot_one(generators: Generators) -> None:
    made, architectures = encoder(SMALL, generators(0, 1)), population(30)
    vectors = encoded(made, SPACE.encode(architectures))
    for member in range(2):
        expected = torch.stack([slot_by_slot(made, architecture, member) for architecture in architectures])
        assert torch.allclose(vectors[member], expected, atol=1e-5)


def test_isomorphic_cells_have_the_same_vector(generators: Generators) -> None:
    """Steps in another order that keeps edges forward, and slots swapped: one key, one vector."""
    rng = np.random.default_rng(0)
    made = encoder(Settings(), generators())
    originals = population(200, seed=1)
    others = [SPACE.from_genotype(reordered(SPACE.genotype(architecture), rng)) for architecture in originals]
    assert [SPACE.key(a) for a in originals] == [SPACE.key(b) for b in others]
    assert sum(a != b for a, b in zip(originals, others, strict=True)) > 190
    vectors, same = (encoded(made, SPACE.encode(architectures)) for architectures in (originals, others))
    assert (vectors - same).abs().max() < 1e-5 * vectors.abs().max()


def reordered(genotype: tuple[int, ...], rng: np.random.Generator) -> list[int]:
    """Return the genes of the same cells, their steps in another topological order and the pairs of a step in any order."""
    pairs = np.array(genotype).reshape(2, STEPS, SLOTS, 2)
    genes: list[int] = []
    for cell in pairs:
        places = {node: node for node in range(INPUTS)}
        left = list(range(STEPS))
        while left:
            ready = [step for step in left if all(int(source) in places for source in cell[step, :, 0])]
            step = ready[int(rng.integers(len(ready)))]
            left.remove(step)
            for slot in rng.permutation(SLOTS):
                genes += [places[int(cell[step, slot, 0])], int(cell[step, slot, 1])]
            places[INPUTS + step] = len(places)
    return genes


def test_cells_and_their_inputs_are_distinguished(generators: Generators) -> None:
    made = encoder(SMALL, generators())
    genotype = np.array(SPACE.genotype(population(1)[0])).reshape(2, STEPS, SLOTS, 2)
    swapped = genotype.copy()
    swapped[..., 0] = np.where(genotype[..., 0] < INPUTS, 1 - genotype[..., 0], genotype[..., 0])
    rows = [SPACE.from_genotype(genes.flatten().tolist()) for genes in (genotype, genotype[::-1], swapped)]
    [vectors] = encoded(made, SPACE.encode(rows))
    assert torch.cdist(vectors, vectors).add(torch.eye(3)).min() > 1e-3


def test_an_empty_slot_passes_nothing(generators: Generators) -> None:
    made, [architecture] = encoder(SMALL, generators()), population(1)
    batch = SPACE.encode([architecture])
    assert batch.edges is not None
    emptied = batch.edges.copy()
    emptied[0, 0, 1, :, INPUTS:] = -1
    cell = architecture.cells[0]
    half = replace(cell, edges=cell.edges[::2], edge_operators=cell.edge_operators[::2])
    expected = slot_by_slot(made, replace(architecture, cells=(half, architecture.cells[1])), 0)
    found = encoded(made, GraphBatch(batch.vocabulary, batch.operators, batch.adjacency, emptied))
    assert torch.allclose(found[0, 0], expected, atol=1e-5)


def test_gradient_reaches_all_parameters(generators: Generators) -> None:
    made = encoder(SMALL, generators(0, 1))
    batch = SPACE.encode(population(30))
    made(*made.precompute(*(tensor.unsqueeze(0) for tensor in made.tensors(batch, made.form)))).square().sum().backward()
    for name, parameter in made.named_parameters():
        assert parameter.grad is not None and (parameter.grad.flatten(1).abs().amax(1) > 0).all(), name
