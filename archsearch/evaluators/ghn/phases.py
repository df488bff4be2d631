"""The forward-backward phases of a graph network as one differentiable operation.

A phase is a long sequence of small updates. With autograd each of them costs some 25 nodes of its graph; here the derivative
is written out, which is several times as fast. All candidates take each update at once, and so do the nodes of an update, none of
which reads another one as the update leaves it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class Update(NamedTuple):
    """Nodes that are updated at once, and whether that is in the backward half of a phase."""

    nodes: tuple[int, ...]
    backward: bool


class PhaseWeights(NamedTuple):
    """Parameters of the updates, K kinds of messages (K = 2 with virtual edges).

    The second layer of a message is linear, so it is multiplied into the GRU's input weights beforehand: nodes send the
    hidden units of their message and a 1, whose sum is the number of messages. What a node receives and its state make up one
    row, and one product gives the pre-activations of reset gate, update gate and new state by the messages, and what the reset
    gate multiplies, by the state.

    Args:
        gate_weight: `[4 * hidden, K * (hidden + 1) + hidden]`.
        gate_bias: `[4 * hidden]`.
        passed_weight: `[4 * hidden, hidden]`, the same for the mean state of the module before as the only message.
        message_weight: `[K * hidden, hidden]`.
        message_bias: `[K * hidden]`.
    """

    gate_weight: Tensor
    gate_bias: Tensor
    passed_weight: Tensor
    message_weight: Tensor
    message_bias: Tensor


@dataclass(frozen=True, eq=False)
class Schedule:
    """The updates of the nodes and the messages that they read.

    Args:
        updates: One after the other; each has all candidates' nodes of these places.
        sources: `[A, N, 1]` bool, nodes that read no other: before all updates they get the mean state of the module before.
        reads: For both halves `[K, A, N, N]`: the weight of each message that a node receives.
        keeps: For both halves `[A, N, 1]` bool, whether a candidate takes part in the update of a node; None where all do.
    """

    updates: Sequence[Update]
    sources: Tensor
    reads: tuple[Tensor, Tensor]
    keeps: tuple[Tensor, Tensor] | None


def run_phases(states: Tensor, passed: Tensor, weights: PhaseWeights, schedule: Schedule) -> Tensor:
    """Return the states `[A, N, hidden]` after all updates, one after the other (GHN paper, equations 3, 4 and 13 to 15).

    Args:
        states: First states, `[A, N, hidden]`.
        passed: Mean states of the module before, `[A, hidden]`.
        weights: Parameters.
        schedule: The updates.
    """
    if torch.is_grad_enabled() and any(each.requires_grad for each in (states, passed, *weights)):
        result: Tensor = _Phases.apply(states, passed, schedule, *weights)
        return result
    plan = _Plan.of(schedule, states)
    # The rows of all updates have the same memory, which stays in the CPU cache.
    tables = [states.new_empty((max(plan.rows), width)) for width in _widths(weights)]
    parts = {number: [table[:number] for table in tables] for number in set(plan.rows)}
    return _forward(states, passed, weights, plan, [parts[number] for number in plan.rows])


@dataclass(frozen=True, eq=False)
class _Plan:
    """The schedule with what each update reads, as tensors; update 0 gives all nodes the mean state of the module before.

    Row `a * nodes + n` of an update is its n-th node of candidate a.

    Args:
        rows: Number of rows of each update, A times its nodes.
        nodes: For each update its nodes, `[nodes]` int64.
        reads: For each update but the first `[K * A, nodes, N]`.
        keeps: For each update `[rows, 1]` bool; only that for the first where all candidates take part in the others.
    """

    rows: list[int]
    nodes: Sequence[Tensor]
    reads: Sequence[Tensor]
    keeps: Sequence[Tensor]

    @classmethod
    def of(cls, schedule: Schedule, states: Tensor) -> _Plan:
        batch, nodes, _ = states.shape
        sizes = [len(update.nodes) for update in schedule.updates]
        order = [*range(nodes), *(node for update in schedule.updates for node in update.nodes)]
        at = torch.tensor(order, device=states.device)
        halves = [node + nodes * update.backward for update in schedule.updates for node in update.nodes]
        places = torch.tensor(halves, device=states.device)
        rows = torch.cat(schedule.reads, dim=2).flatten(0, 1).transpose(0, 1).index_select(0, places)
        reads = [each.transpose(0, 1) for each in rows.split_with_sizes(sizes)]
        keeps = [schedule.sources.reshape(-1, 1)]
        if schedule.keeps is not None:
            chosen = torch.cat(schedule.keeps, dim=1).index_select(1, places).split_with_sizes(sizes, 1)
            keeps += [each.reshape(-1, 1) for each in chosen]
        sizes = [nodes, *sizes]
        return cls([batch * size for size in sizes], at.split_with_sizes(sizes), reads, keeps)


def _widths(weights: PhaseWeights) -> list[int]:
    """Return the numbers of values of a row that an update leaves for its derivative.

    What the node received and its state before (`gate_weight`'s columns); the gates' pre-activations, the first two as gates
    (4 * hidden); the new state before it is mixed with the old one, and the state after (hidden each); the hidden units of its
    message (K * hidden).
    """
    width = weights.message_weight.shape[1]
    return [weights.gate_weight.shape[1], 4 * width, width, width, len(weights.message_bias)]


def _by_kind(rows: Tensor, batch: int, kinds: int) -> Tensor:
    """Return rows of hidden units `[A * nodes, K * hidden]` as `[K * A, nodes, hidden]`."""
    return rows.view(batch, -1, kinds, rows.shape[-1] // kinds).permute(2, 0, 1, 3).flatten(0, 1)


def _forward(states: Tensor, passed: Tensor, weights: PhaseWeights, plan: _Plan, parts: Iterable[Sequence[Tensor]]) -> Tensor:
    """Take all updates; `parts` get the values of each one, see `_widths`."""
    batch, nodes, width = states.shape
    kinds = len(weights.message_bias) // width
    columns = kinds * (width + 1)
    states = states.clone(memory_format=torch.contiguous_format)
    sent = states.new_ones((kinds * batch, nodes, width + 1))
    units = sent[..., :width]
    gate_weight, message_weight = weights.gate_weight.t(), weights.message_weight.t()
    for number, (part, at, rows) in enumerate(zip(parts, plan.nodes, plan.rows, strict=True)):
        inputs, gates, fresh, after, hidden = part
        received, before = inputs.split_with_sizes([columns, width], 1)
        if number:
            messages = torch.bmm(plan.reads[number - 1], sent).view(kinds, rows, width + 1)
            received.view(rows, kinds, width + 1).copy_(messages.transpose(0, 1))
        else:
            received.zero_()
        before.copy_(states.index_select(1, at).view(rows, width))
        torch.addmm(weights.gate_bias, inputs, gate_weight, out=gates)
        if not number:
            gates.view(batch, nodes, 4 * width).add_((passed @ weights.passed_weight.t())[:, None])
        sigmoids, given, held = gates.split_with_sizes([2 * width, width, width], 1)
        reset, keep = sigmoids.sigmoid_().split_with_sizes([width, width], 1)
        torch.addcmul(given, reset, held, out=fresh).tanh_()
        torch.lerp(fresh, before, keep, out=after)
        if number < len(plan.keeps):
            torch.where(plan.keeps[number], after, before, out=after)
        torch.addmm(weights.message_bias, after, message_weight, out=hidden).relu_()
        states.index_copy_(1, at, after.view(batch, -1, width))
        units.index_copy_(1, at, _by_kind(hidden, batch, kinds))
    return states


class _Phases(torch.autograd.Function):
    """`run_phases` with its derivative."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, passed: Tensor, schedule: Schedule, *weights: Tensor) -> Tensor:
        named, plan = PhaseWeights(*weights), _Plan.of(schedule, states)
        table = states.new_empty((sum(plan.rows), sum(_widths(named))))
        parts = (part.split_with_sizes(_widths(named), 1) for part in table.split_with_sizes(plan.rows))
        result = _forward(states, passed, named, plan, parts)
        ctx.plan, ctx.table, ctx.shape = plan, table, states.shape
        ctx.save_for_backward(passed, *weights)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        passed, *weights = ctx.saved_tensors
        named = PhaseWeights(*weights)
        trace = ctx.table.split_with_sizes(_widths(named), 1)
        d_states, d_gates, d_hidden = _d_rows(gradient, named, ctx.plan, trace)
        batch, nodes, _ = gradient.shape
        inputs, _, _, after, _ = trace
        d_first = d_gates[: batch * nodes].view(batch, nodes, -1).sum(1)
        return (
            d_states,
            d_first @ named.passed_weight,
            None,
            d_gates.t() @ inputs,
            d_gates.sum(0),
            d_first.t() @ passed,
            d_hidden.t() @ after,
            d_hidden.sum(0),
        )


def _d_rows(gradient: Tensor, weights: PhaseWeights, plan: _Plan, trace: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Go through the updates backwards: return the gradients of the first states, and of all rows' pre-activations.

    Those of the gates are `[rows, 4 * hidden]`, those of the messages `[rows, K * hidden]`; the gradients of the weights follow
    from them for all updates at once.
    """
    batch, nodes, width = gradient.shape
    kinds = len(weights.message_bias) // width
    columns = kinds * (width + 1)
    factors = _factors(plan, trace)
    d_table = torch.empty_like(factors[:, width:])
    d_states = gradient.clone(memory_format=torch.contiguous_format)
    d_sent = gradient.new_zeros((kinds * batch, nodes, width + 1))
    parts = list(zip(factors.split_with_sizes(plan.rows), d_table.split_with_sizes(plan.rows), strict=True))
    for number in range(len(parts) - 1, -1, -1):
        at, rows, (part, d_part) = plan.nodes[number], plan.rows[number], parts[number]
        keep, factor, active = part.split_with_sizes([width, 4 * width, kinds * width], 1)
        d_gate, d_unit = d_part.split_with_sizes([4 * width, kinds * width], 1)
        slots = d_sent.index_select(1, at).view(kinds, rows, width + 1)[..., :width].transpose(0, 1)
        torch.mul(slots, active.view(rows, kinds, width), out=d_unit.view(rows, kinds, width))
        d_after = torch.addmm(d_states.index_select(1, at).view(rows, width), d_unit, weights.message_weight)
        torch.mul(d_after[:, None], factor.view(rows, 4, width), out=d_gate.view(rows, 4, width))
        d_received, d_before = torch.mm(d_gate, weights.gate_weight).split_with_sizes([columns, width], 1)
        d_states.index_copy_(1, at, torch.addcmul(d_before, d_after, keep).view(batch, -1, width))
        if number:
            d_sent.index_fill_(1, at, 0.0)
            d_messages = d_received.view(rows, kinds, width + 1).transpose(0, 1).reshape(kinds * batch, -1, width + 1)
            d_sent.baddbmm_(plan.reads[number - 1].mT, d_messages)
    d_gates, d_hidden = d_table.split_with_sizes([4 * width, kinds * width], 1)
    return d_states, d_gates, d_hidden


def _factors(plan: _Plan, trace: Sequence[Tensor]) -> Tensor:
    """Return the derivatives of each row's new state by the old one and by the four pre-activations, and of its hidden units.

    `[rows, hidden + 4 * hidden + K * hidden]`.
    """
    inputs, gates, fresh, _, hidden = trace
    width = fresh.shape[1]
    reset, keep, _, held = gates.split_with_sizes([width] * 4, 1)
    before = inputs[:, -width:]
    to_fresh = (1.0 - keep) * (1.0 - fresh.square())
    to_held = to_fresh * reset
    to_reset = to_held * held * (1.0 - reset)
    to_keep = (before - fresh) * keep * (1.0 - keep)
    factors = torch.cat([keep, to_reset, to_keep, to_fresh, to_held, (hidden > 0).to(keep.dtype)], dim=1)
    first = 0
    for rows, taking_part in zip(plan.rows, plan.keeps, strict=False):  # who does not take part keeps its state
        changed = factors[first : first + rows, : 5 * width]
        changed.masked_fill_(~taking_part, 0.0)
        changed[:, :width].masked_fill_(~taking_part, 1.0)
        first += rows
    return factors
