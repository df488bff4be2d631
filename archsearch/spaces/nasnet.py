"""The NASNet search space of two cells as in ENAS, DARTS and GATES: four steps per cell, each the sum of two operators.

B. Zoph et al., "Learning Transferable Architectures for Scalable Image Recognition", CVPR 2018, arXiv 1707.07012; with these
operators H. Pham et al., arXiv 1802.03268, section 2.4; string form and skeleton as in H. Liu et al., "DARTS: Differentiable
Architecture Search", ICLR 2019, arXiv 1806.09055.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from archsearch.errors import ArchitectureError, unknown_name
from archsearch.spaces.architecture import Architecture, Cell
from archsearch.spaces.graph import INPUT, OUTPUT, Graph, GraphBatch
from archsearch.spaces.space import Genotype, SearchSpace

if TYPE_CHECKING:
    from archsearch.spaces.builder import Builder

OPERATORS = ("skip_connect", "sep_conv_3x3", "sep_conv_5x5", "avg_pool_3x3", "max_pool_3x3")
SUM = "sum"
INPUTS, STEPS, SLOTS = 2, 4, 2
NODES = INPUTS + STEPS
CELLS = ("normal", "reduce")
Pair = tuple[int, str]

# Node numbers in the graph of a cell: inputs, then for each step its two operators and their sum, then the output.
_OPERATORS_AT = np.array([[INPUTS + 3 * step + slot for slot in range(SLOTS)] for step in range(STEPS)])
_NODES_AT = np.array([*range(INPUTS), *(INPUTS + 3 * step + SLOTS for step in range(STEPS))])
_SIZE = INPUTS + 3 * STEPS + 1

_PAIR = r"\(\s*(?:'\w+'|\"\w+\")\s*,\s*[0-9]\s*\)"
_PAIRS = rf"\[\s*((?:{_PAIR}\s*,\s*){{{SLOTS * STEPS - 1}}}{_PAIR})\s*\]"
_CONCAT = r"(?:range\(\s*2\s*,\s*6\s*\)|\[\s*2\s*,\s*3\s*,\s*4\s*,\s*5\s*\])"
_TEXT = re.compile(
    rf"Genotype\(\s*normal\s*=\s*{_PAIRS}\s*,\s*normal_concat\s*=\s*{_CONCAT}\s*,"
    rf"\s*reduce\s*=\s*{_PAIRS}\s*,\s*reduce_concat\s*=\s*{_CONCAT}\s*\)"
)


class NASNet(SearchSpace):
    """`Genotype(normal=[(op, source), ...], normal_concat=range(2, 6), reduce=[...], reduce_concat=range(2, 6))`.

    An architecture has a normal and a reduction cell. The nodes of a cell are the outputs of the two cells before it (0: the
    second to last, 1: the last) and four steps (2 to 5). Each step is the sum of two operators on earlier nodes, which may be
    the same node; the output concatenates all steps. The text lists the two pairs (operator, source) of each step in order.

    There are (5 * 2 * 5 * 3 * 5 * 4 * 5 * 5)^4 = 3.2e19 genotypes. The genes are the source and the operator of each pair, in
    the order of the text.

    In the graph form each pair is a node with its operator, and each step another node `sum`; without these, graphs would not
    show which pairs form a step that only the output reads. Nodes 0 and 1 are the inputs, in the order above.

    Scale:
        channels: Channels of a step in the first third; they double at each reduction (published: 16 in the search, 36 in the
            final network).
        cells: Number of cells, two of them reduction cells (published: 8 in the search, 20 in the final network).
    """

    name: ClassVar[str] = "nasnet"
    operators: ClassVar[tuple[str, ...]] = OPERATORS
    num_inputs: ClassVar[int] = INPUTS
    scale_defaults: ClassVar[Mapping[str, int]] = {"channels": 16, "cells": 8}

    _choices: ClassVar[dict[str, Sequence[Any]]] = {
        f"{cell}_{INPUTS + step}{'ab'[slot]}_{gene}": tuple(range(INPUTS + step)) if gene == "source" else OPERATORS
        for cell in CELLS
        for step in range(STEPS)
        for slot in range(SLOTS)
        for gene in ("source", "operator")
    }
    _sizes: ClassVar[tuple[int, ...]] = tuple(len(values) for values in _choices.values())

    @property
    def choices(self) -> Mapping[str, Sequence[Any]]:
        return self._choices

    @property
    def gene_groups(self) -> Sequence[Sequence[str]]:
        """The two sources and two operators of each pair, the blocks of NASNet and PNAS."""
        names, pair = list(self._choices), 2 * SLOTS
        return [names[start : start + pair] for start in range(0, len(names), pair)]

    @property
    def vocabulary(self) -> tuple[str, ...]:
        return (INPUT, OUTPUT, *OPERATORS, SUM)

    def from_genotype(self, genotype: Sequence[int]) -> Architecture:
        genes = tuple(int(gene) for gene in genotype)
        if len(genes) != len(self._sizes) or not all(0 <= gene < size for gene, size in zip(genes, self._sizes, strict=True)):
            raise ArchitectureError(
                f"genotype: expected {len(self._sizes)} indices, for each pair of the {len(CELLS)} cells in turn an earlier node "
                f"and an operator from 0 to {len(OPERATORS) - 1}; got {genes}."
            )
        half = len(genes) // len(CELLS)
        cells = tuple(_cell(genes[start : start + half]) for start in (0, half))
        parts = []
        for name, cell in zip(CELLS, cells, strict=True):
            pairs = [(operator, source) for operator, (source, _) in zip(cell.edge_operators, cell.edges, strict=True)]
            parts.append(f"{name}={pairs}, {name}_concat=range({INPUTS}, {NODES})")
        return Architecture(self.name, f"Genotype({', '.join(parts)})", cells)

    def genotype(self, architecture: Architecture) -> Genotype:
        return tuple(
            gene
            for cell in self._own(architecture).cells
            for (source, _), operator in zip(cell.edges, cell.edge_operators, strict=True)
            for gene in (source, OPERATORS.index(operator))
        )

    def parse(self, text: str) -> Architecture:
        match = _TEXT.fullmatch(text.strip()) if isinstance(text, str) else None
        if match is None:
            raise ArchitectureError(
                "text: expected Genotype(normal=[('sep_conv_3x3', 1), ('skip_connect', 0), ...], normal_concat=range(2, 6), "
                f"reduce=[...], reduce_concat=range(2, 6)) with {SLOTS * STEPS} pairs a cell; got {text!r}."
            )
        genotype = []
        for name, pairs in zip(CELLS, match.groups(), strict=True):
            for position, (operator, source) in enumerate(re.findall(r"['\"](\w+)['\"]\s*,\s*([0-9])", pairs)):
                node = INPUTS + position // SLOTS
                if operator not in OPERATORS:
                    raise ArchitectureError(unknown_name("operator", operator, OPERATORS))
                if int(source) >= node:
                    raise ArchitectureError(
                        f"text: expected a source below {node} for node {node} of the {name} cell; "
                        f"got {(operator, int(source))} as pair {position} of {text!r}."
                    )
                genotype += [int(source), OPERATORS.index(operator)]
        return self.from_genotype(genotype)

    def key(self, architecture: Architecture) -> str:
        """Return the canonical identity, equal for isomorphic cells: the order of steps and of pairs does not matter.

        It distinguishes the same architectures as `SearchSpace.key`, but is faster, since a cell has at most 24 orders of steps.
        """
        forms = [_least_form(cell) for cell in self._own(architecture).cells]
        return hashlib.blake2b(repr(forms).encode(), digest_size=10).hexdigest()

    def representative(self, architecture: Architecture) -> Architecture:
        """Return the architecture whose steps and pairs are in the order that `key` writes."""
        forms = [_least_form(cell) for cell in self._own(architecture).cells]
        pairs = [pair for form in forms for step in form for pair in step]
        return self.from_genotype([gene for source, operator in pairs for gene in (source, OPERATORS.index(operator))])

    def canonical_graphs(self, batch: GraphBatch) -> GraphBatch:
        return self.representative_graphs(batch)

    def graphs(self, architecture: Architecture) -> list[Graph]:
        return [_graph(cell) for cell in architecture.cells]

    def encode(self, architectures: Sequence[Architecture]) -> GraphBatch:
        return self.encode_genotypes(self.genotypes(architectures))

    def encode_genotypes(self, genotypes: NDArray[np.integer]) -> GraphBatch:
        """Return the graphs of a population of genotypes `[batch, 32]`, with edges `[batch, 2, 2, 6, 6]`."""
        genes = np.asarray(genotypes, dtype=np.int8).reshape(-1, len(CELLS), STEPS, SLOTS, 2)
        sources, names = genes[..., 0], genes[..., 1] + np.int8(2)
        batch = len(genes)
        operators = np.full((batch, len(CELLS), _SIZE), self.vocabulary.index(SUM), dtype=np.int8)
        operators[..., :INPUTS], operators[..., -1] = 0, 1
        operators[..., _OPERATORS_AT] = names
        adjacency = np.zeros((batch, len(CELLS), _SIZE, _SIZE), dtype=bool)
        adjacency[..., _OPERATORS_AT, _NODES_AT[INPUTS:, None]] = True
        adjacency[..., _NODES_AT[INPUTS:], -1] = True
        rows, cells, steps, slots = np.indices(sources.shape)
        adjacency[rows, cells, _NODES_AT[sources], _OPERATORS_AT[steps, slots]] = True
        edges = np.full((batch, len(CELLS), SLOTS, NODES, NODES), -1, dtype=np.int8)
        edges[rows, cells, slots, sources, INPUTS + steps] = names
        return GraphBatch(self.vocabulary, operators, adjacency, edges)

    def decode(self, batch: GraphBatch) -> list[Architecture]:
        if batch.vocabulary != self.vocabulary or (len(batch) and batch.operators.shape[1:] != (len(CELLS), _SIZE)):
            raise ArchitectureError(
                f"batch: expected graphs of {self.name} ([batch, {len(CELLS)}, {_SIZE}] operators of its vocabulary); "
                f"got {list(batch.operators.shape)}."
            )
        if not len(batch):
            return []
        genes = np.empty((len(batch), len(CELLS), STEPS, SLOTS, 2), dtype=np.int8)
        into = batch.adjacency[..., _NODES_AT[:, None, None], _OPERATORS_AT]
        genes[..., 0], genes[..., 1] = into.argmax(axis=2), batch.operators[..., _OPERATORS_AT] - 2
        same = self.encode_genotypes(genes)
        if (same.operators != batch.operators).any() or (same.adjacency != batch.adjacency).any():
            raise ArchitectureError(
                f"batch: expected in each graph of {self.name} {INPUTS} inputs, {STEPS} times {SLOTS} operators with one source "
                "each and their sum, and an output that reads the sums, as encode gives them; got others."
            )
        return [self.from_genotype(row) for row in genes.reshape(len(batch), -1).tolist()]

    def network(self, build: Builder, architecture: Architecture, num_classes: int, **scale: int) -> int:
        # Operators need torch; looking up scores in a table does not.
        from archsearch.spaces.networks.nasnet import skeleton

        normal, reduction = architecture.cells
        return skeleton(build, normal, reduction, num_classes, **scale)


def _cell(genes: Genotype) -> Cell:
    """Return a cell whose edges are the pairs in order; its output, the concatenation of all steps, is implied."""
    pairs = list(zip(genes[::2], genes[1::2], strict=True))
    edges = tuple((source, INPUTS + position // SLOTS) for position, (source, _) in enumerate(pairs))
    return Cell(NODES, edges, edge_operators=tuple(OPERATORS[operator] for _, operator in pairs))


def _graph(cell: Cell) -> Graph:
    operators = [INPUT] * INPUTS + [SUM] * (_SIZE - INPUTS)
    operators[-1] = OUTPUT
    adjacency = np.zeros((_SIZE, _SIZE), dtype=bool)
    for place, (source, target), operator in zip(_OPERATORS_AT.flat, cell.edges, cell.edge_operators, strict=True):
        operators[place] = operator
        adjacency[_NODES_AT[source], place] = adjacency[place, _NODES_AT[target]] = True
    adjacency[_NODES_AT[INPUTS:], -1] = True
    return Graph(tuple(operators), adjacency)


@lru_cache(maxsize=1 << 14)  # a search asks for the key and the encoding of each candidate
def _least_form(cell: Cell) -> list[list[Pair]]:
    """Return the smallest of all topological orders of the steps of a cell; see `_least`."""
    pairs = list(zip((source for source, _ in cell.edges), cell.edge_operators, strict=True))
    steps = {node: pairs[SLOTS * (node - INPUTS) :][:SLOTS] for node in range(INPUTS, NODES)}
    return _least(steps, {node: node for node in range(INPUTS)})


def _least(steps: Mapping[int, Sequence[Pair]], numbers: Mapping[int, int]) -> list[list[Pair]]:
    """Return the smallest of all topological orders of the remaining steps, each written as its sorted pairs.

    Args:
        steps: The pairs (source, operator) of the steps that are not numbered yet.
        numbers: The numbers of the inputs and of the steps numbered so far.
    """
    ready = {
        node: sorted((numbers[source], operator) for source, operator in pairs)
        for node, pairs in steps.items()
        if all(source in numbers for source, _ in pairs)
    }
    if not ready:
        return []
    first = min(ready.values())
    # Equal steps may differ in which steps read them, so each of them is tried first.
    rests = [
        _least({other: pairs for other, pairs in steps.items() if other != node}, {**numbers, node: len(numbers)})
        for node, pairs in ready.items()
        if pairs == first
    ]
    return [first, *min(rests)]
