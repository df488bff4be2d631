"""One architecture has one prediction: whatever its spelling, models give it the same encoding, prediction and weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from archsearch import spaces
from archsearch.evaluators import GHN, NGAE, Predictor
from archsearch.evaluators.predictors.gaussian_process import GaussianProcess
from archsearch.spaces import Architecture, GraphBatch, ModuleSpace, SearchSpace
from archsearch.spaces.anytime import Anytime
from archsearch.spaces.cells import Cells
from archsearch.spaces.graph import Graph, pack
from archsearch.spaces.listed import listed
from archsearch.spaces.module import Choose
from archsearch.spaces.nasnet import INPUTS, SLOTS, STEPS
from archsearch.spaces.strided_stem import StridedStem

Pairs = tuple[list[Architecture], list[Architecture]]
NASBENCH201 = spaces.get("nasbench201")
NUMBER = 24


def chain(choose: Choose) -> nn.Module:
    """Layers of which an identity may stand at any place, so that many choices give one module."""
    operators = {"conv": lambda: nn.Conv1d(2, 2, 1), "skip": nn.Identity, "relu": nn.ReLU}
    layers = [choose.layer(f"op{number}", operators) for number in range(3)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(2, 2))


def renumbered(space: SearchSpace, architecture: Architecture, rng: np.random.Generator) -> Architecture:
    """Return an architecture with operators on nodes with its nodes in another topological order, drawn at random."""
    return space.decode(pack([[_shuffled(graph, rng) for graph in space.graphs(architecture)]], space.vocabulary))[0]


def _shuffled(graph: Graph, rng: np.random.Generator) -> Graph:
    inputs, size = graph.operators.count("input"), len(graph.operators)
    order = [*range(inputs)]
    while len(order) < size - 1:
        left = [node for node in range(inputs, size - 1) if node not in order]
        ready = [node for node in left if not graph.adjacency[left, node].any()]
        order.append(int(rng.choice(ready)))
    order.append(size - 1)
    return Graph(tuple(graph.operators[node] for node in order), graph.adjacency[np.ix_(order, order)])


def reordered(space: SearchSpace, architecture: Architecture, rng: np.random.Generator) -> Architecture:
    """Return an architecture of the NASNet space with the pairs of each step swapped, and steps in another order if they can."""
    genes = np.array(space.genotype(architecture)).reshape(-1, STEPS, SLOTS, 2)[:, :, ::-1].copy()
    for cell in genes:
        for step in range(STEPS - 1):
            if INPUTS + step not in cell[step + 1, :, 0] and rng.random() < 0.5:
                cell[[step, step + 1]] = cell[[step + 1, step]]
                later, names = cell[step + 2 :, :, 0], (INPUTS + step, INPUTS + step + 1)
                cell[step + 2 :, :, 0] = np.where(later == names[0], names[1], np.where(later == names[1], names[0], later))
    return space.from_genotype(genes.ravel().tolist())


def another_genotype(space: SearchSpace, architecture: Architecture, rng: np.random.Generator) -> Architecture:
    """Return a random one of all architectures of a small space that have the same key."""
    same = _spellings(space)[space.key(architecture)]
    return same[int(rng.integers(len(same)))]


@cache
def _spellings(space: SearchSpace) -> dict[str, list[Architecture]]:
    found: dict[str, list[Architecture]] = {}
    for genotype in space.all_genotypes():
        architecture = space.from_genotype(genotype)
        found.setdefault(space.key(architecture), []).append(architecture)
    return found


SPACES: Mapping[str, tuple[Callable[[], SearchSpace], Callable[..., Architecture]]] = {
    "nasbench201": (lambda: NASBENCH201, another_genotype),
    "nasbench201 in a table": (lambda: listed(NASBENCH201, _some_texts()), another_genotype),
    "nasbench201 for large images": (lambda: StridedStem(NASBENCH201, 1), another_genotype),
    "nasnet": (lambda: spaces.get("nasnet"), reordered),
    "cells": (lambda: Cells(nodes=8), renumbered),
    "anytime": (lambda: Anytime(nodes=(6, 4)), renumbered),
    "module": (lambda: ModuleSpace(chain, torch.zeros(1, 2, 4)), another_genotype),
}


def _some_texts() -> list[str]:
    rng = np.random.default_rng(5)
    return [str(NASBENCH201.sample(rng)) for _ in range(1500)]


@cache
def spelled(name: str) -> tuple[SearchSpace, Pairs]:
    """Return a space, random architectures, and another spelling of each."""
    make, respell = SPACES[name]
    space, rng = make(), np.random.default_rng(0)
    first = [space.sample(rng) for _ in range(NUMBER)]
    second = [respell(space, each, rng) for each in first]
    assert [space.key(each) for each in first] == [space.key(each) for each in second]
    assert sum(str(one) != str(other) for one, other in zip(first, second, strict=True)) > NUMBER / 5
    return space, (first, second)


@pytest.mark.parametrize("name", SPACES)
def test_spellings_have_one_representative_and_one_graph(name: str) -> None:
    space, (first, second) = spelled(name)
    for one, other in zip(first, second, strict=True):
        assert space.representative(one) == space.representative(other)
        assert space.key(space.representative(one)) == space.key(one)
    for made in (space.canonical_graphs, space.representative_graphs):
        ours, theirs = (made(space.encode(each)) for each in (first, second))
        assert _equal(ours, theirs)
        assert ours.operators.shape[1] == space.encode(first).operators.shape[1]
    if name != "nasbench201 in a table":  # it reads graphs as the nearest of the table
        assert space.keys(space.representative_graphs(space.encode(first))) == [space.key(each) for each in first]


def _equal(one: GraphBatch, other: GraphBatch) -> bool:
    edges = one.edges is other.edges or np.array_equal(one.edges, other.edges)  # type: ignore[arg-type]
    return edges and np.array_equal(one.operators, other.operators) and np.array_equal(one.adjacency, other.adjacency)


@pytest.mark.parametrize("name", ["nasbench101", "enas", "enas12"])
def test_where_each_key_has_one_spelling_all_stays_as_it_is(name: str) -> None:
    space, rng = spaces.get(name), np.random.default_rng(0)
    architectures = [space.sample(rng) for _ in range(NUMBER)]
    batch = space.encode(architectures)
    assert [space.representative(each) for each in architectures] == architectures
    assert _equal(space.canonical_graphs(batch), batch)
    assert _equal(space.representative_graphs(batch), batch)


TINY: dict[str, Any] = {"epochs": 1, "width": 8, "hidden": 8, "embedding": 4, "recurrent": 4, "head": (8,)}


@pytest.mark.parametrize(
    "name", ["nasbench201", "module", *(pytest.param(each, marks=pytest.mark.slow) for each in ("nasnet", "cells", "anytime"))]
)
def test_spellings_have_one_prediction(name: str) -> None:
    space, (first, second) = spelled(name)
    scores = np.random.default_rng(1).random(NUMBER)
    models: list[Any] = [Predictor(space, encoder, **TINY) for encoder in ("gates", "gcn", "gcn-global", "lstm", "mlp")]
    for model in [*models, *(GaussianProcess(space, features=features) for features in ("graf", "paths"))]:
        model.fit(first, scores)
        np.testing.assert_array_equal(model.predict(first), model.predict(second))
    again = models[0].predict(first)
    np.testing.assert_array_equal(models[0].fit(second, scores).predict(first), again)


@pytest.mark.parametrize("name", ["nasbench201", "cells", "module"])
def test_spellings_have_one_latent_point(name: str) -> None:
    space, (first, second) = spelled(name)
    model = NGAE(space, epochs=1, width=8, type_width=8, edge_width=8, latent=4, head=(4,))
    model.fit(first, np.random.default_rng(1).random(NUMBER))
    np.testing.assert_array_equal(model.encode(first), model.encode(second))
    np.testing.assert_array_equal(model.predict(first), model.predict(second))


@pytest.mark.parametrize(
    ("name", "scale"),
    [
        ("nasbench201", {"channels": 2, "cells_per_stage": 1}),
        pytest.param("cells", {"blocks": 3, "channels": 4}, marks=pytest.mark.slow),
    ],
)
def test_spellings_have_one_score_with_generated_weights(name: str, scale: dict[str, int]) -> None:
    space, (first, second) = spelled(name)
    ghn = GHN(space, "digits", hidden=8, width=12, tile=3, scale=scale, evaluation_images=32).fit(1)
    ours, theirs = (ghn.evaluate(each[:6]) for each in (first, second))
    assert [each.score for each in ours] == pytest.approx([each.score for each in theirs])
    losses = [[each.metrics["valid_loss"] for each in found] for found in (ours, theirs)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
