"""Short names and one-line summaries of architectures, for tables and pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from archsearch.errors import ArchSearchError
from archsearch.spaces import Architecture, SearchSpace
from archsearch.spaces.canonical import live_part
from archsearch.spaces.graph import INPUT, OUTPUT, Graph

_DIGITS = 4
_KINDS = 5
_NOTHING = "none"  # an operator of this name writes zeros: there is no edge
_JOINS = ("sum",)  # not chosen: each pair of operators has one


def short_name(space: str, key: str) -> str:
    """Return the name of a space and the first digits of a canonical key: `nasbench201-3f2a`."""
    return f"{space}-{key[:_DIGITS]}"


def short_names(space: str, keys: Sequence[str]) -> list[str]:
    """Return short names of several architectures; they take more digits where four would give two of them the same name."""
    distinct, digits = len(set(keys)), _DIGITS
    while digits < max(map(len, keys), default=0) and len({key[:digits] for key in keys}) < distinct:
        digits += 1
    return [f"{space}-{key[:digits]}" for key in keys]


def outline(space: SearchSpace, architecture: Architecture) -> str:
    """Return an architecture in one line: its operators by count, and the depth of each cell.

    Only operators on a path from an input to the output count, and none that writes zeros. The depth is the largest number of
    operators on such a path. Of a space whose texts name their genes it is the text.

    Example:
        >>> from archsearch import spaces
        >>> space = spaces.get("nasbench201")
        >>> text = "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|nor_conv_1x1~2|"
        >>> outline(space, space.parse(text))
        '2 nor_conv_3x3, 1 nor_conv_1x1, 1 skip_connect; depth 3'
    """
    if space.names_genes:
        return str(architecture)
    graphs = [live_graph(graph) for graph in space.graphs(architecture)]
    # What follows @ is the place of an operator within its space, such as a scale, and no other operator.
    names = (name.split("@")[0] for graph in graphs for name in graph.operators if not _is_end(name))
    counts = sorted(Counter(name for name in names if name not in _JOINS).items(), key=lambda item: (-item[1], item[0]))
    depths = [depth(graph) for graph in graphs]
    operators = ", ".join(f"{count} {name}" for name, count in counts[:_KINDS])
    if rest := sum(count for _, count in counts[_KINDS:]):
        operators += f", {rest} other{'s' if rest > 1 else ''}"
    unlike = depths if len(set(depths)) > 1 else depths[:1]
    return f"{operators or 'no operators'}; depth {' and '.join(map(str, unlike)) or '0'}"


def shortened(cells: list[list[str]], space: SearchSpace) -> list[list[str]]:
    """Return a table with short names and outlines in place of its last column, the texts of architectures.

    Args:
        cells: A heading, then rows.
        space: The space of the architectures. A text that it cannot read stays as it is, without a name.
    """
    heading, *rows = cells
    found: list[Architecture | None] = []
    for row in rows:
        try:
            found.append(space.parse(row[-1]))
        except ArchSearchError:
            found.append(None)
    names = short_names(space.name, ["" if each is None else space.key(each) for each in found])
    ends = [
        ["", row[-1]] if each is None else [name, outline(space, each)]
        for row, each, name in zip(rows, found, names, strict=True)
    ]
    return [[*heading[:-1], "name", "operators"], *([*row[:-1], *end] for row, end in zip(rows, ends, strict=True))]


def depth(graph: Graph) -> int:
    """Return the largest number of operators on a path from an input to the output; 0 if there is no path."""
    size = len(graph.operators)
    longest = np.full(size, -1)
    for node in range(size):
        before = longest[np.flatnonzero(graph.adjacency[:, node])]
        if graph.operators[node].split(" ")[0] == INPUT:
            longest[node] = 0
        elif (before >= 0).any():
            longest[node] = before.max() + (graph.operators[node] not in (OUTPUT, *_JOINS))
    return max(0, *(int(longest[node]) for node in range(size) if graph.operators[node] == OUTPUT)) if size else 0


def live_graph(graph: Graph) -> Graph:
    """Return the part of a graph on paths from an input to the output, without operators that write zeros."""
    kept = [node for node, operator in enumerate(graph.operators) if operator != _NOTHING]
    return live_part(Graph(tuple(graph.operators[node] for node in kept), graph.adjacency[np.ix_(kept, kept)]))


def _is_end(name: str) -> bool:
    return name.split(" ")[0] in (INPUT, OUTPUT)
