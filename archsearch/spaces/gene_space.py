"""A base class for custom search spaces: genes, the graph that they stand for, and its network."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from archsearch.errors import ArchitectureError, ConfigurationError, unknown_name
from archsearch.spaces.architecture import Architecture, Cell
from archsearch.spaces.graph import Graph, GraphBatch, lower
from archsearch.spaces.space import Genotype, SearchSpace
from archsearch.spaces.wiring import checked_genotype


class GeneSpace(SearchSpace):
    """A search space whose architectures are written as their genes: one word each, in the order of `choices`.

    A subclass defines a `name`, the names of its `operators`, its `choices` (a class attribute is enough), a graph rule `cells`
    with its inverse `genes`, and the operators of its `network`. Strings, genotypes, keys, populations as arrays, mutation,
    costs and trainable networks are derived from these. Subclass `SpaceConformance` to test that the parts fit together.

    Set `constrained` if `cells` rejects some genes, or if some genes make no difference to it.

    Attributes:
        attempts: Largest number of invalid draws in a row, in a `constrained` space.

    Raises:
        ConfigurationError: A gene has no alternatives, or two that are written as the same word.

    Example:
        >>> from archsearch.spaces import Cell, GeneSpace
        >>> from archsearch.spaces.operators import GlobalAveragePool, Linear, MaxPool, conv_bn_relu
        >>> class OneLayer(GeneSpace):
        ...     name = "one-layer"
        ...     operators = ("conv", "pool")
        ...     choices = {"layer": ("conv", "pool")}
        ...     def cells(self, genes):
        ...         return (Cell(3, ((0, 1), (1, 2)), node_operators=("input", genes["layer"], "output")),)
        ...     def genes(self, graphs):
        ...         return {"layer": graphs[0].operators[1]}
        ...     def network(self, build, architecture, num_classes, **scale):
        ...         layer = conv_bn_relu(3, 3, 3) if architecture.text == "conv" else MaxPool(3)
        ...         x = build.add("pool", GlobalAveragePool(), build.add("layer", layer, build.input))
        ...         return build.add("classifier", Linear(3, num_classes), x)
        >>> space = OneLayer()
        >>> [str(space.from_genotype(genes)) for genes in space.all_genotypes()], space.cost(space.parse("pool")).params
        (['conv', 'pool'], 40)
    """

    attempts: ClassVar[int] = 10_000

    @abstractmethod
    def cells(self, genes: Mapping[str, Any]) -> tuple[Cell, ...]:
        """Return the cells of an architecture with these genes.

        Args:
            genes: The alternative chosen for each name in `choices`.

        Raises:
            ArchitectureError: The genes do not give a valid architecture.
        """

    @abstractmethod
    def genes(self, graphs: Sequence[Graph]) -> Mapping[str, Any]:
        """Return the genes of an architecture: the inverse of `cells`.

        If several genotypes give the same cells, it must always return the same one of them.

        Args:
            graphs: The graph form of each cell, with operators on nodes; see `lower`. For graphs of another space this may
                raise any exception.
        """

    def from_genotype(self, genotype: Sequence[int]) -> Architecture:
        values = zip(self.choices.items(), checked_genotype(genotype, self.choices), strict=True)
        cells = self.cells({name: alternatives[gene] for (name, alternatives), gene in values})
        genes = self.genes([lower(cell, self.num_inputs) for cell in cells])
        return Architecture(self.name, " ".join(_token(genes[name]) for name in self.choices), cells)

    def genotype(self, architecture: Architecture) -> Genotype:
        tokens = self._own(architecture).text.split(" ")
        return tuple(places[token] for places, token in zip(self._places.values(), tokens, strict=True))

    def parse(self, text: str) -> Architecture:
        tokens = text.split() if isinstance(text, str) else []
        if len(tokens) != len(self._places):
            example = " ".join(next(iter(places)) for places in self._places.values())
            raise ArchitectureError(f"text: expected {len(self._places)} words, one per gene, such as {example!r}; got {text!r}.")
        for token, (name, places) in zip(tokens, self._places.items(), strict=True):
            if token not in places:
                raise ArchitectureError(unknown_name(name, token, places))
        return self.from_genotype([places[token] for token, places in zip(tokens, self._places.values(), strict=True)])

    def sample(self, rng: np.random.Generator) -> Architecture:
        """Return an architecture drawn uniformly from all genotypes, or from the valid ones in a constrained space.

        Raises:
            ArchitectureError: None of `attempts` genotypes was valid.
        """
        for _ in range(self.attempts):
            try:
                return super().sample(rng)
            except ArchitectureError:
                if not self.constrained:
                    raise
        raise ArchitectureError(f"sample: no genotype out of {self.attempts:,} was valid; let {self!r} refuse fewer.")

    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        """Return a copy in which one gene has another value; in a constrained space, a copy that is valid and different.

        Raises:
            ArchitectureError: None of `attempts` changes gave such a copy.
        """
        self._own(architecture)
        for _ in range(self.attempts):
            try:
                child = super().mutate(architecture, rng)
            except ArchitectureError:
                if not self.constrained:
                    raise
                continue
            if child != architecture:
                return child
        raise ArchitectureError(f"mutate: no change of one gene out of {self.attempts:,} gave another architecture.")

    def decode(self, batch: GraphBatch) -> list[Architecture]:
        if batch.vocabulary != self.vocabulary:
            raise ArchitectureError(f"batch: expected the vocabulary of {self.name}; got {batch.vocabulary}.")
        cells = range(batch.operators.shape[1])
        return [self._decoded([batch.graph(row, cell) for cell in cells], row) for row in range(len(batch))]

    def _decoded(self, graphs: Sequence[Graph], row: int) -> Architecture:
        try:
            architecture = self.from_params(self.genes(graphs))
        except (
            ArchitectureError,
            LookupError,
            TypeError,
            ValueError,
        ) as error:  # `genes` may fail in any way on graphs that `cells` did not make
            raise ArchitectureError(f"batch[{row}]: expected graphs of {self.name}; these have no genes ({error}).") from error
        own = self.graphs(architecture)
        if len(own) != len(graphs) or not all(map(_equal, own, graphs)):
            raise ArchitectureError(
                f"batch[{row}]: expected graphs as encode gives them; got others than those of {architecture}."
            )
        return architecture

    @cached_property
    def _places(self) -> dict[str, dict[str, int]]:
        """The index of each alternative by its token, for each gene."""
        places = {}
        for name, alternatives in self.choices.items():
            places[name] = {_token(value): index for index, value in enumerate(alternatives)}
            if not places[name] or len(places[name]) != len(alternatives) or "" in places[name]:
                raise ConfigurationError(
                    f"choices[{name!r}]: expected alternatives that are written as different words; got {list(alternatives)}."
                )
        return places


def _token(value: object) -> str:
    """Return an alternative as one word."""
    return "".join(str(value).split())


def _equal(left: Graph, right: Graph) -> bool:
    return left.operators == right.operators and np.array_equal(left.adjacency, right.adjacency)
