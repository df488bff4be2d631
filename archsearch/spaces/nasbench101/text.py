"""The string form of NAS-Bench-101 cells: the benchmark's adjacency matrix and labels."""

from __future__ import annotations

import re

from archsearch.errors import ArchitectureError, unknown_name
from archsearch.spaces.architecture import Cell
from archsearch.spaces.graph import INPUT, OUTPUT
from archsearch.spaces.nasbench101.code import MAX_VERTICES, OPERATORS

EXAMPLE = "[[0,1,1],[0,0,1],[0,0,0]] [input,conv3x3-bn-relu,output]"
_FORM = re.compile(r"\[\[([^\[\]]*(?:\],\[[^\[\]]*)*)\]\],?\[([^\[\]]*)\]")


def write_cell(cell: Cell) -> str:
    """Return the matrix and the labels of a cell, such as `[[0,1,1],[0,0,1],[0,0,0]] [input,conv3x3-bn-relu,output]`."""
    matrix = [["0"] * cell.num_nodes for _ in range(cell.num_nodes)]
    for source, target in cell.edges:
        matrix[source][target] = "1"
    rows = "],[".join(",".join(row) for row in matrix)
    return f"[[{rows}]] [{','.join(cell.node_operators)}]"


def read_cell(text: str) -> Cell:
    """Return the cell of a string; spaces, quotes and a comma between matrix and labels are ignored.

    Raises:
        ArchitectureError: The string has another form, more than 7 vertices, an edge that does not run forwards, an unknown
            operator, or an input that is not first or an output that is not last.
    """
    match = _FORM.fullmatch(re.sub(r"[\s'\"]", "", text)) if isinstance(text, str) else None
    if match is None:
        raise ArchitectureError(f"text: expected a NAS-Bench-101 cell, matrix and labels, such as {EXAMPLE}; got {text!r}.")
    matrix = [row.split(",") for row in match.group(1).split("],[")]
    labels = tuple(match.group(2).split(","))
    _check_labels(labels)
    return Cell(len(labels), _edges(matrix, len(labels)), node_operators=labels)


def _check_labels(labels: tuple[str, ...]) -> None:
    if not 2 <= len(labels) <= MAX_VERTICES:
        raise ArchitectureError(
            f"labels: expected 2 to {MAX_VERTICES} vertices, input and output included; got {len(labels)}. "
            "NAS-Bench-101 has no larger cells."
        )
    if labels[0] != INPUT or labels[-1] != OUTPUT:
        raise ArchitectureError(
            f"labels: expected {INPUT} first and {OUTPUT} last; got {labels[0]!r} and {labels[-1]!r}. Reorder the vertices."
        )
    for label in labels[1:-1]:
        if label not in OPERATORS:
            raise ArchitectureError(unknown_name("operator", label, OPERATORS))


def _edges(matrix: list[list[str]], size: int) -> tuple[tuple[int, int], ...]:
    if len(matrix) != size or any(len(row) != size for row in matrix):
        lengths = [len(row) for row in matrix]
        raise ArchitectureError(
            f"matrix: expected {size} rows of {size} entries, one per label; got {len(matrix)} rows of {lengths} entries."
        )
    wrong = [entry for row in matrix for entry in row if entry not in ("0", "1")]
    if wrong:
        raise ArchitectureError(f"matrix: expected the entries 0 and 1; got {wrong[0]!r}.")
    edges = [(source, target) for target in range(size) for source in range(size) if matrix[source][target] == "1"]
    for source, target in edges:
        if source >= target:
            raise ArchitectureError(
                f"matrix: expected edges to later vertices only (entries above the diagonal); got {source}>{target}. "
                "Renumber the vertices; a graph with a cycle is no cell."
            )
    return tuple(edges)
