"""Graph convolution networks, the baselines of GATES.

T. N. Kipf, M. Welling, "Semi-Supervised Classification with Graph Convolutional Networks", ICLR 2017, arXiv 1609.02907; for
architectures Y. Guo et al., "NAT", NeurIPS 2019, arXiv 1910.14488, and, with a global node, H. Shi et al., "BONAS", NeurIPS
2020, arXiv 1911.09336. Plain as in the comparison of GATES (X. Ning et al., arXiv 2004.01899): with the embedded operators as the
first states `H` and the edges `A` (`A[v, u] = 1` for an edge from u to v) one layer is `A H W + b`. ReLU stands between layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from archsearch.evaluators.predictors.encoders.encoder import Encoder, nodes_in_order
from archsearch.evaluators.predictors.form import Form
from archsearch.evaluators.predictors.settings import Settings
from archsearch.evaluators.predictors.stacked import Generators, Linear, chosen, normal
from archsearch.spaces import GraphBatch


class GCN(Encoder):
    """The mean over the nodes but the inputs of their last states, for each cell in turn.

    Args:
        form: Form of the space's graphs.
        settings: Sizes; the convolutions have the width `width` each, and there are `convolutions`.
        generators: One for each member.
    """

    def __init__(self, form: Form, settings: Settings, generators: Generators) -> None:
        super().__init__()
        self.form, self.settings = form, settings
        self.features = form.cells * settings.width
        self.operators = normal(generators, (len(form.vocabulary), settings.embedding))
        self.project = Linear(settings.embedding, settings.embedding, generators)
        sizes = [settings.embedding] + [settings.width] * settings.convolutions
        layers = nn.ModuleList(Linear(inputs, outputs, generators) for inputs, outputs in pairwise(sizes))
        self.layers = cast("Sequence[Linear]", layers)

    @staticmethod
    def tensors(batch: GraphBatch, form: Form) -> tuple[Tensor, ...]:
        return nodes_in_order(batch)

    def forward(self, *tensors: Tensor) -> Tensor:
        operators, edges = (tensor.flatten(1, 2) for tensor in tensors)
        edges = edges.to(self.operators.dtype)
        states = chosen(self.project(self.operators), operators)
        *layers, last = self.layers
        for layer in layers:
            states = _convolved(layer, torch.matmul(edges, states)).relu()
        vectors = self._readout(last, states, edges, operators)
        return vectors.view(len(vectors), -1, self.features)

    def _readout(self, last: Linear, states: Tensor, edges: Tensor, operators: Tensor) -> Tensor:
        """Return the vector of each graph, `[members, graphs, width]`."""
        others = (operators > 0) & (operators < len(self.form.vocabulary))
        share = others.to(states.dtype) / (self.form.nodes - self.form.inputs)
        states = _convolved(last, torch.matmul(edges, states))
        return torch.matmul(share.unsqueeze(2), states).squeeze(2)


class GlobalGCN(GCN):
    """The last state of one more node of each cell, into which an edge leads from every other node.

    That node reads the others and is read by none; so only its sum in the last layer matters.
    """

    def _readout(self, last: Linear, states: Tensor, edges: Tensor, operators: Tensor) -> Tensor:
        real = (operators < len(self.form.vocabulary)).to(states.dtype)
        return _convolved(last, torch.matmul(real.unsqueeze(2), states)).squeeze(2)


def _convolved(layer: Linear, arriving: Tensor) -> Tensor:
    """Apply a layer to what arrives at each node, `[members, graphs, nodes, features]`."""
    states: Tensor = layer(arriving.flatten(1, 2))
    return states.view(*arriving.shape[:-1], -1)
