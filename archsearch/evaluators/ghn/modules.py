"""Computation graphs of networks, cut into modules, as a graph hypernetwork reads them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from archsearch.evaluators.ghn.operator_kind import NodeType, node_type
from archsearch.spaces.operators import Shape
from archsearch.spaces.plan import Parameters, Plan

MODULE_PATTERNS = {
    "anytime": r"(cell\d+)_",
    "cells": r"(block\d+)_",
    "nasbench101": r"(stack\d+_cell\d+)_",
    "nasbench201": r"(stage\d+_cell\d+)_",
    "nasnet": r"(cell\d+)_",
}
"""Beginnings of the names of the steps of one module, for spaces whose networks repeat a module; see `module_numbers`."""

OUTPUT = "output"
_LARGEST_LOG = 7


@dataclass(frozen=True, eq=False)
class Module:
    """A part of a network as a graph, in topological order.

    A node is an operator, however often it is applied. The last node may be the output: it reads whatever leaves the module, so
    that each graph has one last node, whatever the order of the others.

    Args:
        kinds: Node types; see `operator_kind.kind`.
        adjacency: `[nodes, nodes]` bool; `adjacency[u, v]` is the edge from u to v, and u < v.
        positions: `[2, nodes]`, logarithms to base 2: of the image's height over that of the node's map, and of its stride.
    """

    kinds: tuple[str, ...]
    adjacency: NDArray[np.bool_]
    positions: NDArray[np.int64]


class Owner(NamedTuple):
    """The node that parameters belong to: number of the module, number of the node in it, and type of the operator."""

    module: int
    node: int
    type: NodeType


@dataclass(frozen=True, eq=False)
class Layout:
    """A network as a chain of modules.

    Args:
        plan: The network.
        modules: Its parts, in order.
        owners: For each name of live parameters the node that they belong to.
        first_block: Number of the first module that repeats, after the stem; 0 where no module is told from others.
        genes: The genotype; empty where nothing reads it.
    """

    plan: Plan
    modules: tuple[Module, ...]
    owners: dict[str, Owner]
    first_block: int = field(default=0, kw_only=True)
    genes: tuple[int, ...] = field(default=(), kw_only=True)

    @property
    def num_nodes(self) -> int:
        """Nodes of the largest module, its output not included."""
        return max(len(module.kinds) - (module.kinds[-1] == OUTPUT) for module in self.modules)

    def parameters(self, made: Parameters) -> Parameters:
        """Return the parameters that the plan takes, by step, from those that were generated for the owners."""
        return made


def lay_out(plan: Plan, input_shape: Shape, pattern: str = "", output_node: bool = True) -> Layout:
    """Return a network as the graphs that a hypernetwork reads.

    The nodes are the names of the plan whose operators have parameters or compute something. Operators that only join, resize,
    rectify or normalise (`operator_kind.is_glue`) become edges. Steps that reach no output are left out.

    Args:
        plan: The network.
        input_shape: `(channels, height, width)` of an image.
        pattern: Regular expression for `module_numbers`; an empty one makes a single module.
        output_node: Whether each module ends in a node for its output.
    """
    nodes, edges, leaving = _nodes_and_edges(plan)
    names, kinds = [node.name for node in nodes], [node.type.kind for node in nodes]
    positions = _positions(plan, input_shape, nodes)
    numbers, places, modules = in_modules(names, kinds, edges, leaving, positions, pattern, output_node)
    owners = {
        node.name: Owner(number, place, node.type)
        for node, number, place in zip(nodes, numbers, places, strict=True)
        if node.type.own
    }
    return Layout(plan, modules, owners, first_block=first_block(names, numbers, pattern))


def in_modules(
    names: Sequence[str],
    kinds: Sequence[str],
    edges: Iterable[tuple[int, int]],
    outputs: Iterable[int],
    positions: NDArray[np.int64],
    pattern: str,
    output_node: bool = True,
) -> tuple[list[int], list[int], tuple[Module, ...]]:
    """Return the number of the module of each node, its place in it, and the modules.

    Args:
        names: Name of each node.
        kinds: Type of each node.
        edges: Pairs of nodes.
        outputs: Nodes that outputs of the network read.
        positions: `[2, nodes]`; see `Module`.
        pattern: See `module_numbers`.
        output_node: Whether each module ends in a node for its output.
    """
    numbers, leaving = module_numbers(names, pattern), set(outputs)
    members: list[list[int]] = [[] for _ in range(max(numbers) + 1)]
    places = []
    for at, number in enumerate(numbers):
        places.append(len(members[number]))
        members[number].append(at)
    inner: list[list[tuple[int, int]]] = [[] for _ in members]
    for source, target in edges:
        if numbers[source] == numbers[target]:
            inner[numbers[source]].append((places[source], places[target]))
        else:
            leaving.add(source)
    modules = []
    for number, group in enumerate(members):
        ends = [places[at] for at in group if at in leaving] if output_node else None
        modules.append(_module([kinds[at] for at in group], inner[number], ends, positions[:, group]))
    return numbers, places, tuple(modules)


def first_block(names: Iterable[str], numbers: Iterable[int], pattern: str) -> int:
    """Return the number of the first module whose nodes fit the pattern; 0 if none does."""
    return min((number for name, number in zip(names, numbers, strict=True) if pattern and re.match(pattern, name)), default=0)


def module_numbers(names: Iterable[str], pattern: str) -> list[int]:
    """Return the module of each step by its name, numbered by first appearance.

    Steps that the pattern does not match, such as stem, reductions and classifier, belong together where they stand between
    the same two modules.
    """
    numbers: dict[tuple[str, int], int] = {}
    expression, matched, found = re.compile(pattern), 0, []
    for name in names:
        match = expression.match(name) if pattern else None
        key = (match.group(1), -1) if match else ("", matched)
        if key not in numbers:
            numbers[key] = len(numbers)
            matched += match is not None
        found.append(numbers[key])
    return found


class _Node(NamedTuple):
    """Name of the steps, the slot that the first of them writes, and the type of their operator."""

    name: str
    slot: int
    type: NodeType


def _nodes_and_edges(plan: Plan) -> tuple[list[_Node], list[tuple[int, int]], set[int]]:
    """Return the nodes, the edges between their numbers, and the nodes that outputs read."""
    nodes: list[_Node] = []
    index: dict[str, int] = {}
    edges: dict[tuple[int, int], None] = {}
    behind: dict[int, tuple[int, ...]] = {0: ()}
    for slot, step, _ in plan.live_steps:
        type_ = node_type(step.operator)
        inputs = [behind[read] for read in step.inputs]
        sources = inputs[0] if len(inputs) == 1 else tuple(dict.fromkeys(node for found in inputs for node in found))
        if type_.is_glue:
            behind[slot] = sources
            continue
        node = index.setdefault(step.name, len(index))
        if node == len(nodes):
            nodes.append(_Node(step.name, slot, type_))
        # Weights that are shared along a path would close a cycle: such an edge is left out.
        edges.update(((source, node), None) for source in sources if source < node)
        behind[slot] = (node,)
    return nodes, list(edges), {node for slot in plan.outputs for node in behind[slot]}


def _positions(plan: Plan, input_shape: Shape, nodes: Sequence[_Node]) -> NDArray[np.int64]:
    shapes = plan.shapes(input_shape)
    rows = []
    for node in nodes:
        shape = shapes[node.slot]
        halvings = log2_place(input_shape[1] / shape[1]) if len(shape) == 3 else _LARGEST_LOG
        rows.append((halvings, log2_place(node.type.stride)))
    return np.array(rows, dtype=np.int64).reshape(-1, 2).T


def log2_place(ratio: float) -> int:
    """Return the logarithm to base 2 of a ratio of sizes, as a whole number from 0 to 7."""
    return _LARGEST_LOG if ratio == math.inf else min(max(round(math.log2(ratio)), 0), _LARGEST_LOG)


def _module(kinds: list[str], edges: list[tuple[int, int]], leaving: list[int] | None, positions: NDArray[np.int64]) -> Module:
    """Return a module; `leaving` are the nodes that its output reads, None for a module without an output."""
    size = len(kinds) + (leaving is not None)
    adjacency = np.zeros((size, size), dtype=bool)
    for source, target in edges:
        adjacency[source, target] = True
    if leaving is None:
        return Module(tuple(kinds), adjacency, positions)
    adjacency[leaving, size - 1] = True
    padded = np.zeros((2, size), dtype=np.int64)
    padded[:, :-1] = positions
    return Module((*kinds, OUTPUT), adjacency, padded)
