"""Architectures and the cells that they consist of."""

from __future__ import annotations

from dataclasses import dataclass

from archsearch.errors import ArchitectureError


@dataclass(frozen=True, slots=True)
class Cell:
    """A directed acyclic graph in topological order, with operators on its nodes or on its edges.

    Args:
        num_nodes: Number of nodes, inputs and output included; nodes are `0 .. num_nodes - 1`.
        edges: Pairs `(source, target)` with `source < target`.
        node_operators: One operator name per node, or empty.
        edge_operators: One operator name per edge, in the order of `edges`, or empty.

    Raises:
        ArchitectureError: An edge does not run forwards or leaves the cell, or the number of operators does not fit.

    Example:
        >>> from archsearch.spaces import Cell
        >>> Cell(3, edges=((0, 1), (1, 2)), node_operators=("input", "conv3x3", "output")).num_nodes
        3
    """

    num_nodes: int
    edges: tuple[tuple[int, int], ...]
    node_operators: tuple[str, ...] = ()
    edge_operators: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for source, target in self.edges:
            if not 0 <= source < target < self.num_nodes:
                raise ArchitectureError(
                    f"edges: expected pairs source < target below {self.num_nodes} (a topological order); "
                    f"got {(source, target)}. Renumber the nodes so that each edge runs forwards."
                )
        if self.node_operators and len(self.node_operators) != self.num_nodes:
            raise ArchitectureError(
                f"node_operators: expected {self.num_nodes} names, one per node; got {len(self.node_operators)}."
            )
        if self.edge_operators and len(self.edge_operators) != len(self.edges):
            raise ArchitectureError(
                f"edge_operators: expected {len(self.edges)} names, one per edge; got {len(self.edge_operators)}."
            )
        if bool(self.node_operators) == bool(self.edge_operators) and self.edges:
            raise ArchitectureError("a cell has operators on its nodes or on its edges: give exactly one of the two.")


@dataclass(frozen=True, slots=True)
class Architecture:
    """A point of a search space, immutable and hashable.

    Args:
        space: Name of its search space.
        text: Its string form, `str(architecture)`, which `space.parse` reads.
        cells: Its cells, in the order that the space defines.

    Example:
        >>> from archsearch import spaces
        >>> architecture = spaces.get("enas").parse("[[0], [1, 0], [2, 0, 1], [3, 0, 0, 0], [4, 0, 0, 0, 0], [5, 0, 0, 0, 0, 1]]")
        >>> architecture.space, architecture.cells[0].num_nodes
        ('enas', 8)
    """

    space: str
    text: str
    cells: tuple[Cell, ...]

    def __str__(self) -> str:
        return self.text
