"""GATES for one operator on each pair of nodes, as in NAS-Bench-201.

X. Ning et al., "A Generic Graph-based Neural Architecture Encoding Scheme for Predictor-based NAS", ECCV 2020,
arXiv 2004.01899. With the states `H` of the nodes and the embedded operator `E_vu` on the edge from u to v one layer is

    S    = H W_x
    H'_v = sum over u of sigmoid(E_vu W_o + b_o) * S_u  (+ S_v at the inputs)

where an edge with the operator `none` passes nothing. ReLU stands between layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from archsearch.evaluators.predictors.encoder import Encoder
from archsearch.evaluators.predictors.form import NONE, Form
from archsearch.evaluators.predictors.settings import Settings
from archsearch.evaluators.predictors.stacked import Generators, Linear, chosen, normal, times, uniform
from archsearch.spaces import GraphBatch
from archsearch.spaces.graph import INPUT, OUTPUT


class EdgeLayer(nn.Module):
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

    def gates(self, embeddings: Tensor, operators: Tensor) -> Tensor:
        """Return `[members, graphs, ..., width]` for operators `[members or 1, graphs, ...]`."""
        return chosen(torch.sigmoid(self.gate(embeddings)), operators)


class EdgeGATES(Encoder):
    """Information enters at the inputs and flows along the edges to the last node, whose state is the vector of the cell.

    The states of the inputs do not depend on the architecture, the last node matters in the last layer alone, and no edge runs
    backwards: what is left of a layer of NAS-Bench-201 are two nodes and three edges.

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
        self.project = Linear(settings.embedding, settings.hidden, generators)
        self.operators = normal(generators, (len(passing_operators(form)), settings.embedding))
        sizes = [settings.hidden] + [settings.width] * settings.layers
        layers = nn.ModuleList(EdgeLayer(inputs, settings, generators) for inputs, _ in pairwise(sizes))
        self.layers = cast("Sequence[EdgeLayer]", layers)

    @staticmethod
    def tensors(batch: GraphBatch, form: Form) -> tuple[Tensor, ...]:
        """Return the operators (see `passing_numbers`) on the edges 0>1, 0>2, 1>2, 0>3, ..., `[batch, cells, pairs]`."""
        assert batch.edges is not None
        targets, sources = torch.tril_indices(form.width, form.width, -1)
        return (passing_numbers(torch.tensor(batch.edges)[..., sources, targets], form),)

    def forward(self, *tensors: Tensor) -> Tensor:
        (operators,) = tensors
        form, inner = self.form, self.form.width - 1
        cut = inner * (inner - 1) // 2  # the edges from here on enter the last node
        entries = self.project(self.entries).view(len(self.entries), 1, form.cells, form.inputs, -1)
        # The other nodes start from a zero vector, of which the projection leaves its bias.
        states = [*entries.unbind(3), *[self.project.bias.unsqueeze(1)] * (inner - form.inputs)]
        *layers, last = self.layers
        for layer in layers:
            moved = [times(state, layer.weight) for state in states]
            gates = layer.gates(self.operators, operators[..., :cut]).unbind(-2)
            flows = [self._flow(moved, gates, node) for node in range(form.inputs, inner)]
            states = [state.relu() for state in (*moved[: form.inputs], *flows)]
        moved = [times(state, last.weight) for state in states]
        gates = last.gates(self.operators, operators[..., cut:]).unbind(-2)
        return torch.stack([gate * state for gate, state in zip(gates, moved, strict=True)]).sum(0).flatten(2)

    @staticmethod
    def _flow(moved: Sequence[Tensor], gates: Sequence[Tensor], node: int) -> Tensor:
        """Return what arrives at a node: the edges into it begin at `node * (node - 1) / 2`."""
        start = node * (node - 1) // 2
        arriving = [gates[start + source] * moved[source] for source in range(node)]
        return torch.stack(arriving).sum(0) if len(arriving) > 1 else arriving[0]


def passing_operators(form: Form) -> tuple[int, ...]:
    """Return the operators that pass something on, as indices into the vocabulary."""
    return tuple(place for place, name in enumerate(form.vocabulary) if name not in (INPUT, OUTPUT, NONE))


def passing_numbers(operators: Tensor, form: Form) -> Tensor:
    """Return the place of each operator among those that pass something on, and the next number for none and nothing.

    Args:
        operators: `[...]`, indices into the vocabulary, -1 for nothing.
        form: Of the graphs.

    Returns:
        `[...]` uint8.
    """
    passing = passing_operators(form)
    numbers = torch.full((len(form.vocabulary) + 1,), len(passing), dtype=torch.uint8)  # the last one is that of -1
    numbers[list(passing)] = torch.arange(len(passing), dtype=torch.uint8)
    return numbers[operators.long()]
