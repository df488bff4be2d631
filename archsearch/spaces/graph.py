"""Graphs with operators on their nodes, the form that all search spaces convert to, and populations of them as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from archsearch.errors import ArchitectureError
from archsearch.spaces.architecture import Cell

INPUT, OUTPUT = "input", "output"


@dataclass(frozen=True, slots=True)
class Graph:
    """A cell with operators on its nodes, in topological order.

    Args:
        operators: One name per node; inputs are called `input`, the output `output`.
        adjacency: `[nodes, nodes]` bool; `adjacency[u, v]` is the edge from u to v, and u < v.

    Example:
        >>> from archsearch.spaces import Cell
        >>> from archsearch.spaces.graph import lower
        >>> graph = lower(Cell(3, ((0, 1), (1, 2)), node_operators=("input", "conv3x3", "output")))
        >>> graph.operators, graph.adjacency.tolist()
        (('input', 'conv3x3', 'output'), [[False, True, False], [False, False, True], [False, False, False]])
    """

    operators: tuple[str, ...]
    adjacency: NDArray[np.bool_]


def lower(cell: Cell, num_inputs: int = 1) -> Graph:
    """Return the graph form of a cell.

    A cell with operators on its nodes keeps its nodes. In a cell with operators on its edges each edge becomes a node: it
    reads the edges that end where it starts, and the output reads the edges that end at the last node. The sum at each node of
    the cell is implied.

    Args:
        cell: The cell; its first `num_inputs` nodes are inputs.
        num_inputs: Number of inputs.
    """
    if cell.node_operators:
        adjacency = np.zeros((cell.num_nodes, cell.num_nodes), dtype=bool)
        for source, target in cell.edges:
            adjacency[source, target] = True
        return Graph(cell.node_operators, adjacency)
    order = sorted(range(len(cell.edges)), key=lambda edge: (cell.edges[edge][1], cell.edges[edge][0]))
    operators = (INPUT,) * num_inputs + tuple(cell.edge_operators[edge] for edge in order) + (OUTPUT,)
    size = len(operators)
    adjacency = np.zeros((size, size), dtype=bool)
    ends_at: dict[int, list[int]] = {node: [node] for node in range(num_inputs)}
    for position, edge in enumerate(order, start=num_inputs):
        source, target = cell.edges[edge]
        adjacency[ends_at.get(source, []), position] = True
        ends_at.setdefault(target, []).append(position)
    adjacency[ends_at.get(cell.num_nodes - 1, []), size - 1] = True
    return Graph(operators, adjacency)


@dataclass(frozen=True)
class GraphBatch:
    """A population of architectures as integer arrays.

    Args:
        vocabulary: Operator names; the arrays hold indices into it.
        operators: `[batch, cells, nodes]` int8; -1 pads.
        adjacency: `[batch, cells, nodes, nodes]` bool; `[..., u, v]` is the edge from u to v.
        edges: `[batch, cells, width, width]` int8, only for spaces with operators on edges: the operator on the edge from u to
            v of the cell as published, -1 if there is none. If several operators may connect one pair of nodes it is
            `[batch, cells, slots, width, width]`: slot `d` holds the operator on the `d`-th input of each node v.

    Example:
        >>> from archsearch import spaces
        >>> space = spaces.get("nasbench201")
        >>> batch = space.encode([space.from_genotype([3] * 6), space.from_genotype([1] * 6)])
        >>> len(batch), batch.operators.shape, batch.adjacency.shape
        (2, (2, 1, 8), (2, 1, 8, 8))
    """

    vocabulary: tuple[str, ...]
    operators: NDArray[np.int8]
    adjacency: NDArray[np.bool_]
    edges: NDArray[np.int8] | None = None

    def __len__(self) -> int:
        return len(self.operators)

    def __getitem__(self, rows: slice | NDArray[np.integer] | NDArray[np.bool_]) -> GraphBatch:
        edges = None if self.edges is None else self.edges[rows]
        return GraphBatch(self.vocabulary, self.operators[rows], self.adjacency[rows], edges)

    def first_cells(self, count: int | None) -> GraphBatch:
        """Return the batch with the first cells of each architecture only; None keeps all."""
        if count is None or count >= self.operators.shape[1]:
            return self
        nodes = int((self.operators[:, :count] >= 0).sum(axis=-1).max(initial=0))
        operators, adjacency = self.operators[:, :count, :nodes], self.adjacency[:, :count, :nodes, :nodes]
        return GraphBatch(self.vocabulary, operators, adjacency, None if self.edges is None else self.edges[:, :count])

    def graph(self, row: int, cell: int = 0) -> Graph:
        """Return one cell of one architecture, without padding.

        Raises:
            ArchitectureError: An operator is not an index into the vocabulary.
        """
        used = np.flatnonzero(self.operators[row, cell] >= 0)
        if (self.operators[row, cell] >= len(self.vocabulary)).any():
            raise ArchitectureError(
                f"operators: expected indices into the {len(self.vocabulary)} names of the vocabulary, or -1 as padding; "
                f"got {self.operators[row, cell].tolist()} in row {row}."
            )
        names = tuple(self.vocabulary[index] for index in self.operators[row, cell, used])
        return Graph(names, self.adjacency[row, cell][np.ix_(used, used)])


def pack(graphs: Sequence[Sequence[Graph]], vocabulary: tuple[str, ...]) -> GraphBatch:
    """Return graphs, one list of cells per architecture, as one padded batch."""
    index = {name: position for position, name in enumerate(vocabulary)}
    cells = len(graphs[0]) if graphs else 0
    nodes = max((len(graph.operators) for row in graphs for graph in row), default=0)
    operators = np.full((len(graphs), cells, nodes), -1, dtype=np.int8)
    adjacency = np.zeros((len(graphs), cells, nodes, nodes), dtype=bool)
    for row, architecture in enumerate(graphs):
        for cell, graph in enumerate(architecture):
            size = len(graph.operators)
            operators[row, cell, :size] = [index[name] for name in graph.operators]
            adjacency[row, cell, :size, :size] = graph.adjacency
    return GraphBatch(vocabulary, operators, adjacency)
