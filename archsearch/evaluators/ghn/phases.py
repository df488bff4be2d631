"""The forward-backward phases of a graph network as one differentiable operation.

A phase is a long sequence of small updates. With autograd each of them costs some 25 nodes of its graph; here the derivative
is written out, which is several times as fast. All candidates take each step at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

Update = tuple[int, bool]


class PhaseWeights(NamedTuple):
    """Parameters of the updates, K kinds of messages (K = 2 with virtual edges).

    The second layer of a message is linear, so it is multiplied into the GRU's input weights beforehand: nodes send the
    hidden units of their message and a 1, whose sum is the number of messages.

    Args:
        input_weight: `[3 * hidden, K * (hidden + 1)]`, of reset gate, update gate and new state.
        input_bias: `[3 * hidden]`.
        state_weight: `[3 * hidden, hidden]`.
        state_bias: `[3 * hidden]`.
        message_weight: `[K * hidden, hidden]`.
        message_bias: `[K * hidden]`.
    """

    input_weight: Tensor
    input_bias: Tensor
    state_weight: Tensor
    state_bias: Tensor
    message_weight: Tensor
    message_bias: Tensor


@dataclass(frozen=True, eq=False)
class Schedule:
    """The updates of the nodes and the messages that they read.

    Args:
        updates: Node, and whether it is in the backward half.
        reads: For both halves `[N, K, A, N]`: the weight of each message that a node receives.
        keeps: For both halves `[N, A, 1]` bool, whether a candidate takes part in the update of a node; None where all do.
    """

    updates: Sequence[Update]
    reads: tuple[Tensor, Tensor]
    keeps: tuple[Tensor, Tensor] | None


def run_phases(states: Tensor, weights: PhaseWeights, schedule: Schedule) -> Tensor:
    """Return the states `[A, N, hidden]` after all updates, one after the other (GHN paper, equations 3, 4 and 15)."""
    if torch.is_grad_enabled() and (states.requires_grad or any(weight.requires_grad for weight in weights)):
        result: Tensor = _Phases.apply(states, schedule, *weights)
        return result
    return _forward(states, weights, schedule, None)


@dataclass(eq=False)
class _Trace:
    """Intermediate values of each update that the derivative needs, `[updates, A, ...]`."""

    received: Tensor
    before: Tensor
    after: Tensor
    gates: Tensor
    fresh: Tensor
    recalled: Tensor
    hidden: Tensor

    @classmethod
    def like(cls, states: Tensor, number: int, kinds: int) -> _Trace:
        batch, _, width = states.shape
        widths = (kinds * (width + 1), width, width, 2 * width, width, width, kinds * width)
        return cls(*(states.new_empty((number, batch, size)) for size in widths))


def _sent(states: Tensor, weights: PhaseWeights) -> tuple[Tensor, Tensor]:
    """Return the messages of all nodes, `[K, A, N, hidden + 1]`, and the hidden units in it, `[A, N, K * hidden]`."""
    batch, nodes, width = states.shape
    hidden = torch.nn.functional.linear(states, weights.message_weight, weights.message_bias).relu_()
    kinds = hidden.shape[-1] // width
    sent = states.new_ones((kinds, batch, nodes, width + 1))
    sent[..., :width] = hidden.view(batch, nodes, kinds, width).permute(2, 0, 1, 3)
    return sent, hidden


def _forward(states: Tensor, weights: PhaseWeights, schedule: Schedule, trace: _Trace | None) -> Tensor:
    batch, _, width = states.shape
    rows = list(states.transpose(0, 1).contiguous())
    sent, _ = _sent(states, weights)
    kinds = len(sent)
    slots = [sent[:, :, node, :width] for node in range(len(rows))]
    input_weight, state_weight, message_weight = weights.input_weight.t(), weights.state_weight.t(), weights.message_weight.t()
    for number, (node, backward) in enumerate(schedule.updates):
        before, reads = rows[node], schedule.reads[backward][node]
        received = torch.bmm(reads[0][:, None], sent[0]).squeeze(1)
        if kinds == 2:
            received = torch.cat([received, torch.bmm(reads[1][:, None], sent[1]).squeeze(1)], dim=1)
        given = torch.addmm(weights.input_bias, received, input_weight)
        held = torch.addmm(weights.state_bias, before, state_weight)
        gates = given[:, : 2 * width].add_(held[:, : 2 * width]).sigmoid_()
        recalled = held[:, 2 * width :]
        fresh = torch.addcmul(given[:, 2 * width :], gates[:, :width], recalled).tanh_()
        after = torch.lerp(fresh, before, gates[:, width:])
        if schedule.keeps is not None:
            after = torch.where(schedule.keeps[backward][node], after, before)
        hidden = torch.addmm(weights.message_bias, after, message_weight).relu_()
        rows[node] = after
        slots[node].copy_(hidden.view(batch, kinds, width).transpose(0, 1))
        if trace is not None:
            for table, value in zip(vars(trace).values(), (received, before, after, gates, fresh, recalled, hidden), strict=True):
                table[number] = value
    return torch.stack(rows, dim=1)


class _Phases(torch.autograd.Function):
    """`run_phases` with its derivative."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, schedule: Schedule, *weights: Tensor) -> Tensor:
        named = PhaseWeights(*weights)
        trace = _Trace.like(states, len(schedule.updates), len(named.message_bias) // states.shape[-1])
        result = _forward(states, named, schedule, trace)
        ctx.schedule, ctx.trace = schedule, trace
        ctx.save_for_backward(states, *weights)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        states, *weights = ctx.saved_tensors
        return _derivative(gradient, states, PhaseWeights(*weights), ctx.schedule, ctx.trace)


def _factors(trace: _Trace, schedule: Schedule) -> tuple[Tensor, Tensor, Tensor]:
    """Return the derivatives of a new state by the GRU's input pre-activations, its recurrent ones and the old state.

    `[updates, A, 3, hidden]` twice and `[updates, A, hidden]`.
    """
    width = trace.fresh.shape[-1]
    reset, keep = trace.gates[..., :width], trace.gates[..., width:]
    to_fresh = (1.0 - keep) * (1.0 - trace.fresh.square())
    to_reset = to_fresh * trace.recalled * reset * (1.0 - reset)
    to_keep = (trace.before - trace.fresh) * keep * (1.0 - keep)
    given = torch.stack([to_reset, to_keep, to_fresh], dim=2)
    held = torch.stack([to_reset, to_keep, to_fresh * reset], dim=2)
    if schedule.keeps is None:
        return given, held, keep
    taking_part = torch.stack([schedule.keeps[backward][node] for node, backward in schedule.updates])
    zero = keep.new_zeros(())
    mask = taking_part[:, :, None]
    return torch.where(mask, given, zero), torch.where(mask, held, zero), torch.where(taking_part, keep, zero + 1.0)


def _derivative(
    gradient: Tensor, states: Tensor, weights: PhaseWeights, schedule: Schedule, trace: _Trace
) -> tuple[Tensor | None, ...]:
    """Go through the updates backwards; the gradients of the weights are computed for all updates at once."""
    batch, nodes, width = states.shape
    kinds = len(weights.message_bias) // width
    to_given, to_held, to_before = _factors(trace, schedule)
    active = (trace.hidden > 0).to(states.dtype)
    d_rows = list(gradient.transpose(0, 1).contiguous())
    d_sent = states.new_zeros((kinds, batch, nodes, width + 1))
    d_given, d_held = torch.empty_like(to_given), torch.empty_like(to_held)
    d_hidden = torch.empty_like(active)
    for number in range(len(schedule.updates) - 1, -1, -1):
        node, backward = schedule.updates[number]
        slot = d_sent[:, :, node]
        torch.mul(slot[..., :width].transpose(0, 1).flatten(1), active[number], out=d_hidden[number])
        slot.zero_()
        d_after = torch.addmm(d_rows[node], d_hidden[number], weights.message_weight)
        torch.mul(d_after[:, None], to_given[number], out=d_given[number])
        torch.mul(d_after[:, None], to_held[number], out=d_held[number])
        d_rows[node] = torch.addmm(d_after * to_before[number], d_held[number].flatten(1), weights.state_weight)
        d_received = torch.mm(d_given[number].flatten(1), weights.input_weight).view(batch, kinds, 1, width + 1)
        for kind, reads in enumerate(schedule.reads[backward][node]):
            d_sent[kind].baddbmm_(reads[:, :, None], d_received[:, kind])
    _, hidden = _sent(states, weights)
    d_first = d_sent[..., :width].permute(1, 2, 0, 3).flatten(2) * (hidden > 0)
    d_states = torch.stack(d_rows, dim=1) + d_first @ weights.message_weight
    given, held = d_given.view(-1, 3 * width), d_held.view(-1, 3 * width)
    d_messages = torch.cat([d_hidden.flatten(0, 1), d_first.flatten(0, 1)])
    senders = torch.cat([trace.after.flatten(0, 1), states.flatten(0, 1)])
    return (
        d_states,
        None,
        given.t() @ trace.received.flatten(0, 1),
        given.sum(0),
        held.t() @ trace.before.flatten(0, 1),
        held.sum(0),
        d_messages.t() @ senders,
        d_messages.sum(0),
    )
