"""The cell search space of NAS-Bench-201: four nodes, six edges, five operators on edges.

X. Dong, Y. Yang, "NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search", ICLR 2020,
arXiv 2001.00326.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from itertools import product
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from archsearch.errors import ArchitectureError, unknown_name
from archsearch.spaces.architecture import Architecture, Cell
from archsearch.spaces.cost import Cost
from archsearch.spaces.graph import GraphBatch, lower
from archsearch.spaces.space import Genotype, SearchSpace

if TYPE_CHECKING:
    from archsearch.spaces.builder import Builder

OPERATORS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
_WEIGHTS = len(OPERATORS) ** np.arange(len(EDGES) - 1, -1, -1)
_ZERO = "#"  # sorts before all operators, as the published count requires
_TEXT = re.compile(r"\|([^|]+)\|\+\|([^|]+)\|([^|]+)\|\+\|([^|]+)\|([^|]+)\|([^|]+)\|")


class NASBench201(SearchSpace):
    """`|op~0|+|op~0|op~1|+|op~0|op~1|op~2|`: one operator on each edge of the complete graph over four nodes.

    15,625 architectures, 6,466 of them distinct. The genes are the edges in the order 0>1, 0>2, 1>2, 0>3, 1>3, 2>3.

    Scale:
        channels: Channels of the first stage (published: 16); the second and third have twice and four times as many.
        cells_per_stage: Number of cells in each of the three stages (published: 5).
        replicas: Number of independent networks that are trained in one pass. Their images are concatenated in the channels
            (`[batch, replicas * channels, height, width]`), and so are their logits (`[batch, replicas * classes]`).
    """

    name: ClassVar[str] = "nasbench201"
    operators: ClassVar[tuple[str, ...]] = OPERATORS
    scale_defaults: ClassVar[Mapping[str, int]] = {"channels": 16, "cells_per_stage": 5, "replicas": 1}

    _choices: ClassVar[dict[str, tuple[str, ...]]] = {f"edge_{u}_{v}": OPERATORS for u, v in EDGES}

    @property
    def choices(self) -> Mapping[str, Sequence[str]]:
        return self._choices

    @property
    def num_unique(self) -> int:
        """The published number of distinct structures, 6,466."""
        return 6466

    def from_genotype(self, genotype: Sequence[int]) -> Architecture:
        indices = tuple(int(gene) for gene in genotype)
        if len(indices) != len(EDGES) or not all(0 <= gene < len(OPERATORS) for gene in indices):
            raise ArchitectureError(
                f"genotype: expected {len(EDGES)} operator indices from 0 to {len(OPERATORS) - 1}; got {indices}."
            )
        return _architecture(indices)

    def genotype(self, architecture: Architecture) -> Genotype:
        operators = self._own(architecture).cells[0].edge_operators
        return tuple(OPERATORS.index(operator) for operator in operators)

    def parse(self, text: str) -> Architecture:
        match = _TEXT.fullmatch(text.strip()) if isinstance(text, str) else None
        if match is None:
            raise ArchitectureError(
                "text: expected a NAS-Bench-201 cell such as "
                f"|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|none~2|; got {text!r}."
            )
        genotype = []
        for (source, _), part in zip(EDGES, match.groups(), strict=True):
            operator, separator, origin = part.rpartition("~")
            if not separator or origin != str(source):
                raise ArchitectureError(
                    f"text: expected an operator on node {source}, written OP~{source}; got {part!r} in {text!r}."
                )
            if operator not in OPERATORS:
                raise ArchitectureError(unknown_name("operator", operator, OPERATORS))
            genotype.append(OPERATORS.index(operator))
        return _architecture(tuple(genotype))

    def key(self, architecture: Architecture) -> str:
        """Return the canonical identity: zero edges are pruned, skip connections merged, and the terms of sums sorted.

        This identity gives the published number, 6,466 (section 2.1 of the paper). Cells of different keys may still compute the
        same function: a sum keeps its zero terms, and is not flattened when a skip connection passes it on. Without these two
        distinctions, 4,930 structures would remain.
        """
        return _key(self.genotype(architecture))

    def representative(self, architecture: Architecture) -> Architecture:
        """Return the last in the order of genotypes of the architectures with the same key and the most `none`.

        Predictors ranked better with it than with the first one: operators that a skip connection passes on stand early, and
        edges without effect are empty.
        """
        return _architecture(_same_key()[_number(self.genotype(architecture))][0])

    def representative_graphs(self, batch: GraphBatch) -> GraphBatch:
        return self.canonical_graphs(batch)

    def canonical_graphs(self, batch: GraphBatch) -> GraphBatch:
        same = _same_key()
        return self.encode_genotypes(
            np.array([same[number][0] for number in self._numbers(batch)], dtype=np.int8).reshape(-1, len(EDGES))
        )

    def spellings(self, batch: GraphBatch) -> tuple[GraphBatch, NDArray[np.int64]]:
        same = [_same_key()[number] for number in self._numbers(batch)]
        genotypes = np.array([genotype for found in same for genotype in found], dtype=np.int8).reshape(-1, len(EDGES))
        return self.encode_genotypes(genotypes), np.repeat(np.arange(len(same)), [len(found) for found in same])

    def _numbers(self, batch: GraphBatch) -> list[int]:
        """Return the place of each architecture of a population in the order of all genotypes."""
        self._check(batch)
        numbers: list[int] = ((batch.operators[:, 0, 1:-1].astype(np.int64) - 2) @ _WEIGHTS).tolist()
        return numbers

    def encode(self, architectures: Sequence[Architecture]) -> GraphBatch:
        return self.encode_genotypes(self.genotypes(architectures))

    def encode_genotypes(self, genotypes: NDArray[np.integer]) -> GraphBatch:
        """Return the graphs of a population of genotypes `[batch, 6]`; all cells share one adjacency matrix."""
        batch = len(genotypes)
        operators = np.empty((batch, 1, len(EDGES) + 2), dtype=np.int8)
        operators[:, 0, 0], operators[:, 0, -1] = 0, 1
        operators[:, 0, 1:-1] = genotypes
        operators[:, 0, 1:-1] += 2
        edges = np.full((batch, 1, 4, 4), -1, dtype=np.int8)
        for gene, (source, target) in enumerate(EDGES):
            edges[:, 0, source, target] = operators[:, 0, 1 + gene]
        adjacency = np.broadcast_to(_ADJACENCY, (batch, 1, *_ADJACENCY.shape))
        return GraphBatch(self.vocabulary, operators, adjacency, edges)

    def decode(self, batch: GraphBatch) -> list[Architecture]:
        self._check(batch)
        return [self.from_genotype(row) for row in batch.operators[:, 0, 1:-1].astype(int) - 2]

    def _check(self, batch: GraphBatch) -> None:
        """Raise ArchitectureError unless graphs have the layout of `encode`."""
        if batch.vocabulary != self.vocabulary or batch.operators.shape[1:] != (1, len(EDGES) + 2):
            raise ArchitectureError(
                f"batch: expected graphs of {self.name} ([batch, 1, 8] operators of its vocabulary); "
                f"got {list(batch.operators.shape)}."
            )
        if (batch.operators[:, 0, [0, -1]] != (0, 1)).any() or (batch.adjacency != _ADJACENCY).any():
            raise ArchitectureError(
                f"batch: expected the edges of {self.name} between one input and one output, as encode gives them; got others."
            )

    def cost(
        self,
        architecture: Architecture,
        input_shape: tuple[int, int, int] = (3, 32, 32),
        num_classes: int = 10,
        **scale: int,
    ) -> Cost:
        # All edges of a cell work at one size, so the cost is that of the network without edges plus that of each edge.
        settings = tuple(sorted(self.checked_scale(scale).items()))
        params, macs = _operator_costs(tuple(input_shape), num_classes, settings)
        genotype = self.genotype(architecture)
        return Cost(params[-1] + sum(params[gene] for gene in genotype), macs[-1] + sum(macs[gene] for gene in genotype))

    def network(self, build: Builder, architecture: Architecture, num_classes: int, **scale: int) -> int:
        # Operators need torch; looking up scores in a table does not.
        from archsearch.spaces.networks.nasbench201 import skeleton

        return skeleton(build, dict(zip(EDGES, architecture.cells[0].edge_operators, strict=True)), num_classes, **scale)


@cache  # at most 15,625 entries
def _architecture(genotype: Genotype) -> Architecture:
    names = tuple(OPERATORS[gene] for gene in genotype)
    parts = [f"{name}~{source}" for name, (source, _) in zip(names, EDGES, strict=True)]
    text = f"|{parts[0]}|+|{'|'.join(parts[1:3])}|+|{'|'.join(parts[3:])}|"
    return Architecture(NASBench201.name, text, (Cell(4, EDGES, edge_operators=names),))


@cache  # at most 15,625 entries
def _key(genotype: Genotype) -> str:
    """Return a digest of the output written as an expression of the input, with sorted sums."""
    expressions = {0: "x"}
    for node in (1, 2, 3):
        terms = []
        for (source, target), gene in zip(EDGES, genotype, strict=True):
            if target == node:
                operator, value = OPERATORS[gene], expressions[source]
                if operator == "none" or value == _ZERO:
                    terms.append(_ZERO)
                else:
                    terms.append(value if operator == "skip_connect" else f"({value}){operator}")
        expressions[node] = "+".join(sorted(terms))
    return hashlib.blake2b(expressions[3].encode(), digest_size=10).hexdigest()


@cache
def _same_key() -> list[list[Genotype]]:
    """Return for each genotype, in order, all with the same key: those with the most `none` first, the last genotype first."""
    by_key: dict[str, list[Genotype]] = {}
    genotypes = list(product(range(len(OPERATORS)), repeat=len(EDGES)))
    for genotype in genotypes:
        by_key.setdefault(_key(genotype), []).append(genotype)
    for same in by_key.values():
        same.sort(key=lambda genotype: (genotype.count(0), genotype), reverse=True)
    return [by_key[_key(genotype)] for genotype in genotypes]


def _number(genotype: Genotype) -> int:
    """Return the place of a genotype in the order of all of them."""
    return int(np.dot(genotype, _WEIGHTS))


@lru_cache(maxsize=64)
def _operator_costs(
    input_shape: tuple[int, int, int], num_classes: int, scale: tuple[tuple[str, int], ...]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the parameters and MACs that one edge with each operator adds; the last entries are those of no edges."""
    space = NASBench201()
    costs = [
        space.plan(_architecture((operator, 0, 0, 0, 0, 0)), num_classes, input_shape[0], **dict(scale)).cost(input_shape)
        for operator in range(len(OPERATORS))
    ]
    empty = costs[OPERATORS.index("none")]
    params = tuple(cost.params - empty.params for cost in costs)
    return (*params, empty.params), (*(cost.macs - empty.macs for cost in costs), empty.macs)


_ADJACENCY = lower(_architecture((0,) * len(EDGES)).cells[0]).adjacency
