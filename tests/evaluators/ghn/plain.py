"""Slow reference of the hypernetwork: equations 3, 4, 8 and 12 to 15 of the GHN paper, node by node, one architecture a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from archsearch.evaluators.ghn.hypernetwork import fan_in_scale
from archsearch.evaluators.ghn.model import GraphHyperNetwork
from archsearch.evaluators.ghn.modules import Layout, Module
from archsearch.evaluators.ghn.propagation import Message, Propagator


def states(model: GraphHyperNetwork, layout: Layout, levels: bool = False) -> list[Tensor]:
    """Return the last states of each module, `[nodes, hidden]`; with `levels` the nodes of a level are updated at once."""
    passed, found = model.kinds.new_zeros(model.settings.hidden), []
    for number, module in enumerate(layout.modules):
        if number == layout.first_block and not model.settings.passes_stem:
            passed = torch.zeros_like(passed)
        propagator = model.propagators[number if len(model.propagators) > 1 else 0]
        assert isinstance(propagator, Propagator)
        rows = list(first_states(model, module))
        for node, row in enumerate(rows):
            if not module.adjacency[:, node].any():
                rows[node] = gru(propagator, passed, row)
        for _ in range(model.settings.propagations):
            rows = synchronous(propagator, module, rows) if synchronously(model) else phase(propagator, module, rows, levels)
        found.append(torch.stack(rows))
        if model.settings.passing:
            passed = found[-1].mean(0)
    return found


def weights(model: GraphHyperNetwork, layout: Layout) -> dict[str, list[Tensor]]:
    """Return the parameters of each operator, `w_v = H(h_v)`: one pair of channels after the other."""
    modules = states(model, layout)
    branches = {branch.key: number for number, branch in enumerate(model.vocabulary.branches)}
    found = {}
    for name, owner in layout.owners.items():
        state = modules[owner.module][owner.node]
        wants = owner.type.wants(model.settings.sliced_kernels)
        found[name] = [parameter(model, state, branches[want.key], want.role, want.shape) for want in wants]
    return found


def parameter(model: GraphHyperNetwork, state: Tensor, branch: int, role: str, shape: Sequence[int]) -> Tensor:
    """Return one tensor: H(h) = W_2 relu(W_1 h + b_1 + e_out + e_in) + b_2, with tiles for channels and the middle of kernels."""
    settings, hyper = model.settings, model.hypernetwork
    if settings.affine == "fixed" and role in ("scale", "shift"):
        return torch.full(tuple(shape), float(role == "scale"), dtype=state.dtype)
    if settings.normalised_states:
        state = (state - state.mean()) / torch.sqrt(state.var(correction=0) + 1e-5)
    weight, bias = hyper.weights[branch], hyper.biases[branch]
    made = torch.empty(tuple(shape), dtype=state.dtype)
    for place in np.ndindex(*shape[:2]):
        hidden = hyper.first_weight @ state + hyper.first_bias
        for axis, table in zip(range(len(place)), (hyper.out_tiles, hyper.in_tiles), strict=False):
            hidden = hidden if table is None else hidden + table[place[axis] // bias.shape[axis]]
        at = tuple(position % size for position, size in zip(place, bias.shape, strict=False))
        starts = [(size - wanted) // 2 for size, wanted in zip(bias.shape[2:], shape[2:], strict=True)]
        cuts = tuple(slice(start, start + wanted) for start, wanted in zip(starts, shape[2:], strict=True))
        made[place] = torch.tensordot(torch.relu(hidden), weight[(slice(None), *at, *cuts)], 1) + bias[(*at, *cuts)]
    if not settings.fan_in:
        return made
    if role == "weight":
        return made * fan_in_scale(tuple(shape))
    return 2 * torch.sigmoid(made / 2) if role == "scale" else torch.tanh(made / 5)


def synchronously(model: GraphHyperNetwork) -> bool:
    return model.settings.scheme == "synchronous"


def first_states(model: GraphHyperNetwork, module: Module) -> Tensor:
    rows = [model.kinds[model.vocabulary.kinds.index(kind)] for kind in module.kinds]
    if model.positions is not None:
        rows = [
            row + model.positions[0, halvings] + model.positions[1, stride]
            for row, halvings, stride in zip(rows, *module.positions, strict=True)
        ]
    return torch.stack(rows)


def gru(propagator: Propagator, message: Tensor, state: Tensor) -> Tensor:
    given = propagator.input_weight @ message + propagator.input_bias
    held = propagator.state_weight @ state + propagator.state_bias
    (reset_in, keep_in, new_in), (reset_held, keep_held, new_held) = given.chunk(3), held.chunk(3)
    reset, keep = torch.sigmoid(reset_in + reset_held), torch.sigmoid(keep_in + keep_held)
    return (1 - keep) * torch.tanh(new_in + reset * new_held) + keep * state


def sent(message: Message, state: Tensor) -> Tensor:
    return message.second_weight @ torch.relu(message.first_weight @ state + message.first_bias) + message.second_bias


def received(propagator: Propagator, reads: NDArray[np.bool_], rows: Sequence[Tensor], node: int) -> Tensor:
    """Return the sum of the messages that a node gets, over real and virtual edges; `reads[u, v]` is the edge from u to v."""
    total = torch.zeros_like(rows[node])
    for other, row in enumerate(rows):
        if reads[other, node]:
            total = total + sent(propagator.message, row)
        elif propagator.far_message is not None and (steps := distance(reads, other, node)):
            weight = 1 / steps if steps <= propagator.settings.virtual_edges else 0
            total = total + weight * sent(propagator.far_message, row)
    return total


def distance(reads: NDArray[np.bool_], source: int, target: int) -> int:
    """Return the edges of the shortest path; 0 where there is none."""
    reached, steps = {source}, 0
    while reached and target not in reached:
        reached, steps = {v for u in reached for v in np.flatnonzero(reads[u])}, steps + 1
    return steps if target in reached else 0


def synchronous(propagator: Propagator, module: Module, rows: list[Tensor]) -> list[Tensor]:
    new = []
    for node, row in enumerate(rows):
        message = received(propagator, module.adjacency, rows, node)
        if propagator.settings.synchronous_messages == "both":
            message = message + received(propagator, module.adjacency.T, rows, node)
        new.append(gru(propagator, message, row))
    return new


def phase(propagator: Propagator, module: Module, rows: list[Tensor], levels: bool) -> list[Tensor]:
    """Go forwards through all nodes and back through all but the last, one node or one level at a time."""
    size = len(rows)
    forwards, backwards = list(range(size)), list(range(size - 2, -1, -1))
    for order, backward in ((forwards, False), (backwards, True)):
        turned = backward and propagator.settings.backward_messages == "reversed"
        reads = module.adjacency.T if turned else module.adjacency
        for together in levels_of(reads, order) if levels else [[node] for node in order]:
            new = {node: gru(propagator, received(propagator, reads, rows, node), rows[node]) for node in together}
            rows = [new.get(node, row) for node, row in enumerate(rows)]
    return rows


def levels_of(reads: NDArray[np.bool_], order: Sequence[int]) -> list[list[int]]:
    """Return the nodes by the length of the longest path to them over the nodes given."""
    level: dict[int, int] = {}
    for node in order:
        level[node] = 1 + max((level[other] for other in level if reads[other, node]), default=-1)
    return [[node for node in order if level[node] == depth] for depth in range(len(order))]
