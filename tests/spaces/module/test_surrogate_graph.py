from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from archsearch.errors import ArchitectureError
from archsearch.spaces import ModuleSpace
from archsearch.spaces.module import Choose


class Cell(nn.Module):
    """Two layers side by side, in each of several cells the same."""

    def __init__(self, choose: Choose, width: int) -> None:
        super().__init__()
        layers = {
            "none": None,
            "conv": lambda: nn.Sequential(nn.Conv2d(width, width, 1), nn.ReLU()),
            "pool": lambda: nn.MaxPool2d(3, 1, 1),
        }
        self.parts = nn.ModuleList()
        for name in ("left", "right"):
            layer = choose.layer(name, layers, shared=True)
            if layer is not None:
                self.parts.append(layer)
        self.after = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        return self.after(x + sum(part(x) for part in self.parts))


def cells(choose: Choose) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 1), Cell(choose, 4), Cell(choose, 4), nn.Flatten(), nn.Linear(256, 2))


def widths(choose: Choose) -> nn.Module:
    width = choose.one("width", [8, 64])
    act = choose.one("act", {"relu": nn.ReLU, "gelu": nn.GELU})
    layers = [layer for _ in range(3) for layer in (nn.Linear(width, width), act())]
    return nn.Sequential(nn.Linear(192, 16), nn.Linear(16, width), *layers, nn.Linear(width, 2))


IMAGES = torch.zeros(1, 3, 8, 8)


def test_of_copies_the_first_is_shown_and_what_never_changes_is_left_out() -> None:
    space = ModuleSpace(cells, IMAGES)
    graph, chain = space.graphs(space.parse("left=conv right=pool"))
    assert graph.operators == ("input", "conv", "pool", "output")
    assert np.array_equal(np.argwhere(graph.adjacency), [[0, 1], [0, 2], [0, 3], [1, 3], [2, 3]])
    assert chain.operators == ("input", "left=conv", "right=pool", "output")
    assert space.graphs(space.parse("left=none right=none"))[0].operators == ("input", "output")
    assert [each.operators for each in space.drawing(space.parse("left=conv right=none"))] == [("input", "conv", "output")]


def test_layers_that_differ_in_size_or_type_are_nodes_with_a_size() -> None:
    space = ModuleSpace(widths, torch.zeros(1, 192))
    narrow, wide = (space.graphs(space.parse(f"width={width} act=relu"))[0] for width in (8, 64))
    assert narrow.operators == (
        "input",
        "Linear 2^7",
        "Linear 2^6",
        "ReLU",
        "Linear 2^6",
        "ReLU",
        "Linear 2^6",
        "ReLU",
        "Linear 2^4",
        "output",
    )
    assert "Linear 2^12" in wide.operators
    assert "GELU" in space.graphs(space.parse("width=8 act=gelu"))[0].operators


def test_a_population_is_read_back_from_its_choices() -> None:
    space = ModuleSpace(cells, IMAGES)
    population = [space.from_genotype(genotype) for genotype in space.all_genotypes()]
    batch = space.encode(population)
    assert space.decode(batch) == population
    swapped = batch.operators.copy()
    swapped[0, 1, 1:3] = swapped[0, 1, 2:0:-1]
    with pytest.raises(ArchitectureError, match="in their order"):
        space.decode(type(batch)(batch.vocabulary, swapped, batch.adjacency))
    with pytest.raises(ArchitectureError, match="expected the vocabulary"):
        space.decode(type(batch)(("input", "output"), batch.operators, batch.adjacency))


def test_a_space_of_many_choices_has_labels_for_their_numbers() -> None:
    def build(choose: Choose) -> nn.Module:
        return nn.Sequential(*(nn.Linear(4, 4, bias=choose.one(f"bias{place}", [True, False])) for place in range(70)))

    space = ModuleSpace(build, torch.zeros(1, 4), name="many")
    assert len(space.vocabulary) <= 127
    assert {"alternative 0", "alternative 1", "absent"} <= set(space.vocabulary)
    population = [space.sample(np.random.default_rng(seed)) for seed in range(4)]
    assert space.decode(space.encode(population)) == population
