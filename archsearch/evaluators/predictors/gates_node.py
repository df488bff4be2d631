"""GATES for operators on nodes.

X. Ning et al., "A Generic Graph-based Neural Architecture Encoding Scheme for Predictor-based NAS", ECCV 2020,
arXiv 2004.01899. With the states `H` of the nodes, the edges `A` (`A[v, u] = 1` for an edge from u to v) and the embedded
operators `E` one layer is

    S  = H W_x
    H' = sigmoid(E W_o + b_o) * (A S) + R(S) + b

where `R(S)` is S or nothing, and A may have loops. ReLU stands between layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from archsearch.evaluators.predictors.encoder import Encoder, along_paths, nodes_in_order
from archsearch.evaluators.predictors.form import Form
from archsearch.evaluators.predictors.settings import Settings
from archsearch.evaluators.predictors.stacked import Generators, Linear, chosen, normal, times, uniform
from archsearch.spaces import GraphBatch


class NodeLayer(nn.Module):
    """One step of information along the edges: see the equation above.

    Args:
        inputs: Features of the states that come in.
        settings: Sizes and options.
        generators: One for each member.
    """

    def __init__(self, inputs: int, settings: Settings, generators: Generators) -> None:
        super().__init__()
        self.gate = Linear(settings.embedding, settings.width, generators)
        self.weight = uniform(generators, (inputs, settings.width), settings.width**-0.5)
        self.bias = nn.Parameter(torch.zeros(len(generators), 1, settings.width, device=self.weight.device))
        self.residual, self.self_loops = settings.residual, settings.self_loops

    def inputs(self, moved: Tensor) -> Tensor:
        """Return the states of input nodes, at which nothing arrives; their operator is a zero vector.

        Args:
            moved: S of the input nodes, `[members, inputs, width]`.
        """
        states = torch.sigmoid(self.gate.bias) * moved + self.bias if self.self_loops else self.bias.expand_as(moved)
        return states + moved if self.residual else states

    def others(self, moved: Tensor, arriving: Tensor, operators: Tensor, embeddings: Tensor) -> Tensor:
        """Return the states of the other nodes.

        Args:
            moved: S of these nodes, `[members, graphs, nodes, width]`, or of that shape when spread.
            arriving: A S at these nodes, `[members, graphs, nodes, width]`.
            operators: `[members or 1, graphs, nodes]`, from 0.
            embeddings: E of each operator, `[members, operators, embedding]`.
        """
        gates = chosen(torch.sigmoid(self.gate(embeddings)), operators)
        states = torch.addcmul(self.bias.unsqueeze(1), gates, arriving)
        return states + moved if self.residual else states


class NodeGATES(Encoder):
    """Information enters at the inputs and flows along the edges; operators are gates on it.

    Input nodes have an embedding of their own, all others share one that starts from zero, or (`depth_scale`) have the one of
    their depth, which is the length of the longest path to them. The vector of an architecture is the sum of the last states of
    all nodes but the inputs, over the largest number of such nodes, for each cell in turn. It does not depend on the numbering
    of the nodes.

    The states of the inputs do not depend on the architecture, and those of the other nodes only on their depth before the first
    layer: they are computed once for all graphs.

    Args:
        form: Form of the space's graphs.
        settings: Sizes and options.
        generators: One for each member.
    """

    def __init__(self, form: Form, settings: Settings, generators: Generators) -> None:
        super().__init__()
        self.form, self.settings = form, settings
        self.features = form.cells * settings.width
        self.entries = normal(generators, (form.cells * form.inputs, settings.embedding))
        depths = form.nodes if settings.depth_scale else 1
        self.rest = normal(generators, (depths, settings.embedding), settings.depth_scale)
        self.project = Linear(settings.embedding, settings.hidden, generators)
        self.operators = normal(generators, (len(form.vocabulary) - 1, settings.embedding))
        sizes = [settings.hidden] + [settings.width] * settings.layers
        layers = nn.ModuleList(NodeLayer(inputs, settings, generators) for inputs, _ in pairwise(sizes))
        self.layers = cast("Sequence[NodeLayer]", layers)

    @staticmethod
    def tensors(batch: GraphBatch, form: Form) -> tuple[Tensor, ...]:
        """Return operators and depths, `[batch, cells, others]`, and edges into these nodes, `[batch, cells, others, nodes]`."""
        operators, edges = nodes_in_order(batch)
        others = slice(form.inputs, None)
        return operators[..., others] - 1, _depths(edges)[..., others], edges[..., others, :]

    def forward(self, *tensors: Tensor) -> Tensor:
        operators, depths = tensors[0].flatten(1, 2), tensors[1].flatten(1, 2)
        from_entries, edges = self._edges(tensors[2])
        entries, states = self.project(self.entries), self.project(self.rest)
        for number, layer in enumerate(self.layers):
            if number:
                entries, states = entries.relu(), states.relu()
            entries, moved = torch.bmm(entries, layer.weight), times(states, layer.weight)
            if number or self.settings.depth_scale:
                moved = moved if number else chosen(moved, depths.clamp(max=moved.shape[1] - 1))
                arriving = torch.matmul(edges, moved)
            else:  # there is one state for all nodes, so that it is enough to count what arrives
                moved = moved.unsqueeze(1)
                arriving = edges.sum(3, keepdim=True) * moved
            arriving = arriving + torch.matmul(from_entries, entries).view_as(arriving)
            states = layer.others(moved, arriving, operators, self.operators)
            entries = layer.inputs(entries)
        real = (operators < len(self.form.vocabulary) - 1).to(states.dtype).unsqueeze(2)
        vectors = torch.matmul(real / (self.form.nodes - self.form.inputs), states)
        return vectors.view(len(vectors), -1, self.features)

    def _edges(self, edges: Tensor) -> tuple[Tensor, Tensor]:
        """Return the edges from the inputs of all cells, `[members or 1, graphs * others, inputs]`, and from other nodes."""
        form = self.form
        cells = torch.eye(form.cells, dtype=torch.bool, device=edges.device)[:, None, :, None]
        from_entries = (edges[..., : form.inputs].unsqueeze(4) & cells).flatten(4)
        others = edges[..., form.inputs :].to(self.entries.dtype)
        if self.settings.self_loops:
            others = others + torch.eye(others.shape[-1], device=edges.device)
        return from_entries.flatten(1, 3).to(self.entries.dtype), others.flatten(1, 2)


def _depths(edges: Tensor) -> Tensor:
    """Return the length of the longest path to each node, `[batch, cells, nodes]` uint8.

    Args:
        edges: `[batch, cells, nodes, nodes]` bool, where `[..., v, u]` is the edge from u to v.
    """
    depths = torch.zeros(edges.shape[:-1], dtype=torch.uint8)
    for node in along_paths(edges.transpose(-1, -2)):
        depths[..., node] = torch.where(edges[..., node, :], depths + 1, 0).amax(-1)
    return depths
