"""The block search space of Graph HyperNetworks: cells with eight operators on their nodes.

C. Zhang, M. Ren, R. Urtasun, "Graph HyperNetworks for Neural Architecture Search", ICLR 2019, arXiv 1810.05749, section 5.1.
The paper gives the numbers of nodes, operators and blocks. The list of operators, the sampling of edges,
and the inputs and output of a block are choices of archsearch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from archsearch.errors import ArchitectureError, ConfigurationError
from archsearch.spaces.architecture import Architecture
from archsearch.spaces.graph import GraphBatch
from archsearch.spaces.space import Genotype, SearchSpace
from archsearch.spaces.wiring import (
    Node,
    cell_of,
    cell_of_graph,
    check_in_degree,
    checked_genotype,
    draw_predecessors,
    nodes_and_leaves,
    nodes_of,
    predecessor_index,
    predecessor_sets,
    read_json_list,
    read_operator,
    read_predecessors,
)

if TYPE_CHECKING:
    from archsearch.spaces.builder import Builder

OPERATORS = (
    "conv_1x1",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
    "conv_1x7_7x1",
    "max_pool_3x3",
    "avg_pool_3x3",
)
INPUTS = 2
_EXAMPLE = '[["conv_1x1",[0]],["max_pool_3x3",[1,2]]]'


class Cells(SearchSpace):
    """`[["conv_1x1",[0]],["max_pool_3x3",[1,2]],...]`: for each node its operator and the nodes that it reads.

    Nodes 0 and 1 are the inputs: the block before the previous one, and the previous one. The text, a JSON list, begins with
    node 2. A node applies its operator with the same weights w to each node that it reads, and adds up the results:
    `x_v = sum over the predecessors u of v of f(x_u; w_v)` (equation 7); a separable convolution is applied once. The output of
    the block concatenates all leaves: the nodes, unused inputs included, that no other node reads.

    The genes of a node are its operator and its set of predecessors. `sample` draws, node by node, the operator uniformly, the
    number of predecessors uniformly from those that `in_degree` allows (at most as many as there are earlier nodes), and the
    set uniformly from those of that size. No sample is rejected.

    Scale:
        blocks: Number of blocks in sequence (paper: 18): a third at full size, a third at half and a third at a quarter of it.
        channels: Channels of a node in the first third (paper: 32); they double with each halving.

    Args:
        nodes: Number of nodes of a block, its two inputs included (paper: 17; 7 to train the hypernetwork).
        in_degree: Distribution of the number of predecessors: `one`, `one_or_two` or `two`.

    Raises:
        ConfigurationError: There is no node besides the inputs, there are more than 120, or `in_degree` is unknown.
    """

    name: ClassVar[str] = "cells"
    operators: ClassVar[tuple[str, ...]] = OPERATORS
    num_inputs: ClassVar[int] = INPUTS
    scale_defaults: ClassVar[Mapping[str, int]] = {"blocks": 18, "channels": 32}

    def __init__(self, nodes: int = 17, in_degree: str = "one_or_two") -> None:
        if not isinstance(nodes, int) or not INPUTS < nodes <= 120:
            raise ConfigurationError(f"nodes: expected a whole number from 3 (two inputs and a node) to 120; got {nodes!r}.")
        self.nodes = nodes
        self.in_degree = check_in_degree(in_degree)
        self._choices: dict[str, tuple[str, ...]] = {}
        for node in range(INPUTS, nodes):
            sets = predecessor_sets(node, in_degree)
            self._choices[f"node{node}_operator"] = OPERATORS
            self._choices[f"node{node}_predecessors"] = tuple(",".join(map(str, sources)) for sources in sets)

    @property
    def choices(self) -> Mapping[str, Sequence[str]]:
        return self._choices

    @property
    def gene_groups(self) -> Sequence[Sequence[str]]:
        """Operator and predecessors of each node."""
        names = list(self._choices)
        return [names[start : start + 2] for start in range(0, len(names), 2)]

    def from_genotype(self, genotype: Sequence[int]) -> Architecture:
        genes = checked_genotype(genotype, self._choices)
        pairs = enumerate(zip(genes[::2], genes[1::2], strict=True), start=INPUTS)
        return _architecture(
            [Node(OPERATORS[operator], predecessor_sets(node, self.in_degree)[sources]) for node, (operator, sources) in pairs]
        )

    def genotype(self, architecture: Architecture) -> Genotype:
        nodes = enumerate(nodes_of(self._own(architecture).cells[0], INPUTS), start=INPUTS)
        return tuple(
            gene
            for number, node in nodes
            for gene in (
                OPERATORS.index(node.operator),
                predecessor_index(number, node.predecessors, self.in_degree),
            )
        )

    def parse(self, text: str) -> Architecture:
        values = read_json_list(text, _EXAMPLE)
        if len(values) != self.nodes - INPUTS:
            raise ArchitectureError(
                f"text: expected {self.nodes - INPUTS} nodes, those after the two inputs of {self!r}; got {len(values)}."
            )
        nodes = []
        for number, value in enumerate(values, start=INPUTS):
            if not isinstance(value, list) or len(value) != 2:
                raise ArchitectureError(f"node {number}: expected [operator, predecessors], as in {_EXAMPLE}; got {value!r}.")
            nodes.append(Node(read_operator(value[0], OPERATORS), read_predecessors(value[1], number, self.in_degree)))
        return _architecture(nodes)

    def sample(self, rng: np.random.Generator) -> Architecture:
        """Return a random architecture, drawn as the class describes."""
        genes: list[int] = []
        for node in range(INPUTS, self.nodes):
            genes += (int(rng.integers(len(OPERATORS))), draw_predecessors(rng, node, self.in_degree))
        return self.from_genotype(genes)

    def decode(self, batch: GraphBatch) -> list[Architecture]:
        if batch.vocabulary != self.vocabulary or (len(batch) and batch.operators.shape[1] != 1):
            raise ArchitectureError(
                f"batch: expected graphs of one cell with the vocabulary of {self.name}; got {list(batch.operators.shape)}."
            )
        return [self._decoded(batch, row) for row in range(len(batch))]

    def _decoded(self, batch: GraphBatch, row: int) -> Architecture:
        cell = cell_of_graph(batch.graph(row))
        if cell.num_nodes != self.nodes + 1:
            raise ArchitectureError(f"batch[{row}]: expected {self.nodes + 1} nodes, an output included; got {cell.num_nodes}.")
        nodes = nodes_of(cell, INPUTS)
        for number, node in enumerate(nodes, start=INPUTS):
            read_operator(node.operator, OPERATORS)
            predecessor_index(number, node.predecessors, self.in_degree)
        architecture = _architecture(nodes)
        if architecture.cells != (cell,):
            raise ArchitectureError(f"batch[{row}]: expected two inputs and an output that reads all leaves; got {cell}.")
        return architecture

    def network(self, build: Builder, architecture: Architecture, num_classes: int, **scale: int) -> int:
        from archsearch.spaces.networks.cells import skeleton  # operators need torch; encoding does not

        nodes, leaves = nodes_and_leaves(architecture.cells[0], INPUTS)
        return skeleton(build, nodes, leaves, num_classes, **scale)

    def _own(self, architecture: Architecture) -> Architecture:
        architecture = super()._own(architecture)
        nodes = architecture.cells[0].num_nodes - 1
        if nodes != self.nodes:
            raise ArchitectureError(
                f"architecture: expected one of {self!r}; got {nodes} nodes. Use Cells(nodes={nodes}) for it."
            )
        return architecture

    def __repr__(self) -> str:
        return f"Cells(nodes={self.nodes}, in_degree={self.in_degree!r})"


def _architecture(nodes: Sequence[Node]) -> Architecture:
    text = json.dumps(nodes, separators=(",", ":"))
    return Architecture(Cells.name, text, (cell_of(nodes, INPUTS),))
