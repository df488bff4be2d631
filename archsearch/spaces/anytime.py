"""The anytime search space of Graph HyperNetworks: three cells whose nodes work at several scales, with early exits.

C. Zhang, M. Ren, R. Urtasun, "Graph HyperNetworks for Neural Architecture Search", ICLR 2019, arXiv 1810.05749, section 5.2.
The paper gives the number of nodes of each cell, and says that a node has a scale and may have an exit. The list of operators,
how inputs are joined, and how cells are linked are choices of archsearch.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from archsearch.errors import ArchitectureError, ConfigurationError
from archsearch.spaces.architecture import Architecture
from archsearch.spaces.graph import GraphBatch
from archsearch.spaces.space import Genotype, SearchSpace
from archsearch.spaces.wiring import (
    Node,
    Work,
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
    from archsearch.spaces.plan import Plan

OPERATORS = ("conv_1x1", "conv_3x3", "conv_5x5", "max_pool_3x3", "avg_pool_3x3")
SCALES = (1, 2, 4)
INPUTS = 1
_EXIT = "exit"
_EXAMPLE = '[[["conv_3x3",[0],1],["avg_pool_3x3",[0,1],2,"exit"]],[["conv_1x1",[0],4]]]'


WORK: Mapping[str, Work] = {
    f"{work.operator}@{work.scale}{'+exit' if work.exit else ''}": work
    for work in itertools.starmap(Work, itertools.product(OPERATORS, SCALES, (False, True)))
}
"""The `Work` behind each operator name in graphs, such as `conv_3x3@2+exit`."""
_LABELS = {work: label for label, work in WORK.items()}


class Anytime(SearchSpace):
    """`[[["conv_3x3",[0],1],["avg_pool_3x3",[0,1],2,"exit"],...],...]`: operator, predecessors, scale, and `exit` or nothing.

    The text is a JSON list of cells, each a list of nodes. Node 0 of a cell is its input; the list begins with node 1. A node
    resizes its inputs to its own scale (2x2 average pooling, or nearest-neighbour upsampling), concatenates them and applies its
    operator. A node of scale s works at 1/s of the size of the cell's input, s = 1, 2 or 4. The leaves of a cell (nodes that no
    other node reads) are the input of the next cell, which works at half the size; those of the last cell are the input of the
    last classifier, so that each network has an exit. Operator names in graphs hold scale and exit too; see `WORK`.

    The genes of a node are its operator, set of predecessors, scale and exit. `sample` draws operator and scale uniformly,
    predecessors from the distribution `in_degree` (as the space `cells`), and an exit with probability `exit_probability`.
    No sample is rejected.

    Scale:
        channels: Channels of a node in the first cell; they double with each cell.
        widening: Factor by which the nodes of a scale have more channels than those of the next finer one; 2 gives those of an
            MSDNet.
        relus: 2 rectifies the output of each node, after a normalisation with learned scale and shift, so that what is resized,
            pooled and joined is rectified; 1 rectifies the input of convolutions only.
        exit_nodes: Nodes that an exit reads: its own and, nearest first, those of its cell that this one depends on.
        exit_regions: Regions along each side of a map whose means the exits read, so that they know where something is; 1 is
            the mean over all positions.
        exit_mean: Exits up to its own of whose outputs an exit answers with the mean; in training each has its own loss.

    All settings but `channels` are 1 in the form of the paper, the default. Networks of that form lose against an MSDNet on
    natural images; benchmarks/results/anytime.md tells what each setting gives.

    Args:
        nodes: Number of nodes of each cell, its input excluded (paper: 24, 16, 8).
        in_degree: Distribution of the number of predecessors: `one`, `one_or_two` or `two`.
        exit_probability: Probability that a node of a sample has an exit, a fraction; the default gives about ten exits.

    Raises:
        ConfigurationError: There is no cell, a cell has no node or more than 120, `in_degree` is unknown, or the probability is
            not between 0 and 1.
    """

    name: ClassVar[str] = "anytime"
    operators: ClassVar[tuple[str, ...]] = tuple(WORK)
    num_inputs: ClassVar[int] = INPUTS
    later_scale: ClassVar[Mapping[str, int]] = dict.fromkeys(("widening", "relus", "exit_nodes", "exit_regions", "exit_mean"), 1)
    scale_defaults: ClassVar[Mapping[str, int]] = {"channels": 16, **later_scale}

    def __init__(self, nodes: Sequence[int] = (24, 16, 8), in_degree: str = "one_or_two", exit_probability: float = 0.2) -> None:
        if not isinstance(nodes, Sequence) or not nodes or not all(isinstance(n, int) and 1 <= n <= 120 for n in nodes):
            raise ConfigurationError(f"nodes: expected a whole number from 1 to 120 for each cell; got {nodes!r}.")
        if not 0.0 <= exit_probability <= 1.0:
            raise ConfigurationError(f"exit_probability: expected a fraction from 0 to 1; got {exit_probability!r}.")
        self.nodes = tuple(nodes)
        self.in_degree = check_in_degree(in_degree)
        self.exit_probability = exit_probability
        self._places = [(cell, node) for cell, count in enumerate(self.nodes) for node in range(INPUTS, INPUTS + count)]
        self._choices: dict[str, tuple[Any, ...]] = {}
        for cell, node in self._places:
            prefix, sets = f"cell{cell}_node{node}", predecessor_sets(node, in_degree)
            self._choices[f"{prefix}_operator"] = OPERATORS
            self._choices[f"{prefix}_predecessors"] = tuple(",".join(map(str, sources)) for sources in sets)
            self._choices[f"{prefix}_scale"] = SCALES
            self._choices[f"{prefix}_exit"] = (False, True)

    @property
    def choices(self) -> Mapping[str, Sequence[Any]]:
        return self._choices

    @property
    def gene_groups(self) -> Sequence[Sequence[str]]:
        """Operator, predecessors, scale and exit of each node."""
        names = list(self._choices)
        return [names[start : start + 4] for start in range(0, len(names), 4)]

    def from_genotype(self, genotype: Sequence[int]) -> Architecture:
        genes = checked_genotype(genotype, self._choices)
        cells: list[list[Node]] = [[] for _ in self.nodes]
        for (cell, number), (operator, sources, scale, leaves) in zip(self._places, _fours(genes), strict=True):
            label = _LABELS[Work(OPERATORS[operator], SCALES[scale], bool(leaves))]
            cells[cell].append(Node(label, predecessor_sets(number, self.in_degree)[sources]))
        return _architecture(cells)

    def genotype(self, architecture: Architecture) -> Genotype:
        nodes = itertools.chain.from_iterable(nodes_of(cell, INPUTS) for cell in self._own(architecture).cells)
        genes: list[int] = []
        for (_, number), node in zip(self._places, nodes, strict=True):
            work = WORK[node.operator]
            sources = predecessor_index(number, node.predecessors, self.in_degree)
            genes += (OPERATORS.index(work.operator), sources, SCALES.index(work.scale), int(work.exit))
        return tuple(genes)

    def parse(self, text: str) -> Architecture:
        cells = read_json_list(text, _EXAMPLE)
        if not all(isinstance(cell, list) for cell in cells) or tuple(map(len, cells)) != self.nodes:
            raise ArchitectureError(f"text: expected lists of {list(self.nodes)} nodes, the cells of {self!r}; got {text!r}.")
        return _architecture([[self._node(value, n) for n, value in enumerate(cell, start=INPUTS)] for cell in cells])

    def _node(self, value: object, number: int) -> Node:
        if not isinstance(value, list) or not 3 <= len(value) <= 4 or value[3:] not in ([], [_EXIT]):
            raise ArchitectureError(
                f"node {number}: expected [operator, predecessors, scale] or [operator, predecessors, scale, {_EXIT!r}]; "
                f"got {value!r}."
            )
        operator, sources, scale = value[:3]
        if type(scale) is not int or scale not in SCALES:
            raise ArchitectureError(f"node {number}: expected a scale of {', '.join(map(str, SCALES))}; got {scale!r}.")
        label = _LABELS[Work(read_operator(operator, OPERATORS), scale, len(value) == 4)]
        return Node(label, read_predecessors(sources, number, self.in_degree))

    def sample(self, rng: np.random.Generator) -> Architecture:
        """Return a random architecture, drawn as the class describes."""
        genes: list[int] = []
        for _, node in self._places:
            operator, scale = int(rng.integers(len(OPERATORS))), int(rng.integers(len(SCALES)))
            sources = draw_predecessors(rng, node, self.in_degree)
            genes += (operator, sources, scale, int(rng.random() < self.exit_probability))
        return self.from_genotype(genes)

    def decode(self, batch: GraphBatch) -> list[Architecture]:
        if batch.vocabulary != self.vocabulary or (len(batch) and batch.operators.shape[1] != len(self.nodes)):
            raise ArchitectureError(
                f"batch: expected graphs of {len(self.nodes)} cells with the vocabulary of {self.name}; "
                f"got {list(batch.operators.shape)}."
            )
        return [self._decoded(batch, row) for row in range(len(batch))]

    def _decoded(self, batch: GraphBatch, row: int) -> Architecture:
        cells = tuple(cell_of_graph(batch.graph(row, cell)) for cell in range(len(self.nodes)))
        sizes = tuple(cell.num_nodes - INPUTS - 1 for cell in cells)
        if sizes != self.nodes:
            raise ArchitectureError(f"batch[{row}]: expected {list(self.nodes)} nodes in its cells; got {list(sizes)}.")
        nodes = [nodes_of(cell, INPUTS) for cell in cells]
        for number, node in itertools.chain.from_iterable(enumerate(cell, start=INPUTS) for cell in nodes):
            read_operator(node.operator, self.operators)
            predecessor_index(number, node.predecessors, self.in_degree)
        architecture = _architecture(nodes)
        if architecture.cells != cells:
            raise ArchitectureError(f"batch[{row}]: expected an input and an output that reads all leaves; got {cells}.")
        return architecture

    def network(self, build: Builder, architecture: Architecture, num_classes: int, **scale: int) -> tuple[int, ...]:
        from archsearch.spaces.networks.anytime import NetworkCell, skeleton  # operators need torch; encoding does not

        cells = []
        for cell in architecture.cells:
            nodes, leaves = nodes_and_leaves(cell, INPUTS)
            cells.append(NetworkCell([(WORK[operator], predecessors) for operator, predecessors in nodes], leaves))
        # Means of exits need the order of the exits, which `plan` finds.
        form = {name: value for name, value in scale.items() if name != "exit_mean"}
        return skeleton(build, cells, num_classes, **form)

    def plan(self, architecture: Architecture, num_classes: int, in_channels: int, **scale: int) -> Plan:
        """Return the network with its exits in the order of their MACs, the last classifier last."""
        from archsearch.spaces.exits import averaged_exits, cheapest_exits_first
        from archsearch.spaces.networks.anytime import NOMINAL_SIZE

        plan = super().plan(architecture, num_classes, in_channels, **scale)
        ordered = cheapest_exits_first(plan, (in_channels, NOMINAL_SIZE, NOMINAL_SIZE))
        return averaged_exits(ordered, scale.get("exit_mean", 1))

    def exit_macs(
        self,
        architecture: Architecture,
        input_shape: tuple[int, int, int] = (3, 32, 32),
        num_classes: int = 10,
        **scale: int,
    ) -> tuple[int, ...]:
        """Return the MACs spent until each exit gives its logits, in the order of the network's outputs, strictly increasing.

        The MACs of a node count for the first exit that depends on it; see `exits.exit_costs`.

        Args:
            architecture: An architecture of this space.
            input_shape: `(channels, height, width)` of an image.
            num_classes: Number of classes of each exit.
            **scale: See `scale_defaults`.
        """
        from archsearch.spaces.exits import exit_costs

        plan = self.plan(architecture, num_classes, input_shape[0], **scale)
        return tuple(cost.macs for cost in exit_costs(plan, input_shape))

    def checked_scale(self, scale: Mapping[str, int]) -> dict[str, int]:
        """Return the settings in `scale`, completed by `scale_defaults`, without later ones at their defaults.

        Raises:
            ConfigurationError: A setting is unknown or not a positive int, or `relus` is above 2.
        """
        checked = super().checked_scale(scale)
        if (relus := checked.get("relus", 1)) > 2:
            raise ConfigurationError(f"scale['relus']: expected 1, before convolutions, or 2, after nodes too; got {relus}.")
        return checked

    def _own(self, architecture: Architecture) -> Architecture:
        architecture = super()._own(architecture)
        nodes = tuple(cell.num_nodes - INPUTS - 1 for cell in architecture.cells)
        if nodes != self.nodes:
            raise ArchitectureError(f"architecture: expected one of {self!r}; got {nodes}. Use Anytime(nodes={nodes}) for it.")
        return architecture

    def __repr__(self) -> str:
        return f"Anytime(nodes={self.nodes}, in_degree={self.in_degree!r}, exit_probability={self.exit_probability})"


def _fours(genes: Sequence[int]) -> list[tuple[int, int, int, int]]:
    return list(zip(genes[::4], genes[1::4], genes[2::4], genes[3::4], strict=True))


def _architecture(cells: Sequence[Sequence[Node]]) -> Architecture:
    values = []
    for nodes in cells:
        works = [(WORK[node.operator], node.predecessors) for node in nodes]
        values.append([[work.operator, sources, work.scale, *([_EXIT] if work.exit else [])] for work, sources in works])
    text = json.dumps(values, separators=(",", ":"))
    return Architecture(Anytime.name, text, tuple(cell_of(nodes, INPUTS) for nodes in cells))
