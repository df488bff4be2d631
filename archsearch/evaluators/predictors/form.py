"""Form of the graphs of a space: vocabulary and sizes, as an encoder needs them."""

from __future__ import annotations

from dataclasses import dataclass

from archsearch.spaces import GraphBatch

NONE = "none"


@dataclass(frozen=True, slots=True)
class Form:
    """Vocabulary and sizes of the graphs of a space.

    Args:
        vocabulary: Operator names, `input` and `output` first.
        inputs: Inputs of a cell.
        cells: Cells of an architecture.
        nodes: Nodes of a graph, padding included, in the form with operators on nodes.
        width: Nodes of a cell in the form with operators on edges; 0 where the space has no such form.
        slots: Operators that may join one pair of nodes in that form; 0 where there is one for each pair.
    """

    vocabulary: tuple[str, ...]
    inputs: int
    cells: int
    nodes: int
    width: int = 0
    slots: int = 0

    @classmethod
    def of(cls, batch: GraphBatch, inputs: int) -> Form:
        """Return the form of a population whose cells have `inputs` inputs."""
        cells, nodes = batch.operators.shape[1:]
        if batch.edges is None:
            return cls(batch.vocabulary, inputs, cells, nodes)
        slots = batch.edges.shape[2] if batch.edges.ndim == 5 else 0
        return cls(batch.vocabulary, inputs, cells, nodes, batch.edges.shape[-1], slots)
