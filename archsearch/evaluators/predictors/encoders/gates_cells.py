"""GATES for cells whose nodes read one earlier node in each of a few slots, as in the cells of NASNet, ENAS and DARTS.

X. Ning et al., "A Generic Graph-based Neural Architecture Encoding Scheme for Predictor-based NAS", ECCV 2020,
arXiv 2004.01899. With the states `H` of the nodes, and slot d of node v holding the embedded operator `E_vd` on node u(v, d),
one layer is

    S    = H W_x
    H'_v = mean over d of sigmoid(E_vd W_o + b_o) * S_u(v, d)  (+ S_v at the inputs)

where a slot with the operator `none`, or with nothing, passes nothing. ReLU stands between layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from archsearch.evaluators.predictors.encoders.encoder import Encoder
from archsearch.evaluators.predictors.encoders.gates_edge import EdgeLayer, passing_numbers, passing_operators
from archsearch.evaluators.predictors.form import Form
from archsearch.evaluators.predictors.settings import Settings
from archsearch.evaluators.predictors.stacked import Generators, Linear, normal, times
from archsearch.spaces import GraphBatch


class CellsGATES(Encoder):
    """Information enters at the inputs and flows along the slots; the vector is the mean over the steps of each cell in turn.

    Each cell has its own input embeddings; operators and layers are shared. The vector does not depend on the numbering of the
    steps, nor on the order of the slots.

    Args:
        form: Form of the space's graphs.
        settings: Sizes and options.
        generators: One for each member.
    """

    at_once = 128  # each architecture has the states of all its nodes

    def __init__(self, form: Form, settings: Settings, generators: Generators) -> None:
        super().__init__()
        self.form, self.settings = form, settings
        self.features = form.cells * settings.width
        self.entries = normal(generators, (form.cells * form.inputs, settings.embedding))
        self.project = Linear(settings.embedding, settings.hidden, generators)
        self.operators = normal(generators, (len(passing_operators(form)), settings.embedding))
        sizes = [settings.hidden] + [settings.width] * settings.layers
        layers = nn.ModuleList(EdgeLayer(inputs, settings, generators) for inputs, _ in pairwise(sizes))
        self.layers = cast("Sequence[EdgeLayer]", layers)

    @staticmethod
    def tensors(batch: GraphBatch, form: Form) -> tuple[Tensor, ...]:
        """Return source and operator (see `passing_numbers`) of each slot of each step, `[batch, cells, steps, slots]` each."""
        assert batch.edges is not None
        edges = torch.tensor(batch.edges[..., form.inputs :]).movedim(2, 4)  # [batch, cells, sources, steps, slots]
        operators, sources = edges.max(2)
        return sources.to(torch.uint8), passing_numbers(operators, form)

    def forward(self, *tensors: Tensor) -> Tensor:
        sources, operators = tensors
        form, slots = self.form, sources.shape[-1]
        entries = self.project(self.entries).view(len(self.entries), 1, form.cells, form.inputs, -1)
        # The steps start from a zero vector, of which the projection leaves its bias.
        steps = self.project.bias.view(len(self.entries), 1, 1, 1, -1)
        steps = steps.expand(-1, -1, form.cells, sources.shape[3], -1)
        nodes = torch.arange(form.width, device=sources.device, dtype=sources.dtype)
        reads = (sources.flatten(3).unsqueeze(-1) == nodes).to(entries.dtype) / slots
        for number, layer in enumerate(self.layers):
            entries, moved = times(entries, layer.weight), times(steps, layer.weight)
            states = torch.cat([entries.expand(-1, moved.shape[1], -1, -1, -1), moved], dim=3)
            arriving = torch.matmul(reads, states)
            flows = layer.gates(self.operators, operators.flatten(3)) * arriving
            steps = flows.unflatten(3, (-1, slots)).sum(4)
            if number + 1 < len(self.layers):
                entries, steps = entries.relu(), steps.relu()
        return steps.mean(3).flatten(2)
