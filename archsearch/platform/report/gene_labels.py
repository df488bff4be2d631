"""Names of the genes of a user-defined space that decide the operators of a cell, for pictures."""

from __future__ import annotations

from collections.abc import Mapping

from archsearch.errors import ArchSearchError
from archsearch.spaces import Architecture, GeneSpace, SearchSpace
from archsearch.spaces.graph import Graph

Labels = tuple[Mapping[int, str], ...]
"""For each cell the names of genes by node."""


def gene_labels(space: SearchSpace, architecture: Architecture) -> Labels:
    """Return, for each cell, the gene that decides the operator of a node, where there is exactly one.

    A gene decides a node if another value of the gene changes the operator of that node alone. So the space needs to say nothing.
    Built-in spaces, whose genes have no names of interest, have no labels.

    Args:
        space: The space of the architecture.
        architecture: The architecture.
    """
    graphs = space.drawing(architecture)
    found: list[dict[int, str]] = [{} for _ in graphs]
    if not isinstance(space, GeneSpace):
        return tuple(found)
    params = space.params(architecture)
    for gene, alternatives in space.choices.items():
        places = _decided(space, graphs, params, gene, list(alternatives))
        if places is not None:
            cell, node = places
            found[cell][node] = gene
    return tuple(found)


def _decided(
    space: SearchSpace, graphs: list[Graph], params: Mapping[str, object], gene: str, alternatives: list[object]
) -> tuple[int, int] | None:
    """Return cell and node of the only operator that another value of a gene changes."""
    for value in alternatives:
        if value == params[gene]:
            continue
        try:
            others = space.graphs(space.from_params({**params, gene: value}))
        except ArchSearchError:  # not every change gives a valid architecture
            continue
        if [len(graph.operators) for graph in others] != [len(graph.operators) for graph in graphs]:
            continue
        changed = [
            (cell, node)
            for cell, (before, after) in enumerate(zip(graphs, others, strict=True))
            for node, names in enumerate(zip(before.operators, after.operators, strict=True))
            if names[0] != names[1]
        ]
        if len(changed) == 1:
            return changed[0]
    return None
