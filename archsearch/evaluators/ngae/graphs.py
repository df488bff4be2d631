"""Populations of graphs as the tensors that the auto-encoder reads and generates."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from archsearch.spaces import GraphBatch

ABSENT = 0  # type of a vertex that a smaller graph lacks


class Graphs(NamedTuple):
    """A population with its vertices in topological order: the inputs first, the output last, absent ones before the output.

    Args:
        types: `[batch, cells, vertices]` int64; 0 is absent, then the vocabulary of the space from 1.
        edges: `[batch, cells, vertices, vertices]` bool; `[..., u, v]` is the edge from u to v, and u < v.
    """

    types: Tensor
    edges: Tensor

    def __len__(self) -> int:
        return len(self.types)

    def rows(self, rows: Tensor | slice) -> Graphs:
        """Return some of the population."""
        return Graphs(self.types[rows], self.edges[rows])

    def to(self, device: torch.device) -> Graphs:
        """Return the population on a device."""
        return Graphs(self.types.to(device), self.edges.to(device))


def from_batch(batch: GraphBatch, vertices: int) -> Graphs:
    """Return a population as tensors with `vertices` vertices a cell, at least those of the largest graph."""
    rows, cells, given = batch.operators.shape
    types = np.zeros((rows, cells, vertices), dtype=np.int64)
    edges = np.zeros((rows, cells, vertices, vertices), dtype=bool)
    types[..., :given] = batch.operators.astype(np.int64) + 1
    edges[..., :given, :given] = batch.adjacency
    last = vertices - 1
    output = last - np.argmax(types[..., ::-1] != ABSENT, axis=-1)
    row, cell = np.nonzero(output < last)
    at = output[row, cell]
    types[row, cell, last] = types[row, cell, at]
    types[row, cell, at] = ABSENT
    edges[row, cell, :, last] = edges[row, cell, :, at]
    edges[row, cell, :, at] = False
    return Graphs(torch.from_numpy(types), torch.from_numpy(edges))


def to_batch(graphs: Graphs, vocabulary: tuple[str, ...]) -> GraphBatch:
    """Return tensors as a population: the inverse of `from_batch`, with the output behind the last vertex that is there."""
    types, edges = graphs.types.cpu().numpy().copy(), graphs.edges.cpu().numpy().copy()
    last = types.shape[-1] - 1
    at = (types[..., :last] != ABSENT).sum(axis=-1)  # absent vertices stand before the output, and nowhere else
    row, cell = np.nonzero(at < last)
    at = at[row, cell]
    types[row, cell, at] = types[row, cell, last]
    types[row, cell, last] = ABSENT
    edges[row, cell, :, at] = edges[row, cell, :, last]
    edges[row, cell, :, last] = False
    return GraphBatch(vocabulary, (types - 1).astype(np.int8), edges)
