"""Genes of user-defined spaces stand in their pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import pytest

from archsearch import spaces
from archsearch.platform.report.drawing import draw_architecture
from archsearch.platform.report.gene_labels import gene_labels
from archsearch.spaces import Architecture, Builder, Cell, GeneSpace, Graph
from archsearch.spaces.operators import GlobalAveragePool, Linear, conv_bn_relu


class Stack(GeneSpace):
    """Two operators and a repeated cell; the gene `twice` decides two nodes, and `skip` an edge."""

    name = "stack"
    operators = ("conv", "pool")
    choices: ClassVar = {"first": operators, "twice": operators, "skip": (0, 1)}

    def cells(self, genes: Mapping[str, Any]) -> tuple[Cell, ...]:
        names = ("input", genes["first"], genes["twice"], genes["twice"], "output")
        edges = [(0, 1), (1, 2), (2, 3), (3, 4)] + ([(1, 4)] if genes["skip"] else [])
        return (Cell(5, tuple(edges), names),)

    def genes(self, graphs: Sequence[Graph]) -> Mapping[str, Any]:
        _, first, twice, _, _ = graphs[0].operators
        return {"first": first, "twice": twice, "skip": int(graphs[0].adjacency[1, 4])}

    def network(self, build: Builder, architecture: Architecture, num_classes: int, **scale: int) -> int:
        x = build.add("pool", GlobalAveragePool(), build.add("stem", conv_bn_relu(build.in_channels, 4, 3), build.input))
        return build.add("classifier", Linear(4, num_classes), x)


def test_a_gene_that_decides_one_operator_is_named() -> None:
    space = Stack()
    assert gene_labels(space, space.parse("conv pool 1")) == ({1: "first"},)
    figure = draw_architecture(space, space.parse("conv pool 1"))
    words = [text.get_text() for text in figure.axes[0].texts]
    assert "first: conv" in words and words.count("pool") == 2


@pytest.mark.parametrize("name", ["nasbench201", "enas", "cells"])
def test_built_in_spaces_have_no_labels(name: str) -> None:
    space = spaces.get(name)
    architecture = space.sample(np.random.default_rng(0))
    assert not any(gene_labels(space, architecture))
