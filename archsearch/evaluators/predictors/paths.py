"""Path counts: the number of paths from an input to the output for each sequence of operators.

C. White, W. Neiswanger, Y. Savani, "BANANAS: Bayesian Optimization with Neural Architectures for Neural Architecture Search",
AAAI 2021, arXiv 1910.11858, path encoding: one feature for each sequence of operators that a path may pass. The sequences grow
exponentially in number with the length of the paths; here they share a fixed number of columns, so that cells of any size have
features of one length.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from archsearch.evaluators.predictors.form import NONE
from archsearch.spaces import GraphBatch
from archsearch.spaces.graph import INPUT, OUTPUT

COLUMNS = 509
"""Columns of a cell: a prime, and above the 364 sequences of NAS-Bench-101 and the 85 of NAS-Bench-201, which share none."""
_AT_ONCE = 2048  # architectures that are counted at once

Integers = NDArray[np.int64]
Numbers = NDArray[np.float64]


def path_counts(batch: GraphBatch, inputs: int = 1) -> Numbers:
    """Return the number of paths from an input to the output for each sequence of operators, `[batch, cells * COLUMNS]`.

    A sequence is the operators along a path without input and output; a path through `none` does not count, and a skip connection
    is an operator like any other, as in the paper. The column of a sequence is its number modulo the columns, where the sequences
    are numbered from the shortest to the longest. So the counts depend neither on the numbering of the nodes nor on operators
    without effect. A path from the second input, or a further one, begins with an extra operator that stands for this input.

    The paths are not listed: those that reach one node with one remainder are counted together. That takes time in proportion to
    at most edges times columns times the longest path.

    Args:
        batch: Graphs without cycles.
        inputs: Inputs of a cell; paths from different inputs are counted apart.
    """
    parts = [_counted(batch[start : start + _AT_ONCE], inputs) for start in range(0, len(batch), _AT_ONCE)]
    return np.concatenate(parts) if parts else np.empty((0, batch.operators.shape[1] * COLUMNS))


def _counted(batch: GraphBatch, inputs: int) -> Numbers:
    """Return the counts of some architectures; nodes are numbered through all their cells here."""
    nodes = batch.operators.shape[2]
    operators = batch.operators.reshape(-1)
    digits = _digits(batch.vocabulary)
    kinds = int(digits.max())
    base = kinds + inputs - 1
    is_output = operators == batch.vocabulary.index(OUTPUT)
    cell, source, target = batch.adjacency.reshape(-1, nodes, nodes).nonzero()
    first_edge = np.searchsorted(cell * nodes + source, np.arange(len(operators) + 1))
    target += cell * nodes
    at, number, count = _begun(operators == batch.vocabulary.index(INPUT), nodes, kinds)
    counts = np.zeros(len(operators) // nodes * COLUMNS)
    for _ in range(nodes - 1):  # one edge further each time
        edges = first_edge[at + 1] - first_edge[at]
        walk = np.repeat(np.arange(len(at)), edges)
        nth_edge = np.arange(len(walk)) - (edges.cumsum() - edges)[walk]
        at = target[first_edge[at][walk] + nth_edge]
        number, count = number[walk], count[walk]
        ends = is_output[at]
        np.add.at(counts, at[ends] // nodes * COLUMNS + number[ends], count[ends])
        digit = digits[operators[at]]
        inner = digit > 0
        at, number, count = _merged(at[inner], (base * number + digit)[inner] % COLUMNS, count[inner])
    return counts.reshape(len(batch), -1)


def _digits(vocabulary: Sequence[str]) -> Integers:
    """Return the digit of each operator from 1 on, 0 for `none`, and 0 for padding at the last place.

    In bijective numeration, where the digits are 1 to the base, no two sequences of digits share a number.
    """
    kinds = [place for place, name in enumerate(vocabulary) if name not in (INPUT, OUTPUT, NONE)]
    digits = np.zeros(len(vocabulary) + 1, dtype=np.int64)
    digits[kinds] = np.arange(1, len(kinds) + 1)
    return digits


def _begun(is_input: NDArray[np.bool_], nodes: int, kinds: int) -> tuple[Integers, Integers, Numbers]:
    """Return the paths that consist of an input: where they are, their numbers, and how many they are."""
    order = is_input.reshape(-1, nodes).cumsum(axis=1).reshape(-1)[is_input] - 1
    return np.flatnonzero(is_input), np.where(order > 0, kinds + order, 0) % COLUMNS, np.ones(len(order))


def _merged(at: Integers, number: Integers, count: Numbers) -> tuple[Integers, Integers, Numbers]:
    """Return paths with one entry for those that are at one node with one number."""
    keys, places = np.unique(at * COLUMNS + number, return_inverse=True)
    counts = np.zeros(len(keys))
    np.add.at(counts, places, count)
    return keys // COLUMNS, keys % COLUMNS, counts
