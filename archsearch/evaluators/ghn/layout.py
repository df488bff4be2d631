"""The graphs that a hypernetwork reads: the network of an architecture, cut into modules."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from archsearch.evaluators.ghn import operator_kind
from archsearch.spaces.operators import Shape
from archsearch.spaces.plan import Plan

MODULE_PATTERNS = {
    "anytime": r"(cell\d+)_",
    "cells": r"(block\d+)_",
    "nasbench101": r"(stack\d+_cell\d+)_",
    "nasbench201": r"(stage\d+_cell\d+)_",
    "nasnet": r"(cell\d+)_",
}
"""What the names of steps of one module begin with, for the spaces whose networks repeat a module; see `module_of`."""

OUTPUT = "output"
_LARGEST_LOG = 7


@dataclass(frozen=True, eq=False)
class Module:
    """A part of a network as a graph, in topological order.

    A node is an operator, however often it is applied. The last node is the output: it reads whatever leaves the module, so
    that each graph has one last node, whatever the order of the others.

    Args:
        kinds: Node types; see `operator_kind.kind`.
        adjacency: `[nodes, nodes]` bool; `adjacency[u, v]` is the edge from u to v, and u < v.
        positions: `[2, nodes]`, logarithms to base 2: of the image's height over that of the node's map, and of its stride.
    """

    kinds: tuple[str, ...]
    adjacency: NDArray[np.bool_]
    positions: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Layout:
    """A network as a chain of modules.

    Args:
        plan: The network.
        modules: Its parts, in order.
        owners: For each name of live parameters the module and the node that they belong to.
    """

    plan: Plan
    modules: tuple[Module, ...]
    owners: dict[str, tuple[int, int]]

    @property
    def num_nodes(self) -> int:
        """Nodes of the largest module, its output not included."""
        return max(len(module.kinds) for module in self.modules) - 1


def lay_out(plan: Plan, input_shape: Shape, pattern: str = "") -> Layout:
    """Return a network as the graphs that a hypernetwork reads.

    The nodes are the names of the plan whose operators have parameters or compute something. What only joins, resizes,
    rectifies or normalises (`operator_kind.is_glue`) becomes edges. Steps that reach no output are left out.

    Args:
        plan: The network.
        input_shape: `(channels, height, width)` of an image.
        pattern: Regular expression for `module_of`; an empty one makes a single module.
    """
    nodes, edges, leaving = _nodes_and_edges(plan)
    positions = _positions(plan, input_shape, nodes)
    numbers = module_numbers(nodes, pattern)
    members: list[list[int]] = [[] for _ in range(max(numbers) + 1)]
    places = []
    for node, number in enumerate(numbers):
        places.append(len(members[number]))
        members[number].append(node)
    inner: list[list[tuple[int, int]]] = [[] for _ in members]
    for source, target in edges:
        if numbers[source] == numbers[target]:
            inner[numbers[source]].append((places[source], places[target]))
        else:
            leaving.add(source)
    kinds = [operator_kind.kind(plan.operators[name]) for name in nodes]
    modules = [
        _module([kinds[node] for node in group], inner[number], [places[u] for u in group if u in leaving], positions[:, group])
        for number, group in enumerate(members)
    ]
    places_of = zip(nodes, zip(numbers, places, strict=True), strict=True)
    owners = {name: place for name, place in places_of if plan.operators[name].parameter_shapes()}
    return Layout(plan, tuple(modules), owners)


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


def _nodes_and_edges(plan: Plan) -> tuple[dict[str, int], list[tuple[int, int]], set[int]]:
    """Return each node with the slot that it writes first, the edges between nodes, and the nodes that outputs read."""
    nodes: dict[str, int] = {}
    index: dict[str, int] = {}
    edges: dict[tuple[int, int], None] = {}
    behind: dict[int, tuple[int, ...]] = {0: ()}
    for slot, step, _ in plan.live_steps:
        sources = tuple(dict.fromkeys(node for read in step.inputs for node in behind[read]))
        if operator_kind.is_glue(step.operator):
            behind[slot] = sources
            continue
        node = index.setdefault(step.name, len(index))
        nodes.setdefault(step.name, slot)
        # Weights that are shared along a path would close a cycle: such an edge is left out.
        edges.update(((source, node), None) for source in sources if source < node)
        behind[slot] = (node,)
    return nodes, list(edges), {node for slot in plan.outputs for node in behind[slot]}


def _positions(plan: Plan, input_shape: Shape, nodes: dict[str, int]) -> NDArray[np.int64]:
    shapes = plan.shapes(input_shape)
    rows = []
    for name, slot in nodes.items():
        shape = shapes[slot]
        halvings = _log2(input_shape[1] / shape[1]) if len(shape) == 3 else _LARGEST_LOG
        rows.append((halvings, _log2(operator_kind.stride(plan.operators[name]))))
    return np.array(rows, dtype=np.int64).reshape(-1, 2).T


def _log2(ratio: float) -> int:
    return min(max(round(math.log2(ratio)), 0), _LARGEST_LOG)


def _module(kinds: list[str], edges: list[tuple[int, int]], leaving: list[int], positions: NDArray[np.int64]) -> Module:
    size = len(kinds) + 1
    adjacency = np.zeros((size, size), dtype=bool)
    for source, target in edges:
        adjacency[source, target] = True
    adjacency[leaving, size - 1] = True
    padded = np.zeros((2, size), dtype=np.int64)
    padded[:, :-1] = positions
    return Module((*kinds, OUTPUT), adjacency, padded)
