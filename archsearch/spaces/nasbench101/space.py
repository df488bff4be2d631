"""The cell search space of NAS-Bench-101: up to seven vertices and nine edges, three operators on vertices.

C. Ying et al., "NAS-Bench-101: Towards Reproducible Neural Architecture Search", ICML 2019, arXiv 1902.09635.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from archsearch.errors import ArchitectureError, ConfigurationError, unknown_name
from archsearch.spaces.architecture import Architecture, Cell
from archsearch.spaces.cost import Cost
from archsearch.spaces.graph import INPUT, OUTPUT, GraphBatch
from archsearch.spaces.nasbench101.code import (
    EDGE_INDEX,
    EDGES,
    INTERIOR,
    LAST,
    OPERATOR_BITS,
    OPERATORS,
    SHIFTS,
    UNUSED,
    canonical,
    checked,
    from_adjacency,
    is_valid,
    joined,
)
from archsearch.spaces.nasbench101.enumeration import all_codes
from archsearch.spaces.nasbench101.graphs import codes_of, graphs_of
from archsearch.spaces.nasbench101.mutation import mutated
from archsearch.spaces.nasbench101.text import read_cell, write_cell
from archsearch.spaces.space import Genotype, SearchSpace

if TYPE_CHECKING:
    from archsearch.spaces.builder import Builder

SAMPLERS = ("raw", "uniform")
_SIZES = (2,) * len(EDGES) + (len(OPERATORS),) * INTERIOR


class NASBench101(SearchSpace):
    """`[[0,1,1],[0,0,1],[0,0,0]] [input,conv3x3-bn-relu,output]`: a matrix of edges and the labels of the vertices.

    423,624 architectures. Each cell is normalised to the form of the benchmark's own record: vertices on no path from input to
    output are removed, and the others are numbered as in the record. Isomorphic cells are therefore the same architecture with
    the same network, although channels that do not divide evenly are assigned by vertex number.

    The genes are those of a raw cell on seven vertices: 21 edges in the order 0>1, 0>2, 1>2, 0>3, ..., 5>6, and the operators
    of the vertices 1 to 5. Many genotypes give the same architecture, and `genotype` returns one of them. Genotypes without a
    path from input to output, or with more than nine edges after pruning, are invalid.

    Args:
        sampler: Distribution of `sample`: `raw` (`sample_raw`, as is usual for this benchmark) or `uniform` (`sample_uniform`).

    Scale:
        channels: Channels of the first stack (published: 128); they double with each stack.
        cells_per_stack: Cells in each stack (published: 3).
        stacks: Number of stacks; the image is halved between them (published: 3).

    Raises:
        ConfigurationError: The sampler is unknown.
    """

    name: ClassVar[str] = "nasbench101"
    operators: ClassVar[tuple[str, ...]] = OPERATORS
    constrained: ClassVar[bool] = True
    scale_defaults: ClassVar[Mapping[str, int]] = {"channels": 128, "cells_per_stack": 3, "stacks": 3}

    _choices: ClassVar[dict[str, tuple[int, ...] | tuple[str, ...]]] = {
        **{f"edge_{x}_{y}": (0, 1) for x, y in EDGES},
        **{f"operator_{vertex}": OPERATORS for vertex in range(1, LAST)},
    }

    def __init__(self, sampler: str = "raw") -> None:
        if sampler not in SAMPLERS:
            raise ConfigurationError(unknown_name("sampler", sampler, SAMPLERS))
        self.sampler = sampler

    def __repr__(self) -> str:
        return f"{type(self).__name__}(sampler={self.sampler!r})"

    @property
    def choices(self) -> Mapping[str, Sequence[int] | Sequence[str]]:
        return self._choices

    @property
    def num_unique(self) -> int:
        """The published number of distinct cells, 423,624."""
        return 423_624

    @property
    def num_listed(self) -> int:
        """All distinct cells, which the first call enumerates."""
        return self.num_unique

    def listed_graphs(self) -> GraphBatch:
        return graphs_of(all_codes())

    def from_genotype(self, genotype: Sequence[int]) -> Architecture:
        genes = tuple(int(gene) for gene in genotype)
        if len(genes) != len(_SIZES) or not all(0 <= gene < size for gene, size in zip(genes, _SIZES, strict=True)):
            raise ArchitectureError(
                f"genotype: expected {len(EDGES)} edges of 0 or 1 and {INTERIOR} operator indices from 0 to "
                f"{len(OPERATORS) - 1}; got {genes}."
            )
        edges = sum(gene << index for index, gene in enumerate(genes[: len(EDGES)]))
        operators = sum(gene << shift for shift, gene in zip(SHIFTS, genes[len(EDGES) :], strict=True))
        return _architecture(edges << OPERATOR_BITS | operators)

    def genotype(self, architecture: Architecture) -> Genotype:
        code = self._code(architecture)
        edges = [code >> OPERATOR_BITS + index & 1 for index in range(len(EDGES))]
        operators = [code >> shift & UNUSED for shift in SHIFTS]
        return (*edges, *(0 if operator == UNUSED else operator for operator in operators))

    def from_adjacency(self, adjacency: int, operators: Sequence[int]) -> Architecture:
        """Return the architecture of a row of integers, as `enumerate_cells` and tables of the benchmark hold them.

        Args:
            adjacency: Bit `x + y(y-1)/2` is the edge x>y; vertex 0 is the input, the last one the output.
            operators: Index into `operators` of each interior vertex; further entries of -1 are padding.

        Raises:
            ArchitectureError: An operator is out of range, an edge leaves the cell, or the cell is invalid.
        """
        row = [int(operator) for operator in operators]
        if len(row) > INTERIOR:
            raise ArchitectureError(f"operators: expected at most {INTERIOR}, input and output left out; got {row}.")
        padded = np.array([row + [-1] * (INTERIOR - len(row))])
        return _architecture(int(from_adjacency(np.array([int(adjacency)]), padded)[0]))

    def parse(self, text: str) -> Architecture:
        """Return the architecture of a matrix and labels, pruned and numbered as in the benchmark's record.

        Raises:
            ArchitectureError: The text has another form, more than 7 vertices, an edge that does not run forwards, an unknown
                operator, input or output in the wrong place, no path from input to output, or more than 9 edges after pruning.
        """
        return _architecture(_code_of_cell(read_cell(text)))

    def key(self, architecture: Architecture) -> str:
        """Return the canonical identity: equal if and only if the cells are isomorphic.

        The benchmark's own identity, an iterated hash of neighbourhoods, distinguishes the same 423,624 cells.
        """
        return _written(_representative(self._code(architecture)))

    def keys(self, batch: GraphBatch) -> list[str]:
        return [_written(code) for code in canonical(codes_of(batch)).tolist()]

    def representative(self, architecture: Architecture) -> Architecture:
        """Return the cell of the benchmark's record, which each architecture of this space is already."""
        return self._own(architecture)

    def representative_graphs(self, batch: GraphBatch) -> GraphBatch:
        return batch

    def canonical_graphs(self, batch: GraphBatch) -> GraphBatch:
        return batch

    def sample(self, rng: np.random.Generator) -> Architecture:
        """Return a random architecture from the distribution chosen by `sampler`."""
        return self.sample_uniform(rng) if self.sampler == "uniform" else self.sample_raw(rng)

    def sample_raw(self, rng: np.random.Generator) -> Architecture:
        """Return an architecture drawn uniformly from the valid raw cells on seven vertices, as is usual for this benchmark.

        The probability of an architecture is proportional to the number of raw cells that give it.
        """
        while not is_valid(edges := int(rng.integers(1 << len(EDGES))) << OPERATOR_BITS):
            pass
        return _architecture(edges + int(joined(0, rng.integers(len(OPERATORS), size=INTERIOR))))

    def sample_uniform(self, rng: np.random.Generator) -> Architecture:
        """Return an architecture drawn uniformly from the 423,624 distinct cells, which the first call enumerates."""
        codes = all_codes()
        return _represented(int(codes[rng.integers(len(codes))]))

    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        """Return a cell that is not isomorphic, with one edge flipped, one operator changed or one vertex inserted.

        See `nasbench101.mutation.mutated`.
        """
        return _architecture(mutated(self._code(architecture), rng))

    def encode(self, architectures: Sequence[Architecture]) -> GraphBatch:
        codes = np.fromiter((self._code(architecture) for architecture in architectures), np.int64, len(architectures))
        return graphs_of(codes)

    def encode_genotypes(self, genotypes: NDArray[np.integer]) -> GraphBatch:
        """Return the graphs of a population of genotypes `[batch, 26]`.

        Raises:
            ArchitectureError: A genotype is invalid.
        """
        rows = np.asarray(genotypes, dtype=np.int64).reshape(-1, len(_SIZES))
        if ((rows < 0) | (rows >= _SIZES)).any():
            raise ArchitectureError(f"genotypes: expected genes from 0 to {_SIZES}, exclusive; got others. See `choices`.")
        edges = rows[:, : len(EDGES)] @ (1 << np.arange(len(EDGES)))
        return graphs_of(canonical(checked(joined(edges, rows[:, len(EDGES) :]))))

    def encode_adjacency(self, adjacency: ArrayLike, operators: ArrayLike) -> GraphBatch:
        """Return the graphs of a population of integers, in the layout of `from_adjacency`.

        Args:
            adjacency: `[batch]`.
            operators: `[batch, 5]`.

        Raises:
            ArchitectureError: An operator is out of range, an edge leaves its cell, or a cell is invalid.
        """
        rows = np.asarray(operators, dtype=np.int64).reshape(-1, INTERIOR)
        return graphs_of(canonical(checked(from_adjacency(np.asarray(adjacency, dtype=np.int64), rows))))

    def decode(self, batch: GraphBatch) -> list[Architecture]:
        return [_architecture(code) for code in codes_of(batch).tolist()]

    def cost(
        self,
        architecture: Architecture,
        input_shape: tuple[int, int, int] = (3, 32, 32),
        num_classes: int = 10,
        **scale: int,
    ) -> Cost:
        # The cells of a stack are equal, so that far fewer operators are counted than the plan has.
        from archsearch.spaces.networks.nasbench101 import skeleton_cost

        return skeleton_cost(self._own(architecture).cells[0], input_shape, num_classes, **self.checked_scale(scale))

    def network(self, build: Builder, architecture: Architecture, num_classes: int, **scale: int) -> int:
        """Add the published skeleton to `build`: stem, stacks of cells with max-pooling between them, classifier.

        Raises:
            ConfigurationError: The first stack has fewer channels than vertices that feed the output of the cell.
        """
        # Operators need torch; looking up scores in a table does not.
        from archsearch.spaces.networks.nasbench101 import skeleton

        return skeleton(build, architecture.cells[0], num_classes, **scale)

    def _code(self, architecture: Architecture) -> int:
        return _code_of_cell(self._own(architecture).cells[0])


