"""Weights that the networks of a space share: one set for each place in the network and each operator."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from archsearch.evaluators.ghn.vocabulary import wanted
from archsearch.spaces.operators import Operator, Shape
from archsearch.spaces.plan import Plan

Key = tuple[str, str]


class SharedWeights:
    """Grows as architectures come: a network reads, by the name of a step and the kind of its operator, the first channels.

    What is new is drawn with a seed of its own, so that it does not depend on the order in which it is needed.

    Args:
        seed: Of the initial weights.
        device: Where they are.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        self.seed, self.device = seed, device
        self.values: dict[Key, Tensor] = {}
        self.momenta: dict[Key, Tensor] = {}

    def grow(self, plan: Plan) -> list[Key]:
        """Make room for all parameters of a network, and return their keys."""
        found: dict[Key, None] = {}
        for name, operator, key, position, shape in _places(plan):
            held = self.values.get(key)
            if held is None or any(there < needed for there, needed in zip(held.shape, shape, strict=True)):
                self.values[key] = self._grown(held, name, operator, position)
                old = self.momenta.get(key)
                self.momenta[key] = torch.zeros_like(self.values[key])
                if old is not None:
                    self.momenta[key][_first(old.shape)] = old
            found[key] = None
        return list(found)

    def parameters(self, plan: Plan) -> dict[str, tuple[Tensor, ...]]:
        """Return the parameters of a network by the names of its steps; what is not there yet has its initial value."""
        found: dict[str, tuple[Tensor, ...]] = {}
        for name, operator, key, position, shape in _places(plan):
            held = self.values.get(key)
            if held is None or any(there < needed for there, needed in zip(held.shape, shape, strict=True)):
                held = self._grown(held, name, operator, position)
            found[name] = (*found.get(name, ()), held[_first(shape)])
        return found

    def descend(
        self, keys: Iterable[Key], gradients: Iterable[Tensor], rate: float, momentum: float, weight_decay: float
    ) -> None:
        """Take a step of gradient descent with Nesterov momentum for the parameters that a network read."""
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
        """Take over a copy of what `state` returned."""
        self.values, self.momenta = (
            {(name, owner): value.to(self.device, copy=True) for (name, owner), value in _split(state[table])}
            for table in ("values", "momenta")
        )

    def _grown(self, held: Tensor | None, name: str, operator: Operator, position: int) -> Tensor:
        """Return the initial value of a parameter, with what is held of it in the first channels."""
        text = f"{self.seed}/{name}/{operator!r}/shared".encode()
        seed = int.from_bytes(hashlib.blake2b(text, digest_size=7).digest())
        fresh = operator.initial_parameters(torch.Generator().manual_seed(seed))[position].to(self.device)
        if held is None:
            return fresh
        larger = tuple(map(max, fresh.shape, held.shape))
        grown = fresh.new_zeros(larger)
        grown[_first(fresh.shape)] = fresh
        grown[_first(held.shape)] = held
        return grown


def _places(plan: Plan) -> Iterable[tuple[str, Operator, Key, int, Shape]]:
    """Yield name, operator, key, position in the operator, and shape of each parameter of a network."""
    for name, operator in plan.operators.items():
        for position, (owner, _, shape) in enumerate(wanted(operator, False)):
            yield name, operator, (name, owner), position, shape


def _first(shape: Iterable[int]) -> tuple[slice, ...]:
    return tuple(slice(0, size) for size in shape)


def _split(table: Mapping[str, Tensor]) -> Iterable[tuple[tuple[str, str], Tensor]]:
    for text, value in table.items():
        name, _, owner = text.partition("|")
        yield (name, owner), value
