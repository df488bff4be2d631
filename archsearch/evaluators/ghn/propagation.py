"""Propagation of node states over the graphs of a module, for many candidates at once.

C. Zhang, M. Ren, R. Urtasun, "Graph HyperNetworks for Neural Architecture Search", ICLR 2019, sections 3 and 4. With the state
`h_v` of node v, a GRU cell U and a perceptron M of two layers:

    h_v <- U(h_v, m_v)                                      (3)
    m_v  = sum over the nodes u that v reads of M(h_u)      (4)
    g    = 1 / |V| * sum over v of h_v                      (12)

The synchronous scheme applies (3) to all nodes at once, T times. The forward-backward scheme (15) applies it to one node at a
time in topological order, 1, 2, ..., |V|, and then back along the reversed edges, |V| - 1, ..., 1; both halves are one of T
phases. Nodes that do not read each other are updated at once, which changes nothing. The input nodes of a module get the mean
state g of the module before as their first message (13, 14).

Virtual edges (B. Knyazev et al., NeurIPS 2021, equation 4) add to (4) the sum of `M_far(h_u) / d` over the nodes u at a distance
d from v, with 1 < d <= `virtual_edges`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from archsearch.evaluators.ghn.graph_tensors import ModuleTensors
from archsearch.evaluators.ghn.phases import PhaseWeights, Schedule, Update, run_phases
from archsearch.evaluators.ghn.settings import Settings


class Propagator(nn.Module):
    """The graph network of a module: a GRU cell that updates states, and an MLP that makes messages.

    The GRU is that of `torch.nn.GRUCell`, with parameters drawn from a generator.

    Args:
        settings: `hidden`, `propagations`, scheme and directions.
        generator: Source of the initial weights.
    """

    def __init__(self, settings: Settings, generator: torch.Generator) -> None:
        super().__init__()
        self.settings, width = settings, settings.hidden
        self.input_weight = _uniform((3 * width, width), width, generator)
        self.state_weight = _uniform((3 * width, width), width, generator)
        self.input_bias = _uniform((3 * width,), width, generator)
        self.state_bias = _uniform((3 * width,), width, generator)
        self.message = Message(width, generator)
        self.far_message = Message(width, generator) if settings.virtual_edges else None

    def forward(self, module: ModuleTensors, states: Tensor, passed: Tensor, weights: PhaseWeights | None) -> Tensor:
        """Return the states of all nodes after T phases.

        Args:
            module: Graphs of A candidates, of up to N nodes each.
            states: First states, `[A, N, hidden]`.
            passed: Mean states of the module before, `[A, hidden]`, which its input nodes get as a message.
            weights: What `phase_weights` returned.

        Returns:
            `[A, N, hidden]`; rows of padding are undefined.
        """
        if weights is not None:
            return self._forward_backward(module, states, passed, weights)
        received = passed[:, None].expand(states.shape)
        return self._synchronous(module, torch.where(module.sources, self._updated(received, states), states))

    def _updated(self, message: Tensor, state: Tensor) -> Tensor:
        """Apply the GRU to `[..., hidden]`."""
        width = state.shape[-1]
        updated = torch.gru_cell(
            message.reshape(-1, width),
            state.reshape(-1, width),
            self.input_weight,
            self.state_weight,
            self.input_bias,
            self.state_bias,
        )
        return updated.view(state.shape)

    def _synchronous(self, module: ModuleTensors, states: Tensor) -> Tensor:
        both, dtype = self.settings.synchronous_messages == "both", states.dtype
        near, *far = (weights.to(dtype) for weights in (module.reads, module.reaches) if weights is not None)
        if both:
            near, far = near + near.mT, [weights + weights.mT for weights in far]
        for _ in range(self.settings.propagations):
            received = torch.bmm(near, self.message(states))
            if self.far_message is not None:
                received = received + torch.bmm(far[0], self.far_message(states))
            states = self._updated(received, states)
        return states

    def _forward_backward(self, module: ModuleTensors, states: Tensor, passed: Tensor, weights: PhaseWeights) -> Tensor:
        """Update nodes of one level at a time, those of all candidates at once."""
        reversed_ = self.settings.backward_messages == "reversed"
        reads = (_reads(module, False, states.dtype), _reads(module, reversed_, states.dtype))
        keeps = None
        if module.is_padded:
            places = torch.arange(module.num_nodes, device=states.device)[:, None]
            keeps = ((places < module.lengths[:, None]), (places + 1 < module.lengths[:, None]))
        updates = schedule(module.edges, reversed_) * self.settings.propagations
        return run_phases(states, passed, weights, Schedule(updates, module.sources, reads, keeps))

    def phase_weights(self) -> PhaseWeights | None:
        """Return the weights of the forward-backward scheme, once for all modules; None for the synchronous one."""
        if self.settings.scheme == "synchronous":
            return None
        messages = [self.message] if self.far_message is None else [self.message, self.far_message]
        inputs = [
            torch.cat([self.input_weight @ each.second_weight, (self.input_weight @ each.second_bias)[:, None]], dim=1)
            for each in messages
        ]
        return PhaseWeights(
            torch.cat([_by_inputs(torch.cat(inputs, dim=1)), _by_state(self.state_weight)], dim=1),
            _by_inputs(self.input_bias) + _by_state(self.state_bias),
            _by_inputs(self.input_weight),
            torch.cat([each.first_weight for each in messages]),
            torch.cat([each.first_bias for each in messages]),
        )


def _by_inputs(rows: Tensor) -> Tensor:
    """Return parameters of a GRU's inputs, `[3 * hidden, ...]`, for the four pre-activations of `PhaseWeights`."""
    return torch.cat([rows, torch.zeros_like(rows[: len(rows) // 3])])


def _by_state(rows: Tensor) -> Tensor:
    """Return parameters of a GRU's state, `[3 * hidden, ...]`, for the same four."""
    reset, keep, held = rows.chunk(3)
    return torch.cat([reset, keep, torch.zeros_like(held), held])


class Message(nn.Module):
    """The perceptron M of (4): two layers with a rectifier between them."""

    def __init__(self, width: int, generator: torch.Generator) -> None:
        super().__init__()
        self.first_weight = _uniform((width, width), width, generator)
        self.first_bias = _uniform((width,), width, generator)
        self.second_weight = _uniform((width, width), width, generator)
        self.second_bias = _uniform((width,), width, generator)

    def forward(self, states: Tensor) -> Tensor:
        """Map `[..., hidden]` to `[..., hidden]`."""
        hidden = nn.functional.linear(states, self.first_weight, self.first_bias).relu()
        return nn.functional.linear(hidden, self.second_weight, self.second_bias)


def schedule(edges: NDArray[np.bool_], reversed_: bool = True) -> list[Update]:
    """Return the updates of a phase (15): all nodes forwards, then all but the last backwards.

    Nodes whose longest paths over the nodes before are equally long do not read each other, and are updated at once. In a graph
    with fewer nodes, the update of node i of the backward half is left out unless i is below its last one.

    Args:
        edges: `[nodes, nodes]`; `edges[v, u]` says whether node v reads node u, in some candidate; then u < v.
        reversed_: Whether the backward half reads along the reversed edges.
    """
    nodes = len(edges)
    forwards = _levels(edges.tolist(), range(nodes))
    backwards = _levels((edges.T if reversed_ else edges).tolist(), range(nodes - 2, -1, -1))
    return [Update(level, False) for level in forwards] + [Update(level, True) for level in backwards]


def _levels(reads: list[list[bool]], order: Iterable[int]) -> list[tuple[int, ...]]:
    """Return the nodes by the length of the longest path to them over those that stand before them in an order."""
    level: dict[int, int] = {}
    found: list[tuple[int, ...]] = []
    for node in order:
        row = reads[node]
        depth = 1 + max((known for other, known in level.items() if row[other]), default=-1)
        level[node] = depth
        found[depth:] = [(*found[depth], node) if depth < len(found) else (node,), *found[depth + 1 :]]
    return found


def mean_states(module: ModuleTensors, states: Tensor, passed: Tensor) -> Tensor:
    """Return the mean state of each candidate's nodes (12), `[A, hidden]`; `passed` where a candidate has no such module."""
    if not module.is_padded:
        return states.mean(1)
    places = torch.arange(module.num_nodes, device=states.device)
    total = torch.where((places < module.lengths)[..., None], states, 0.0).sum(1)
    return torch.where(module.lengths > 0, total / module.lengths.clamp(min=1), passed)


def _reads(module: ModuleTensors, transposed: bool, dtype: torch.dtype) -> Tensor:
    """Return the weights of the messages that nodes receive, `[K, A, N, N]`: over edges and, if switched on, virtual edges."""
    kinds = [module.reads] if module.reaches is None else [module.reads, module.reaches]
    return torch.stack([weights.mT if transposed else weights for weights in kinds]).to(dtype)


def _uniform(shape: tuple[int, ...], inputs: int, generator: torch.Generator) -> nn.Parameter:
    """Return a parameter drawn as in `torch.nn.GRUCell` and `Linear`: uniform up to 1 / sqrt(inputs)."""
    return nn.Parameter((2.0 * torch.rand(shape, generator=generator) - 1.0) / math.sqrt(inputs))