def _code_of_cell(cell: Cell) -> int:
    """Return the code of a cell, without pruning."""
    last, code = cell.num_nodes - 1, 0
    for source, target in cell.edges:
        code |= 1 << OPERATOR_BITS + EDGE_INDEX[source, LAST if target == last else target]
    for vertex in range(1, LAST):
        code |= (OPERATORS.index(cell.node_operators[vertex]) if vertex < last else UNUSED) << SHIFTS[vertex - 1]
    return code


def _architecture(code: int) -> Architecture:
    """Return the architecture of a code; raise ArchitectureError if the code is invalid."""
    return _represented(_representative(code))


@lru_cache(maxsize=1 << 16)
def _representative(code: int) -> int:
    """Return the code of the isomorphic cell in the benchmark's record."""
    return int(canonical([checked(code)])[0])


@lru_cache(maxsize=1 << 12)
def _represented(code: int) -> Architecture:
    """Return the architecture of a code of the benchmark's record."""
    labels = [code >> shift & UNUSED for shift in SHIFTS]
    operators = (INPUT, *(OPERATORS[label] for label in labels if label != UNUSED), OUTPUT)
    last = len(operators) - 1
    edges = tuple(
        (source, last if target == LAST else target)
        for index, (source, target) in enumerate(EDGES)
        if code >> OPERATOR_BITS + index & 1
    )
    cell = Cell(last + 1, edges, node_operators=operators)
    return Architecture(NASBench101.name, write_cell(cell), (cell,))


def _written(code: int) -> str:
    return f"{code:08x}"
