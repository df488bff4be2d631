"""Growing architectures: sizes, completeness in small spaces, limits."""

from __future__ import annotations

import numpy as np
import pytest

from archsearch import spaces
from archsearch.spaces.growth import PlaceGrowth, VertexGrowth, growth_of
from archsearch.spaces.nasbench101.space import NASBench101
from archsearch.spaces.nasbench201 import NASBench201
from archsearch.spaces.space import SearchSpace

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("name", spaces.names())
def test_each_step_decides_one_place_more_at_most(name: str) -> None:
    space = spaces.get(name)
    growth = growth_of(space)
    architecture = growth.smallest()
    assert growth.size(architecture) == 0
    for size in range(min(4, growth.largest)):
        grown = growth.grown(architecture, 60, RNG)
        assert grown
        assert len({growth.name(each) for each in grown}) == len(grown)
        assert all(growth.size(each) <= size + 1 for each in grown)
        architecture = max(grown, key=growth.size)
        assert growth.size(architecture) == size + 1


@pytest.mark.parametrize(
    ("name", "places"), [("nasbench201", 6), ("nasbench101", 5), ("nasnet", 8), ("enas", 6), ("cells", 15), ("anytime", 48)]
)
def test_places_are_blocks_nodes_layers_or_genes(name: str, places: int) -> None:
    space = spaces.get(name)
    assert growth_of(space).largest == places
    assert sorted(gene for group in space.gene_groups for gene in group) == sorted(space.choices)


def test_undecided_places_have_the_plainest_operator() -> None:
    assert set(spaces.get("nasbench201").params(growth_of(NASBench201()).smallest()).values()) == {"none"}
    blocks = spaces.get("nasnet").params(growth_of(spaces.get("nasnet")).smallest())
    assert {value for name, value in blocks.items() if name.endswith("operator")} == {"skip_connect"}


def test_a_fully_decided_architecture_grows_no_more() -> None:
    for space in (NASBench201(), NASBench101()):
        growth = growth_of(space)
        whole = growth.smallest()
        while growth.size(whole) < growth.largest:
            whole = max(growth.grown(whole, 100, RNG), key=growth.size)
        assert growth.grown(whole, 100, RNG) == []


def test_many_children_are_drawn_up_to_the_limit() -> None:
    growth = PlaceGrowth(spaces.get("nasnet"))
    rows = growth.genotypes(growth.smallest(), 50, RNG)
    assert 40 < len(rows) <= 50
    assert len(PlaceGrowth(NASBench201()).genotypes(growth_of(NASBench201()).smallest(), 1000, RNG)) == 24


def reached(space: SearchSpace, steps: int) -> set[str]:
    growth = growth_of(space)
    level = {space.key(growth.smallest()): growth.smallest()}
    found = dict(level)
    for _ in range(steps):
        level = {space.key(each): each for parent in level.values() for each in growth.grown(parent, 10**6, RNG)}
        found |= level
    return set(found)


def test_every_cell_of_five_vertices_grows_from_the_smallest() -> None:
    space = NASBench101()
    expected = set()
    rng = np.random.default_rng(0)
    for cell in (space.sample(rng) for _ in range(500)):
        if VertexGrowth(space).size(cell) <= 3:
            expected.add(space.key(cell))
    assert len(expected) > 100
    assert expected <= reached(space, 3)
