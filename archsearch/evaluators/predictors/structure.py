"""Counted properties of an architecture's graph, appended to the vector of an encoder.

G. Kadlecová et al., "Surprisingly Strong Performance Prediction with Neural Graph Features", ICML 2024, arXiv 2404.16551: counts
of operators, and longest and shortest paths, predict about as well as learned encodings. Here they are counted in the part of
each cell through which data flows from an input to an output, so that they do not depend on the numbering of the nodes nor on
operators without effect.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from archsearch.evaluators.predictors.encoders.encoder import Encoder, along_paths
from archsearch.evaluators.predictors.form import NONE, Form
from archsearch.spaces import GraphBatch
from archsearch.spaces.graph import INPUT, OUTPUT

_CHUNK = 8192  # architectures that are counted at once
_FAR = 1e9  # the length of a missing path


class Structured(nn.Module):
    """An encoder whose vectors are followed by the structure of each cell.

    Args:
        encoder: Makes the vectors.
        form: Form of the space's graphs.
    """

    def __init__(self, encoder: Encoder, form: Form) -> None:
        super().__init__()
        self.encoder = encoder
        self.features = encoder.features + form.cells * structure_size(form.vocabulary)

    def precompute(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Return the encoder's precomputed tensors, and the structure unchanged."""
        *graphs, structure = tensors
        return *self.encoder.precompute(*graphs), structure

    def forward(self, *precomputed: Tensor) -> Tensor:
        """Return `[members, batch, features]`; the last tensor is the structure, `[members or 1, batch, numbers]`."""
        *graphs, structure = precomputed
        vectors = self.encoder(*graphs)
        return torch.cat([vectors, structure.expand(len(vectors), -1, -1)], dim=2)


def structure_size(vocabulary: Sequence[str]) -> int:
    """Return the number of counted properties of one cell."""
    return 5 * len(_kinds(vocabulary)) + 6


def structure(batch: GraphBatch) -> Tensor:
    """Return counted properties of graphs, `[batch, cells * numbers]` float32.

    For each operator: its number, its largest and smallest number on a path from an input to the output, its number next to the
    output, and its number next to an input. Besides: operators on the longest and on the shortest path, edges, edges into the
    output, edges from inputs, and edges from an input to the output.
    """
    starts = range(0, len(batch), _CHUNK)
    parts = [_counted(batch[start : start + _CHUNK]) for start in starts]
    return torch.cat(parts) if parts else torch.empty(0, batch.operators.shape[1] * structure_size(batch.vocabulary))


def _kinds(vocabulary: Sequence[str]) -> list[int]:
    return [place for place, name in enumerate(vocabulary) if name not in (INPUT, OUTPUT, NONE)]


def _counted(batch: GraphBatch) -> Tensor:
    """Return the properties of a few graphs, of which each cell is one."""
    operators = torch.tensor(batch.operators).flatten(0, 1)
    edges = torch.tensor(np.ascontiguousarray(batch.adjacency)).flatten(0, 1)
    is_input, is_output = (operators == batch.vocabulary.index(name) for name in (INPUT, OUTPUT))
    live = _live(operators, edges, is_input, is_output, batch.vocabulary)
    edges = edges & live.unsqueeze(2) & live.unsqueeze(1)
    marks = torch.stack([(operators == kind) & live for kind in _kinds(batch.vocabulary)], dim=1).float()
    into_output, from_input = edges & is_output.unsqueeze(1), edges & is_input.unsqueeze(2)
    weights = torch.cat([marks, marks.sum(1, keepdim=True)], dim=1)
    numbers = [
        marks.sum(2),
        _longest(weights, edges, is_input & live, is_output),
        -_longest(-weights, edges, is_input & live, is_output),
        (marks * into_output.any(2).unsqueeze(1)).sum(2),
        (marks * from_input.any(1).unsqueeze(1)).sum(2),
        torch.stack([part.sum((1, 2)) for part in (edges, into_output, from_input, into_output & from_input)], dim=1).float(),
    ]
    return torch.cat(numbers, dim=1).view(len(batch), -1)


def _live(operators: Tensor, edges: Tensor, is_input: Tensor, is_output: Tensor, vocabulary: Sequence[str]) -> Tensor:
    """Return whether each node lies on a path from an input to an output without `none`, `[graphs, nodes]` bool."""
    passing = operators >= 0
    if NONE in vocabulary:
        passing &= operators != vocabulary.index(NONE)
    edges = edges & passing.unsqueeze(2) & passing.unsqueeze(1)
    reached, needed = is_input.clone(), is_output.clone()
    order = along_paths(edges)
    for node in order:
        reached[:, node] |= (edges[:, :, node] & reached).any(1)
    for node in reversed(order):
        needed[:, node] |= (edges[:, node, :] & needed).any(1)
    return reached & needed


def _longest(weights: Tensor, edges: Tensor, is_input: Tensor, is_output: Tensor) -> Tensor:
    """Return the largest sum of weights on a path from an input to an output, 0 where there is none.

    Args:
        weights: `[graphs, kinds, nodes]`.
        edges: `[graphs, nodes, nodes]` bool, where `[..., u, v]` is the edge from u to v.
        is_input: `[graphs, nodes]` bool.
        is_output: `[graphs, nodes]` bool.

    Returns:
        `[graphs, kinds]`.
    """
    best = torch.where(is_input, 0.0, -_FAR).unsqueeze(1).repeat(1, weights.shape[1], 1)
    for node in along_paths(edges):
        arriving = torch.where(edges[:, None, :, node], best, -_FAR).amax(2) + weights[:, :, node]
        best[:, :, node] = torch.maximum(best[:, :, node], arriving)
    found = torch.where(is_output.unsqueeze(1), best, -_FAR).amax(2)
    return torch.where(found > -_FAR / 2, found, 0.0)
