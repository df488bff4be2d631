"""Custom spaces: everything is derived from genes, a graph rule and a network, even if genes are refused or have no effect."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import pytest

from archsearch.errors import ArchitectureError, ConfigurationError
from archsearch.spaces import Architecture, Builder, Cell, GeneSpace, Graph, SearchSpace
from archsearch.spaces.conformance import SpaceConformance
from archsearch.spaces.graph import GraphBatch, pack
from archsearch.spaces.operators import Concatenate, GlobalAveragePool, Linear, MaxPool, Sum, conv_bn

LAYERS = ("layer1", "layer2", "layer3")
EDGES = ((0, 2), (1, 2), (0, 3), (1, 3), (2, 3))


class Depth(GeneSpace):
    """One to three layers: the operators behind the last one make no difference, and two pools in a row are refused."""

    name = "depth"
    operators = ("conv", "pool")
    constrained = True
    scale_defaults: ClassVar[Mapping[str, int]] = {"channels": 4}
    choices: ClassVar[Mapping[str, Sequence[Any]]] = {"depth": (1, 2, 3), **dict.fromkeys(LAYERS, operators)}

    def cells(self, genes: Mapping[str, Any]) -> tuple[Cell, ...]:
        layers = [genes[layer] for layer in LAYERS[: genes["depth"]]]
        if ("pool", "pool") in itertools.pairwise(layers):
            raise ArchitectureError(f"layers: expected no two pools in a row; got {layers}.")
        size = len(layers) + 2
        return (Cell(size, tuple((node, node + 1) for node in range(size - 1)), ("input", *layers, "output")),)

    def genes(self, graphs: Sequence[Graph]) -> Mapping[str, Any]:
        layers = graphs[0].operators[1:-1]
        return {"depth": len(layers), **dict.fromkeys(LAYERS, "conv"), **dict(zip(LAYERS, layers, strict=False))}

    def network(self, build: Builder, architecture: Architecture, num_classes: int, **scale: int) -> int:
        x, channels = build.add("stem", conv_bn(build.in_channels, scale["channels"], 3), build.input), scale["channels"]
        for number, name in enumerate(architecture.cells[0].node_operators[1:-1]):
            x = build.add(f"layer{number}", MaxPool(3) if name == "pool" else conv_bn(channels, channels, 3), x)
        return build.add("classifier", Linear(channels, num_classes), build.add("pool", GlobalAveragePool(), x))


class Twins(GeneSpace):
    """Two cells with two inputs each and operators on their edges, and an exit after each cell."""

    name = "twins"
    operators = ("conv", "pool")
    num_inputs = 2
    choices: ClassVar[Mapping[str, Sequence[Any]]] = {f"cell{cell}_{u}_{v}": ("conv", "pool") for cell in "ab" for u, v in EDGES}

    def cells(self, genes: Mapping[str, Any]) -> tuple[Cell, ...]:
        return tuple(Cell(4, EDGES, edge_operators=tuple(genes[f"cell{cell}_{u}_{v}"] for u, v in EDGES)) for cell in "ab")

    def genes(self, graphs: Sequence[Graph]) -> Mapping[str, Any]:
        return dict(zip(self.choices, (name for graph in graphs for name in graph.operators[2:-1]), strict=True))

    def network(self, build: Builder, architecture: Architecture, num_classes: int, **scale: int) -> tuple[int, ...]:
        last = stem = build.add("stem", conv_bn(build.in_channels, 4, 3), build.input)
        exits = []
        for number, cell in enumerate(architecture.cells):
            slots: dict[int, list[int]] = {0: [stem], 1: [last]}
            for (source, target), name in zip(cell.edges, cell.edge_operators, strict=True):
                total = build.add(f"{number}_{source}_{target}_in", Sum(), *slots[source])
                operator = MaxPool(3) if name == "pool" else conv_bn(4, 4, 1)
                slots.setdefault(target, []).append(build.add(f"{number}_{source}_{target}", operator, total))
            last = build.add(f"{number}_out", Sum(), *slots[3])
            both = build.add(f"{number}_both", Concatenate(), stem, last)
            pooled = build.add(f"{number}_pool", GlobalAveragePool(), both)
            exits.append(build.add(f"{number}_exit", Linear(8, num_classes), pooled))
        return tuple(exits)


class TestOwnSpaces(SpaceConformance):
    @pytest.fixture(autouse=True, params=[Depth, Twins])
    def choose_space(self, request: pytest.FixtureRequest) -> None:
        self.kind: type[SearchSpace] = request.param

    def make_space(self) -> SearchSpace:
        return self.kind()


def test_idle_genes_are_brought_to_one_text() -> None:
    space = Depth()
    texts = {str(space.parse(f"1 pool {second} {third}")) for second, third in itertools.product(("conv", "pool"), repeat=2)}
    assert texts == {"1 pool conv conv"}
    assert space.parse(" 1  pool conv\nconv ") == space.from_params({"depth": 1, **dict.fromkeys(LAYERS, "pool")})


def test_a_constrained_space_draws_valid_architectures_alone() -> None:
    space, rng = Depth(), np.random.default_rng(0)
    drawn = [space.sample(rng) for _ in range(300)]
    valid = {1: 2, 2: 3, 3: 5}  # chains of a length without two pools in a row
    found = {depth: {str(one) for one in drawn if space.params(one)["depth"] == depth} for depth in valid}
    assert {depth: len(texts) for depth, texts in found.items()} == valid
    neighbours = {str(space.mutate(space.parse("1 pool conv conv"), rng)) for _ in range(200)}
    assert neighbours == {"1 conv conv conv", "2 pool conv conv", "3 pool conv conv"}


def test_a_space_that_refuses_everything_says_so() -> None:
    class Nothing(Depth):
        attempts = 50

        def cells(self, genes: Mapping[str, Any]) -> tuple[Cell, ...]:
            raise ArchitectureError("genes: expected others.")

    with pytest.raises(ArchitectureError, match="sample: no genotype out of 50 was valid"):
        Nothing().sample(np.random.default_rng(0))
    with pytest.raises(ArchitectureError, match="mutate: no change of one gene out of 50 gave another architecture"):
        Nothing().mutate(Depth().parse("1 pool conv conv"), np.random.default_rng(0))


def test_errors_of_an_unconstrained_space_are_shown_at_once() -> None:
    class Careless(Depth):
        constrained = False

    rng = np.random.default_rng(0)
    with pytest.raises(ArchitectureError, match="layers: expected no two pools in a row"):
        for _ in range(100):
            Careless().sample(rng)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("2 conv pool", r"text: expected 4 words, one per gene, such as '1 conv conv conv'; got '2 conv pool'"),
        ("4 conv pool conv", r"depth: expected one of 1, 2, 3; got '4'"),
        ("2 conv poll conv", r"layer2: expected one of conv, pool; got 'poll'. Did you mean 'pool'"),
        ("2 pool pool conv", r"layers: expected no two pools in a row"),
        (7, r"text: expected 4 words"),
    ],
)
def test_malformed_texts_are_explained(text: Any, message: str) -> None:
    with pytest.raises(ArchitectureError, match=message):
        Depth().parse(text)


def test_graphs_of_another_form_are_refused() -> None:
    space = Depth()
    batch = space.encode([space.parse("3 conv pool conv")])
    loop = batch.adjacency.copy()
    loop[0, 0, 0, 2] = True
    longer = Graph(("input", *["conv"] * 5, "output"), np.eye(7, k=1, dtype=bool))
    for damaged in (
        GraphBatch(batch.vocabulary, batch.operators, loop),
        GraphBatch(("input", "output", "pool", "conv"), batch.operators, batch.adjacency),
        pack([[longer]], space.vocabulary),
        pack([[longer, longer]], space.vocabulary),
        GraphBatch(batch.vocabulary, np.full_like(batch.operators, -1), batch.adjacency),
    ):
        with pytest.raises(ArchitectureError, match="batch"):
            space.decode(damaged)


@pytest.mark.parametrize("alternatives", [(), (1, "1"), ("a b", "ab"), ("", "a")])
def test_alternatives_must_be_different_words(alternatives: tuple[Any, ...]) -> None:
    class Alike(Depth):
        choices: ClassVar[Mapping[str, Sequence[Any]]] = {**Depth.choices, "depth": alternatives}

    with pytest.raises(
        ConfigurationError, match=r"choices\['depth'\]: expected alternatives that are written as different words"
    ):
        Alike().parse("1 conv conv conv")
