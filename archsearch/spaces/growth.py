"""Growing architectures from the smallest, one place at a time, as progressive searches do."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from archsearch.errors import ArchitectureError
from archsearch.spaces.architecture import Architecture
from archsearch.spaces.nasbench101.code import EDGE_INDEX, EDGES, INTERIOR, LAST, OPERATORS
from archsearch.spaces.nasbench101.space import NASBench101
from archsearch.spaces.space import Genotype, SearchSpace

PLAINEST = ("none", "skip_connect", "identity", "skip")
"""Alternatives that a gene has while it is undecided, the first of them that it has; else its first alternative."""


class Growth(ABC):
    """Sizes of architectures, and the architectures that are one place larger.

    Args:
        space: The space.
    """

    def __init__(self, space: SearchSpace) -> None:
        self.space = space

    @property
    @abstractmethod
    def largest(self) -> int:
        """Size of the largest architectures."""

    @abstractmethod
    def size(self, architecture: Architecture) -> int:
        """Return the number of places that are decided."""

    @abstractmethod
    def smallest(self) -> Architecture:
        """Return the architecture in which nothing is decided, from which the others grow."""

    @abstractmethod
    def genotypes(self, architecture: Architecture, limit: int, rng: np.random.Generator) -> list[Genotype]:
        """Return genotypes with one place more, at most about `limit`, drawn at random where there are more."""

    def name(self, architecture: Architecture) -> str:
        """Return what tells architectures apart while they grow: the key in a small space, else the text, which takes no time."""
        return self.space.key(architecture) if self.space.size <= self.space.enumerable else str(architecture)

    def grown(self, architecture: Architecture, limit: int, rng: np.random.Generator) -> list[Architecture]:
        """Return architectures that are one place larger, each `name` once, in an order that is drawn.

        Args:
            architecture: One of the space.
            limit: Number of genotypes that are tried at most; some of them may be no architecture, or the same one.
            rng: Random generator.
        """
        found: dict[str, Architecture] = {}
        for genotype in self.genotypes(architecture, limit, rng):
            try:
                larger = self.space.from_genotype(genotype)
            except ArchitectureError:
                continue
            found.setdefault(self.name(larger), larger)
        return list(found.values())


class PlaceGrowth(Growth):
    """Growth in spaces of a fixed number of places: an undecided place has the plainest alternatives; see `PLAINEST`.

    A place is one of `SearchSpace.gene_groups`: a node with its operator and inputs, or a single gene. Which of the undecided
    places is decided next is free.

    Args:
        space: The space.

    Example:
        >>> import numpy as np
        >>> from archsearch import spaces
        >>> growth = PlaceGrowth(spaces.get("nasbench201"))
        >>> str(growth.smallest()), growth.largest
        ('|none~0|+|none~0|none~1|+|none~0|none~1|none~2|', 6)
        >>> len(growth.genotypes(growth.smallest(), 100, np.random.default_rng(0)))
        24
    """

    def __init__(self, space: SearchSpace) -> None:
        super().__init__(space)
        names = list(space.choices)
        alternatives = [list(values) for values in space.choices.values()]
        self._sizes = [len(values) for values in alternatives]
        self._plain = tuple(_plainest(values) for values in alternatives)
        groups = [[names.index(name) for name in group] for group in space.gene_groups]
        self._groups = [group for group in groups if any(self._sizes[gene] > 1 for gene in group)]

    @property
    def largest(self) -> int:
        return len(self._groups)

    def size(self, architecture: Architecture) -> int:
        return self.largest - len(self._undecided(self.space.genotype(architecture)))

    def smallest(self) -> Architecture:
        return self.space.from_genotype(self._plain)

    def genotypes(self, architecture: Architecture, limit: int, rng: np.random.Generator) -> list[Genotype]:
        genotype = self.space.genotype(architecture)
        undecided = self._undecided(genotype)
        counts = [int(np.prod([self._sizes[gene] for gene in group], dtype=object)) - 1 for group in undecided]
        if sum(counts) <= limit:
            rows = [self._with(genotype, group, values) for group in undecided for values in self._values(group)]
            return [rows[place] for place in rng.permutation(len(rows)).tolist()]
        found = []
        for place in rng.integers(len(undecided), size=limit).tolist():
            group = undecided[place]
            found.append(self._with(genotype, group, [int(rng.integers(self._sizes[gene])) for gene in group]))
        return [row for row in found if row != genotype]

    def _undecided(self, genotype: Genotype) -> list[list[int]]:
        return [group for group in self._groups if all(genotype[gene] == self._plain[gene] for gene in group)]

    def _values(self, group: Sequence[int]) -> list[tuple[int, ...]]:
        plain = tuple(self._plain[gene] for gene in group)
        return [values for values in itertools.product(*(range(self._sizes[gene]) for gene in group)) if values != plain]

    @staticmethod
    def _with(genotype: Genotype, group: Sequence[int], values: Sequence[int]) -> Genotype:
        genes = list(genotype)
        for gene, value in zip(group, values, strict=True):
            genes[gene] = value
        return tuple(genes)


class VertexGrowth(Growth):
    """Growth of cells of NAS-Bench-101 by one vertex, behind the others.

    The new vertex reads some of the earlier ones and feeds the output; each of those that it reads keeps its edge to the output
    or loses it. Every cell grows from the one without its last vertex.

    Args:
        space: The space.
    """

    space: NASBench101

    @property
    def largest(self) -> int:
        return INTERIOR

    def size(self, architecture: Architecture) -> int:
        return architecture.cells[0].num_nodes - 2

    def smallest(self) -> Architecture:
        genes = [0] * (len(EDGES) + INTERIOR)
        genes[EDGE_INDEX[0, LAST]] = 1
        return self.space.from_genotype(genes)

    def genotypes(self, architecture: Architecture, limit: int, rng: np.random.Generator) -> list[Genotype]:
        genotype, new = self.space.genotype(architecture), 1 + self.size(architecture)
        if new > INTERIOR:
            return []
        feeding = [vertex for vertex in range(new) if genotype[EDGE_INDEX[vertex, LAST]]]
        rows = []
        for read in range(1, 1 << new):
            cut = [vertex for vertex in feeding if read >> vertex & 1]
            for kept in itertools.product((0, 1), repeat=len(cut)):
                for operator in range(len(OPERATORS)):
                    rows.append(_with_vertex(genotype, new, read, dict(zip(cut, kept, strict=True)), operator))
        order = rng.permutation(len(rows))[:limit]
        return [rows[place] for place in order.tolist()]


def _with_vertex(genotype: Genotype, new: int, read: int, kept: dict[int, int], operator: int) -> Genotype:
    genes = list(genotype)
    for vertex in range(new):
        genes[EDGE_INDEX[vertex, new]] = read >> vertex & 1
    for vertex, edge in kept.items():
        genes[EDGE_INDEX[vertex, LAST]] = edge
    genes[EDGE_INDEX[new, LAST]] = 1
    genes[len(EDGES) + new - 1] = operator
    return tuple(genes)


def _plainest(alternatives: Sequence[Any]) -> int:
    """Return the position of the plainest alternative of a gene."""
    return next((alternatives.index(name) for name in PLAINEST if name in alternatives), 0)


def growth_of(space: SearchSpace) -> Growth:
    """Return how architectures of a space grow."""
    return VertexGrowth(space) if isinstance(space, NASBench101) else PlaceGrowth(space)
