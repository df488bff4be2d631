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

from archsearch.evaluators.predictors.encoders.encoder import Encoder, along_paths, nodes_in_order
from archsearch.evaluators.predictors.form import Form
from archsearch.evaluators.predictors.settings import Settings
from archsearch.evaluators.predictors.stacked import Generators, Linear, all_gates, marked, normal, uniform
from archsearch.spaces import GraphBatch


class NodeLayer(nn.Module):
    """The parameters of one layer.

    Args:
        inputs: Features of the states that come in.
        settings: Sizes.
        generators: One for each member.
    """

    def __init__(self, inputs: int, settings: Settings, generators: Generators) -> None:
        super().__init__()
        self.gate = Linear(settings.embedding, settings.width, generators)
        self.weight = uniform(generators, (inputs, settings.width), settings.width**-0.5)
        self.bias = nn.Parameter(torch.zeros(len(generators), 1, settings.width, device=self.weight.device))


class NodeGATES(Encoder):
    """Information enters at the inputs and flows along the edges; operators are gates on it.

    Input nodes have an embedding of their own, all others share one that starts from zero, or (`depth_scale`) have the one of
    their depth, which is the length of the longest path to them. The vector of an architecture is the sum of the last states of
    all nodes but the inputs, over the largest number of such nodes, for each cell in turn. It does not depend on the numbering
    of the nodes.

    The states of the inputs do not depend on the architecture, and those of the other nodes only on their depth before the first
    layer: they are computed once for all graphs. In the last layer the sum over the nodes is taken first, for each operator by
    itself, since the nodes of one operator share a gate: `sum over v of g_v * (A S)_v = sum over o of g_o * (C_o H W_x)`, where
    `C_o` sums the rows of A at the nodes with operator o.

    Args:
        form: Form of the space's graphs.
        settings: Sizes and options.
        generators: One for each member.
    """

    at_once = 192  # each architecture has the states of all its nodes

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

    def precompute(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Return operators, depths and edges as matrices, and their sums for the last layer; `rows` are the nodes of all graphs.

        Returns:
            Operators `[.., rows, operators]` and depths `[.., rows, depths]`, one of them 1; edges from other nodes
            `[.., graphs, others, others]`; edges from the inputs and then from nodes of each depth `[.., rows, inputs + depths]`;
            the same two summed over the nodes of each operator, and divided by the number of nodes, for the last layer,
            `[.., graphs, sums, others]` and `[.., graphs * sums, inputs]`, where with `residual` the last sum is that of all
            nodes themselves; and the share of places that hold a node, `[.., graphs, 1]`.
        """
        operators, depths = tensors[0].flatten(1, 2), tensors[1].flatten(1, 2)
        dtype, count = self.entries.dtype, len(self.form.vocabulary) - 1
        kinds = marked(operators, count, dtype)
        starts = marked(depths.clamp(max=self.rest.shape[1] - 1), self.rest.shape[1], dtype)
        from_entries, edges = self._edges(tensors[2])
        reached = torch.cat([from_entries, torch.matmul(edges, starts)], dim=3)
        shares = kinds.transpose(2, 3) / (self.form.nodes - self.form.inputs)
        sums, entry_sums = torch.matmul(shares, edges), torch.matmul(shares, from_entries)
        if self.settings.residual:
            sums = torch.cat([sums, shares.sum(2, keepdim=True)], dim=2)
            entry_sums = torch.nn.functional.pad(entry_sums, (0, 0, 0, 1))
        rows = [tensor.flatten(1, 2) for tensor in (kinds, starts, reached)]
        return rows[0], rows[1], edges, rows[2], sums, entry_sums.flatten(1, 2), shares.sum((2, 3)).unsqueeze(2)

    def forward(self, *precomputed: Tensor) -> Tensor:
        kinds, starts, edges, reached, sums, entry_sums, shares = precomputed
        members, others, inputs = len(self.entries), edges.shape[-1], self.entries.shape[1]
        own, gates = self._gates()
        table = self.project(torch.cat([self.entries, self.rest], dim=1))
        *layers, last = self.layers
        if layers:
            table = torch.bmm(table, layers[0].weight)
            moved = torch.matmul(starts, table[:, inputs:]) if self.settings.residual else None
            arriving = torch.matmul(reached, table)
            entries, states = self._states(layers[0], table[:, :inputs], moved, arriving, own[0], torch.matmul(kinds, gates[0]))
            from_entries = reached[..., :inputs].expand(members, -1, -1)
            for number, layer in enumerate(layers[1:], start=1):
                entries, moved = torch.bmm(entries, layer.weight), torch.bmm(states, layer.weight)
                arriving = torch.matmul(edges, moved.unflatten(1, (-1, others))).flatten(1, 2)
                arriving = torch.baddbmm(arriving, from_entries, entries)
                entries, states = self._states(layer, entries, moved, arriving, own[number], torch.matmul(kinds, gates[number]))
        else:
            entries, states = table[:, :inputs], torch.matmul(starts, table[:, inputs:])
        summed = torch.matmul(sums, states.unflatten(1, (-1, others))).flatten(1, 2)
        summed = torch.bmm(torch.baddbmm(summed, entry_sums.expand(members, -1, -1), entries), last.weight)
        weights = torch.nn.functional.pad(gates[-1], (0, 0, 0, 1), value=1.0) if self.settings.residual else gates[-1]
        vectors = (summed.unflatten(1, (-1, sums.shape[2])) * weights.unsqueeze(1)).sum(2)
        return torch.addcmul(vectors, shares, last.bias).view(members, -1, self.features)

    def _gates(self) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
        """Return the gates of each layer: at inputs, whose operator is a zero vector, `[members, 1, width]`, and of operators."""
        gates = all_gates([layer.gate for layer in self.layers], torch.nn.functional.pad(self.operators, (0, 0, 1, 0)))
        return gates[:, :, :1].unbind(0), gates[:, :, 1:].unbind(0)

    def _states(
        self, layer: NodeLayer, entries: Tensor, moved: Tensor | None, arriving: Tensor, own: Tensor, gates: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the states of the inputs and of the other nodes after a layer and ReLU.

        Args:
            layer: Its parameters.
            entries: S of the inputs, which no edge enters, `[members, inputs, width]`.
            moved: S of the other nodes, `[members, rows, width]`; it is needed with `residual` alone.
            arriving: A S at these.
            own: Gates at the inputs.
            gates: Gates at the others.
        """
        settings = self.settings
        at_inputs = torch.addcmul(layer.bias, own, entries) if settings.self_loops else layer.bias.expand_as(entries)
        states = torch.addcmul(layer.bias, gates, arriving)
        if settings.residual and moved is not None:
            at_inputs, states = at_inputs + entries, states + moved
        return at_inputs.relu(), states.relu()

    def _edges(self, edges: Tensor) -> tuple[Tensor, Tensor]:
        """Return the edges from the inputs of all cells, `[members or 1, graphs, others, inputs]`, and from other nodes."""
        form, dtype = self.form, self.entries.dtype
        cells = torch.eye(form.cells, dtype=torch.bool, device=edges.device)[:, None, :, None]
        from_entries = (edges[..., : form.inputs].unsqueeze(4) & cells).flatten(4)
        others = edges[..., form.inputs :].to(dtype)
        if self.settings.self_loops:
            others = others + torch.eye(others.shape[-1], device=edges.device, dtype=dtype)
        return from_entries.flatten(1, 2).to(dtype), others.flatten(1, 2)


def _depths(edges: Tensor) -> Tensor:
    """Return the length of the longest path to each node, `[batch, cells, nodes]` uint8.

    Args:
        edges: `[batch, cells, nodes, nodes]` bool, where `[..., v, u]` is the edge from u to v.
    """
    depths = torch.zeros(edges.shape[:-1], dtype=torch.uint8)
    for node in along_paths(edges.transpose(-1, -2)):
        depths[..., node] = torch.where(edges[..., node, :], depths + 1, 0).amax(-1)
    return depths
