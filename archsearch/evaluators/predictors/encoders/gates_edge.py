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
from torch.nn.functional import embedding_bag

from archsearch.evaluators.predictors.encoders.encoder import Encoder
from archsearch.evaluators.predictors.form import NONE, Form
from archsearch.evaluators.predictors.settings import Settings
from archsearch.evaluators.predictors.stacked import Generators, Linear, all_gates, chosen, marked, normal, times, uniform
from archsearch.spaces import GraphBatch
from archsearch.spaces.graph import INPUT, OUTPUT

_STATES = 1000  # largest number of states of a node that are all computed
_MARKED = 64  # rows of a table up to which a product is faster than a look-up


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

    The state of a node depends on the operators on the edges that lead to it, over other nodes too, and on nothing else. In
    NAS-Bench-201 node 1 has 5 states and node 2 has 125: these are computed, and each architecture looks up what its edges into
    the last node carry. Where a node can have more states than there are architectures, or more than `_STATES`, each architecture
    has its own instead. The last node matters in the last layer alone.

    Args:
        form: Form of the space's graphs.
        settings: Sizes and options.
        generators: One for each member.
    """

    def __init__(self, form: Form, settings: Settings, generators: Generators) -> None:
        super().__init__()
        self.form, self.settings = form, settings
        self.features = form.cells * settings.width
        self._counts = _counts(form, len(passing_operators(form)) + 1)
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

    def precompute(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Return operators, and for each node whose states are not tabulated the table rows that it sums; see `_places`."""
        operators = tensors[0].long()
        tabled = sum(count <= operators.shape[1] for count in self._counts)
        return operators, *(self._places(operators, node, tabled) for node in range(tabled, self.form.width))

    def forward(self, *precomputed: Tensor) -> Tensor:
        operators, *places = precomputed
        form, tabled = self.form, self.form.width - len(places)
        entries = self.project(self.entries).view(len(self.entries), form.cells, form.inputs, -1)
        # The other nodes start from a zero vector, of which the projection leaves its bias.
        states = torch.cat([entries, self.project.bias.unsqueeze(1).expand(-1, form.cells, -1, -1)], dim=2)
        sizes = [1] * (form.inputs + 1)
        for number, (layer, gates) in enumerate(zip(self.layers, self._gates(), strict=True)):
            moved = list(times(states, layer.weight).split(sizes, dim=2))
            moved += moved[-1:] * (form.width - 1 - len(moved))
            if number + 1 == len(self.layers):
                break
            flows = [self._every_state(moved, gates, node) for node in range(form.inputs, tabled)]
            for node in range(tabled, form.width - 1):
                flows.append(self._arriving(moved, gates, node, tabled, operators, places[node - tabled]))
            states = torch.cat([*moved[: form.inputs], *flows], dim=2).relu()
            sizes = [1] * form.inputs + [flow.shape[2] for flow in flows]
        return self._arriving(moved, gates, form.width - 1, tabled, operators, places[-1]).transpose(1, 2).flatten(2)

    def _gates(self) -> tuple[Tensor, ...]:
        """Return the gates of each operator in each layer, `[members, operators, width]`; the last one, none, passes nothing."""
        gates = all_gates([layer.gate for layer in self.layers], self.operators)
        return torch.nn.functional.pad(gates, (0, 0, 0, 1)).unbind(0)

    def _every_state(self, moved: Sequence[Tensor], gates: Tensor, node: int) -> Tensor:
        """Return all states that a node can get, `[members, cells, states, width]`, by the operators on 0>1, 0>2, 1>2, ..."""
        kinds, before = gates.shape[1], gates.shape[1] ** (node * (node - 1) // 2)
        total = None
        for source in range(node):
            flows = moved[source].unsqueeze(3) * gates[:, None, None]
            digits = [kinds if place == source else 1 for place in range(node)]
            flows = flows.view(*flows.shape[:3], 1, *digits, -1)
            if flows.shape[2] > 1:  # the operators between those that the source depends on and those on edges into the node
                flows = flows.expand(-1, -1, -1, before // flows.shape[2], *[-1] * (node + 1))
            flows = flows.flatten(2, 3)
            total = flows if total is None else total + flows
        assert total is not None
        return total.expand(-1, -1, before, *[kinds] * node, -1).flatten(2, -2)

    def _arriving(
        self, moved: Sequence[Tensor], gates: Tensor, node: int, tabled: int, operators: Tensor, places: Tensor
    ) -> Tensor:
        """Return the sum that arrives at a node in each architecture, `[members, cells, batch, width]`."""
        members, _, width = gates.shape
        tables = [
            (moved[source].expand(-1, -1, count, -1).unsqueeze(3) * gates[:, None, None]).flatten(2, 3)
            for source, count in enumerate(self._counts[:tabled])
        ]
        table = torch.cat(tables, dim=2)
        if places.is_floating_point():
            flows = torch.matmul(places, table)
        else:
            flows = embedding_bag(places.flatten(0, 2), table.view(-1, width), mode="sum")
            flows = flows.view(members, -1, self.form.cells, width).transpose(1, 2)
        start = node * (node - 1) // 2
        for source in range(tabled, node):
            flows = flows + chosen(gates, operators[..., start + source]).transpose(1, 2) * moved[source]
        return flows

    def _places(self, operators: Tensor, node: int, tabled: int) -> Tensor:
        """Return the rows of the table in `_arriving` that a node sums, `[members, batch, cells, sources]`.

        For a small table they are marked by ones, `[members or 1, cells, batch, rows]`, since the gradient of a product is fast.
        """
        members, cells, kinds = len(self.entries), self.form.cells, self.operators.shape[1] + 1
        start, offset, places = node * (node - 1) // 2, 0, []
        for source, count in enumerate(self._counts[:tabled]):
            own = operators[..., start + source]
            if count > 1:
                used = operators[..., : source * (source + 1) // 2]
                factors = [kinds**place for place in range(used.shape[-1], 0, -1)]
                own = own + (used * torch.tensor(factors, device=operators.device)).sum(-1)
            places.append(own + offset)
            offset += count * kinds
        if offset <= _MARKED:
            return torch.stack([marked(place, offset, self.entries.dtype) for place in places]).sum(0).transpose(1, 2)
        tables = torch.arange(members * cells, device=operators.device).view(members, 1, cells, 1) * offset
        return torch.stack(places, dim=-1) + tables


def _counts(form: Form, kinds: int) -> list[int]:
    """Return the number of states of each node whose states are all computed: the first ones, at most `_STATES` each."""
    counts = [1 if node < form.inputs else kinds ** (node * (node + 1) // 2) for node in range(form.width - 1)]
    return [count for count in counts if count <= _STATES]


def passing_operators(form: Form) -> tuple[int, ...]:
    """Return the operators that pass something on, as indices into the vocabulary."""
    return tuple(place for place, name in enumerate(form.vocabulary) if name not in (INPUT, OUTPUT, NONE))


def passing_numbers(operators: Tensor, form: Form) -> Tensor:
    """Return the place of each operator among those that pass something on, and the next number for none and nothing.

    Args:
        operators: `[...]`, indices into the vocabulary, -1 for nothing.
        form: Form of the graphs.

    Returns:
        `[...]` uint8.
    """
    passing = passing_operators(form)
    numbers = torch.full((len(form.vocabulary) + 1,), len(passing), dtype=torch.uint8)  # the last one is that of -1
    numbers[list(passing)] = torch.arange(len(passing), dtype=torch.uint8)
    return numbers[operators.long()]
