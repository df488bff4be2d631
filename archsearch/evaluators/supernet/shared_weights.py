"""Weights that all networks of a space share: one set for each step of the network and each operator."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any, NamedTuple

import torch
from torch import Tensor

from archsearch.evaluators.ghn.operator_kind import Want, node_type
from archsearch.evaluators.seeds import derived_seed
from archsearch.spaces.operators import Concatenate, Operator, Shape, Sum
from archsearch.spaces.plan import Plan

Key = tuple[str, str]


class Piece(NamedTuple):
    """A part of a parameter: its name among the shared weights, its shape, and where its input channels begin."""

    key: Key
    shape: Shape
    start: int


class Reads(NamedTuple):
    """What the operator of a step reads: its name, the operator, and the pieces of each of its parameters."""

    name: str
    operator: Operator
    parameters: tuple[tuple[Piece, ...], ...]


class SharedWeights:
    """A store of weights that grows with the architectures met: a key is the name of a step and the kind of its operator.

    An operator that reads a concatenation has weights for each of its sources, so that they always apply to the channels of the
    same operator, whatever is concatenated with them. A network that needs fewer channels reads the first ones.

    Args:
        seed: Seed of the initial weights.
        device: Device of the weights.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        self.seed, self.device = seed, device
        self.values: dict[Key, Tensor] = {}
        self.momenta: dict[Key, Tensor] = {}

    def grow(self, reads: Iterable[Reads]) -> list[Key]:
        """Make room for all parameters that operators read, and return their keys."""
        found: dict[Key, None] = {}
        for name, operator, parameters in reads:
            for position, pieces in enumerate(parameters):
                for piece in pieces:
                    found[piece.key] = None
                    held = self.values.get(piece.key)
                    if not _holds(held, piece.shape):
                        self.values[piece.key] = self._grown(held, name, operator, position, piece)
                        old = self.momenta.get(piece.key)
                        self.momenta[piece.key] = torch.zeros_like(self.values[piece.key])
                        if old is not None:
                            self.momenta[piece.key][_first(old.shape)] = old
        return list(found)

    def parameters(self, plan: Plan) -> dict[str, tuple[Tensor, ...]]:
        """Return the parameters of a network by the names of its steps; weights that are missing have their initial values."""
        found: dict[str, tuple[Tensor, ...]] = {}
        for name, operator, parameters in reads_of(plan).values():
            tensors = []
            for position, pieces in enumerate(parameters):
                parts = [self._read(name, operator, position, piece) for piece in pieces]
                tensors.append(torch.cat(parts, dim=1) if len(parts) > 1 else parts[0])
            found[name] = tuple(tensors)
        return found

    def descend(
        self, keys: Iterable[Key], gradients: Iterable[Tensor], rate: float, momentum: float, weight_decay: float
    ) -> None:
        """Take a step of gradient descent with Nesterov momentum for the weights that a network read.

        With gradient g and value w: `p = g + weight_decay * w`, `v <- momentum * v + p`, `w <- w - rate * (p + momentum * v)`.
        """
        with torch.no_grad():
            for key, gradient in zip(keys, gradients, strict=True):
                value, velocity = self.values[key], self.momenta[key]
                pull = gradient + weight_decay * value
                velocity.mul_(momentum).add_(pull)
                value.sub_(rate * (pull + momentum * velocity))

    def state(self) -> dict[str, Any]:
        """Return a copy of all values as tensors on the CPU."""
        return {
            name: {"|".join(key): value.detach().cpu().clone() for key, value in table.items()}
            for name, table in (("values", self.values), ("momenta", self.momenta))
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Restore a copy of what `state` returned."""
        self.values, self.momenta = (
            {(name, owner): value.to(self.device, copy=True) for (name, owner), value in _split(state[table])}
            for table in ("values", "momenta")
        )

    def _read(self, name: str, operator: Operator, position: int, piece: Piece) -> Tensor:
        held = self.values.get(piece.key)
        if held is None or not _holds(held, piece.shape):
            held = self._grown(held, name, operator, position, piece)
        return held[_first(piece.shape)]

    def _grown(self, held: Tensor | None, name: str, operator: Operator, position: int, piece: Piece) -> Tensor:
        """Return the initial value of a piece, with the values learned so far in its first channels."""
        seed = derived_seed(self.seed, name, repr(operator), "shared")
        fresh = operator.initial_parameters(torch.Generator().manual_seed(seed))[position].to(self.device)
        if len(piece.shape) > 1:
            fresh = fresh[:, piece.start : piece.start + piece.shape[1]].clone()
        if held is None:
            return fresh
        grown = fresh.new_zeros(tuple(map(max, fresh.shape, held.shape)))
        grown[_first(fresh.shape)] = fresh
        grown[_first(held.shape)] = held
        return grown


def reads_of(plan: Plan) -> dict[str, Reads]:
    """Return what each operator of a network reads, by the name of its step; operators without parameters are left out."""
    sources, found = channel_sources(plan), {}
    for name, operator in plan.operators.items():
        wants = node_type(operator).own
        if wants:
            first = next((want for want in wants if len(want.shape) > 1), None)
            parameters = tuple(tuple(_pieces(name, want, sources[name] if want is first else ())) for want in wants)
            found[name] = Reads(name, operator, parameters)
    return found


def tensors_of(values: Mapping[Key, Tensor], reads: Reads) -> tuple[Tensor, ...]:
    """Return the parameters of an operator, views of values that are all there; see `SharedWeights.grow`."""
    tensors = []
    for pieces in reads.parameters:
        parts = [values[piece.key][_first(piece.shape)] for piece in pieces]
        tensors.append(torch.cat(parts, dim=1) if len(parts) > 1 else parts[0])
    return tuple(tensors)


def _pieces(name: str, want: Want, sources: Sources) -> list[Piece]:
    """Return one piece for each source of the input, or one for all where they are not the input channels of the parameter."""
    if len(sources) < 2 or sum(channels for _, channels in sources) != want.shape[1]:
        return [Piece((name, want.key), want.shape, 0)]
    pieces, start = [], 0
    for source, channels in sources:
        pieces.append(Piece((name, f"{want.key}<{source}"), (want.shape[0], channels, *want.shape[2:]), start))
        start += channels
    return pieces


def _holds(held: Tensor | None, shape: Shape) -> bool:
    return held is not None and all(there >= needed for there, needed in zip(held.shape, shape, strict=True))


def _first(shape: Iterable[int]) -> tuple[slice, ...]:
    return tuple(slice(0, size) for size in shape)


def _split(table: Mapping[str, Tensor]) -> Iterable[tuple[tuple[str, str], Tensor]]:
    for key, value in table.items():
        name, _, owner = key.partition("|")
        yield (name, owner), value


Sources = tuple[tuple[str, int], ...]

_NOMINAL_SIZE = 32  # channels do not depend on it


def channel_sources(plan: Plan) -> dict[str, Sources]:
    """Return for each operator of a plan the operators that produced its input channels, as `(source, channels)` in order.

    A source is the name of the operator that made the channels; sums of several are named by all of them. Only a concatenation
    has more than one source.
    """
    shapes = plan.shapes((plan.in_channels, _NOMINAL_SIZE, _NOMINAL_SIZE))
    made: dict[int, Sources] = {0: (("images", plan.in_channels),)}
    read: dict[str, Sources] = {}
    for slot, step in enumerate(plan.steps, start=1):
        inputs, channels = [made[source] for source in step.inputs], shapes[slot][0]
        read.setdefault(step.name, inputs[0])
        if isinstance(step.operator, Concatenate):
            made[slot] = tuple(chain.from_iterable(inputs))
        elif isinstance(step.operator, Sum):
            names = dict.fromkeys(name for sources in inputs for name, _ in sources)
            made[slot] = (("+".join(names), channels),)
        elif node_type(step.operator).is_glue and sum(count for _, count in inputs[0]) == channels:
            made[slot] = inputs[0]
        else:
            made[slot] = ((step.name, channels),)
    return read
