"""Cells whose nodes each read a few earlier nodes and whose output reads all leaves, with the distribution of in-degrees."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import chain, combinations
from math import comb
from typing import Any, NamedTuple

import numpy as np

from archsearch.errors import ArchitectureError, ConfigurationError, unknown_name
from archsearch.spaces.architecture import Cell
from archsearch.spaces.graph import INPUT, OUTPUT, Graph

IN_DEGREES: Mapping[str, tuple[int, ...]] = {"one": (1,), "one_or_two": (1, 2), "two": (2,)}
"""The in-degrees of each distribution: a node draws one of them uniformly, then a set of predecessors of that size uniformly."""


class Node(NamedTuple):
    """An operator and the earlier nodes that it reads, in increasing order; inputs count as nodes."""

    operator: str
    predecessors: tuple[int, ...]


class Work(NamedTuple):
    """The operator of a node, its scale (ratio of the cell's input size to the node's size), and whether it has an exit."""

    operator: str
    scale: int
    exit: bool


def check_in_degree(in_degree: str) -> str:
    """Return `in_degree`; raise ConfigurationError unless it is a key of `IN_DEGREES`."""
    if in_degree not in IN_DEGREES:
        raise ConfigurationError(unknown_name("in_degree", in_degree, IN_DEGREES))
    return in_degree


@cache
def predecessor_sets(earlier: int, in_degree: str) -> tuple[tuple[int, ...], ...]:
    """Return the sets of predecessors that a node with `earlier` nodes before it may have, smaller sets first."""
    return tuple(chain.from_iterable(combinations(range(earlier), size) for size in _sizes(earlier, in_degree)))


def draw_predecessors(rng: np.random.Generator, earlier: int, in_degree: str) -> int:
    """Draw an in-degree uniformly, then a set of that size uniformly; return its index in `predecessor_sets`."""
    counts = [comb(earlier, size) for size in _sizes(earlier, in_degree)]
    chosen = int(rng.integers(len(counts)))
    return sum(counts[:chosen]) + int(rng.integers(counts[chosen]))


def predecessor_index(node: int, predecessors: tuple[int, ...], in_degree: str) -> int:
    """Return the index of a set in `predecessor_sets`.

    Raises:
        ArchitectureError: The distribution of in-degrees does not allow the set.
    """
    index = _indices(node, in_degree).get(predecessors)
    if index is None:
        raise ArchitectureError(
            f"node {node}: in_degree={in_degree!r} does not allow the predecessors {list(predecessors)}; "
            "make the space with the in_degree of its architectures."
        )
    return index


def cell_of(nodes: Sequence[Node], num_inputs: int) -> Cell:
    """Return the cell of inputs, nodes, and an output that reads the leaves: all nodes and inputs that no node reads."""
    output = num_inputs + len(nodes)
    read = {source for node in nodes for source in node.predecessors}
    leaves = tuple(node for node in range(output) if node not in read)
    targets = enumerate([*(node.predecessors for node in nodes), leaves], start=num_inputs)
    edges = tuple((source, target) for target, sources in targets for source in sources)
    return Cell(output + 1, edges, (INPUT,) * num_inputs + tuple(node.operator for node in nodes) + (OUTPUT,))


def nodes_of(cell: Cell, num_inputs: int) -> list[Node]:
    """Return the nodes of a cell without inputs and output: the inverse of `cell_of`."""
    return nodes_and_leaves(cell, num_inputs)[0]


def nodes_and_leaves(cell: Cell, num_inputs: int) -> tuple[list[Node], tuple[int, ...]]:
    """Return the nodes of a cell without inputs and output, and the numbers of its leaves."""
    sources: list[list[int]] = [[] for _ in range(cell.num_nodes)]
    for source, target in cell.edges:
        sources[target].append(source)
    *predecessors, leaves = (tuple(sorted(found)) for found in sources)
    return list(map(Node, cell.node_operators[num_inputs:-1], predecessors[num_inputs:])), leaves


def cell_of_graph(graph: Graph) -> Cell:
    """Return a graph as a cell, its edges in the order of `cell_of`.

    Raises:
        ArchitectureError: An edge does not run forwards.
    """
    edges = tuple((int(source), int(target)) for target, source in np.argwhere(graph.adjacency.T))
    return Cell(len(graph.operators), edges, graph.operators)


def read_json_list(text: object, example: str) -> list[Any]:
    """Return the list in a JSON string.

    Raises:
        ArchitectureError: The string is not a JSON list.
    """
    try:
        value = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, list):
        raise ArchitectureError(f"text: expected a JSON list such as {example}; got {text!r}.")
    return value


def read_operator(value: object, operators: Sequence[str]) -> str:
    """Return the name of an operator read from JSON.

    Raises:
        ArchitectureError: No operator has this name.
    """
    if not isinstance(value, str) or value not in operators:
        raise ArchitectureError(unknown_name("operator", value, operators))
    return value


def read_predecessors(value: object, node: int, in_degree: str) -> tuple[int, ...]:
    """Return the predecessors of node number `node`, read from JSON, in increasing order.

    Raises:
        ArchitectureError: They are not distinct numbers of earlier nodes, or `in_degree` does not allow that many.
    """
    if not isinstance(value, list) or not all(type(source) is int for source in value):
        raise ArchitectureError(f"node {node}: expected a list of the numbers of the nodes that it reads; got {value!r}.")
    if not all(0 <= source < node for source in value):
        raise ArchitectureError(
            f"node {node}: expected predecessors from 0 to {node - 1}, since reading itself or a later node may close a cycle; "
            f"got {value}."
        )
    sizes = _sizes(node, in_degree)
    if len(value) not in sizes or len(set(value)) != len(value):
        raise ArchitectureError(
            f"node {node}: expected {' or '.join(map(str, sizes))} distinct predecessors (in_degree={in_degree!r}); got {value}."
        )
    return tuple(sorted(value))


def checked_genotype(genotype: Sequence[int], choices: Mapping[str, Sequence[Any]]) -> tuple[int, ...]:
    """Return a genotype as a tuple of ints.

    Raises:
        ArchitectureError: The genotype has another length than `choices`, or an index is out of range.
    """
    genes = tuple(int(gene) for gene in genotype)
    if len(genes) != len(choices):
        raise ArchitectureError(f"genotype: expected {len(choices)} indices, one per gene; got {len(genes)}.")
    for gene, (name, alternatives) in zip(genes, choices.items(), strict=True):
        if not 0 <= gene < len(alternatives):
            raise ArchitectureError(f"genotype: expected an index from 0 to {len(alternatives) - 1} for {name}; got {gene}.")
    return genes


def _sizes(earlier: int, in_degree: str) -> tuple[int, ...]:
    """Return the in-degrees of a distribution, each at most `earlier`, without duplicates."""
    return tuple(dict.fromkeys(min(size, earlier) for size in IN_DEGREES[in_degree]))


@cache
def _indices(earlier: int, in_degree: str) -> dict[tuple[int, ...], int]:
    return {sources: index for index, sources in enumerate(predecessor_sets(earlier, in_degree))}
