"""The macro search space of ENAS: a chain of layers, each with one of six operators and skip connections from earlier layers.

H. Pham et al., "Efficient Neural Architecture Search via Parameter Sharing", ICML 2018, arXiv 1802.03268. With six layers it is
the space of D-VAE (M. Zhang et al., NeurIPS 2019, arXiv 1904.11088) and of NGAE (J. Li et al., arXiv 2006.10310).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from archsearch.errors import ArchitectureError, check_whole_number
from archsearch.spaces.architecture import Architecture, Cell
from archsearch.spaces.graph import INPUT, OUTPUT, GraphBatch
from archsearch.spaces.space import Genotype, SearchSpace

if TYPE_CHECKING:
    from archsearch.spaces.builder import Builder

OPERATORS = ("conv3x3", "sep3x3", "conv5x5", "sep5x5", "avg3x3", "max3x3")


class ENAS(SearchSpace):
    """`[[op], [op, bit], [op, bit, bit], ...]`: for each layer the index of its operator and its skip bits.

    The graph has a vertex for the input (0: the stem), for each layer (1, 2, ...) and for the output. Each vertex reads the one
    before it; these edges are not part of the text. Bit `j` of layer `v` is an additional edge from vertex `j` to vertex `v`,
    `j = 0 .. v - 2`: layer `v` adds the output of vertex `j` to that of its operator.

    With 6 layers there are 6^6 * 2^15 = 1.5e9 architectures, all of them distinct. The genes are the numbers of the text, in
    its order.

    Args:
        layers: Number of layers.

    Scale:
        channels: Channels of the first stage (published: 36 in the search, 96 in the final network).
        stages: Number of parts of equal length; between two of them height and width are halved (published: 3).
        growth: Factor by which the channels grow where the size is halved (published: 1 in the search, 2 in the final
            network).

    Raises:
        ConfigurationError: `layers` is not a positive int.
    """

    name: ClassVar[str] = "enas"
    operators: ClassVar[tuple[str, ...]] = OPERATORS
    scale_defaults: ClassVar[Mapping[str, int]] = {"channels": 36, "stages": 3, "growth": 1}

    def __init__(self, layers: int = 6) -> None:
        check_whole_number("layers", layers)
        if layers != 6:
            self.name = f"enas{layers}"  # type: ignore[misc]  # architectures hold the name of their space, and depths must not be mixed
        self.layers = layers
        self._choices: dict[str, Sequence[int] | Sequence[str]] = {}
        self._operator_genes: list[int] = []
        self._skip_genes: dict[tuple[int, int], int] = {}
        for layer in range(1, layers + 1):
            self._operator_genes.append(len(self._choices))
            self._choices[f"layer{layer}"] = OPERATORS
            for source in range(layer - 1):
                self._skip_genes[source, layer] = len(self._choices)
                self._choices[f"skip_{source}_{layer}"] = (0, 1)
        self._sizes = tuple(len(values) for values in self._choices.values())
        self._edges = tuple((source, target) for target in range(1, layers + 2) for source in range(target))

    @property
    def choices(self) -> Mapping[str, Sequence[Any]]:
        return self._choices

    @property
    def gene_groups(self) -> Sequence[Sequence[str]]:
        """The operator and the skip bits of each layer."""
        names, ends = list(self._choices), [*self._operator_genes[1:], len(self._choices)]
        return [names[start:end] for start, end in zip(self._operator_genes, ends, strict=True)]

    @property
    def num_unique(self) -> int:
        """Number of genotypes: the chain through all vertices fixes their order, so no two graphs are isomorphic."""
        return self.size

    def from_genotype(self, genotype: Sequence[int]) -> Architecture:
        genes = tuple(int(gene) for gene in genotype)
        if len(genes) != len(self._sizes) or not all(0 <= gene < size for gene, size in zip(genes, self._sizes, strict=True)):
            raise ArchitectureError(
                f"genotype: expected {len(self._sizes)} indices, for each layer an operator from 0 to {len(OPERATORS) - 1} "
                f"and its skip bits 0 or 1; got {genes}."
            )
        rows = [genes[first : first + layer] for layer, first in enumerate(self._operator_genes, start=1)]
        skips = {edge for edge, gene in self._skip_genes.items() if genes[gene]}
        edges = tuple(edge for edge in self._edges if edge[0] + 1 == edge[1] or edge in skips)
        names = (INPUT, *(OPERATORS[row[0]] for row in rows), OUTPUT)
        return Architecture(self.name, json.dumps(rows), (Cell(self.layers + 2, edges, names),))

    def genotype(self, architecture: Architecture) -> Genotype:
        (cell,) = self._own(architecture).cells
        genes = [0] * len(self._sizes)
        for gene, operator in zip(self._operator_genes, cell.node_operators[1:-1], strict=True):
            genes[gene] = OPERATORS.index(operator)
        for edge in cell.edges:
            if edge in self._skip_genes:
                genes[self._skip_genes[edge]] = 1
        return tuple(genes)

    def parse(self, text: str) -> Architecture:
        try:
            rows = json.loads(text)
        except (TypeError, ValueError, RecursionError):
            rows = None
        if (
            not isinstance(rows, list)
            or [len(row) if isinstance(row, list) else 0 for row in rows] != [*range(1, self.layers + 1)]
            or not all(type(number) is int for row in rows for number in row)
        ):
            raise ArchitectureError(
                f"text: expected an ENAS structure of {self.layers} layers, the k-th with its operator and k - 1 skip bits, "
                f"such as [[0], [5, 1], [3, 0, 1], ...]; got {text!r}."
            )
        for layer, (operator, *bits) in enumerate(rows, start=1):
            if not 0 <= operator < len(OPERATORS) or not set(bits) <= {0, 1}:
                raise ArchitectureError(
                    f"text: expected an operator from 0 to {len(OPERATORS) - 1} and skip bits 0 or 1; "
                    f"got {[operator, *bits]} in layer {layer} of {text!r}."
                )
        return self.from_genotype([number for row in rows for number in row])

    def key(self, architecture: Architecture) -> str:
        """Return the canonical identity: a digest of the text, because no two graphs of this space are isomorphic."""
        return hashlib.blake2b(self._own(architecture).text.encode(), digest_size=10).hexdigest()

    def representative(self, architecture: Architecture) -> Architecture:
        return self._own(architecture)

    def representative_graphs(self, batch: GraphBatch) -> GraphBatch:
        return batch

    def canonical_graphs(self, batch: GraphBatch) -> GraphBatch:
        return batch

    def encode(self, architectures: Sequence[Architecture]) -> GraphBatch:
        return self.encode_genotypes(self.genotypes(architectures))

    def encode_genotypes(self, genotypes: NDArray[np.integer]) -> GraphBatch:
        """Return the graphs of a population of genotypes `[batch, genes]`."""
        batch, vertices = len(genotypes), self.layers + 2
        operators = np.empty((batch, 1, vertices), dtype=np.int8)
        operators[:, 0, 0], operators[:, 0, -1] = 0, 1
        operators[:, 0, 1:-1] = genotypes[:, self._operator_genes]
        operators[:, 0, 1:-1] += 2
        adjacency = np.zeros((batch, 1, vertices, vertices), dtype=bool)
        adjacency[:, 0] = np.eye(vertices, k=1, dtype=bool)
        for (source, target), gene in self._skip_genes.items():
            adjacency[:, 0, source, target] = genotypes[:, gene]
        return GraphBatch(self.vocabulary, operators, adjacency)

    def decode(self, batch: GraphBatch) -> list[Architecture]:
        vertices = self.layers + 2
        if batch.vocabulary != self.vocabulary or (len(batch) and batch.operators.shape[1:] != (1, vertices)):
            raise ArchitectureError(
                f"batch: expected graphs of {self.name} ([batch, 1, {vertices}] operators of its vocabulary); "
                f"got {list(batch.operators.shape)}."
            )
        if not len(batch):
            return []
        genotypes = np.empty((len(batch), len(self._sizes)), dtype=np.int8)
        genotypes[:, self._operator_genes] = batch.operators[:, 0, 1:-1] - 2
        for (source, target), gene in self._skip_genes.items():
            genotypes[:, gene] = batch.adjacency[:, 0, source, target]
        same = self.encode_genotypes(genotypes)
        if (same.operators != batch.operators).any() or (same.adjacency != batch.adjacency).any():
            raise ArchitectureError(
                f"batch: expected in each graph of {self.name} a chain from one input through {self.layers} layers to one "
                "output, with skips between earlier vertices and layers alone, as encode gives them; got others."
            )
        return [self.from_genotype(row) for row in genotypes.tolist()]

    def network(self, build: Builder, architecture: Architecture, num_classes: int, **scale: int) -> int:
        # Operators need torch; looking up scores in a table does not.
        from archsearch.spaces.networks.enas import skeleton

        return skeleton(build, architecture.cells[0], num_classes, **scale)

    def __repr__(self) -> str:
        return f"ENAS(layers={self.layers})"


def enas12() -> ENAS:
    """Return the space of the ENAS paper, with 12 layers (section 2.3)."""
    return ENAS(layers=12)
