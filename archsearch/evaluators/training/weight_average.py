"""Exponential moving average of the weights of a network in training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn


class WeightAverage:
    """An exponential moving average of the weights and running statistics of a network.

    After step t, average = d average + (1 - d) weights with d = min(decay, (1 + t) / (10 + t)): early on the decay is lower, so
    that the first weights are soon forgotten (as in TensorFlow's `ExponentialMovingAverage` with `num_updates`).

    Args:
        network: Network whose weights are averaged.
        decay: Weight of the old average in each step, 0..1.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self._decay, self._steps = decay, 0
        self._current = [tensor for tensor in network.state_dict().values() if tensor.is_floating_point()]
        self._average = [tensor.clone() for tensor in self._current]

    def update(self) -> None:
        """Add the weights after a step to the average."""
        self._steps += 1
        decay = min(self._decay, (1 + self._steps) / (10 + self._steps))
        torch._foreach_lerp_(self._average, self._current, 1.0 - decay)

    def swap(self) -> None:
        """Exchange the weights of the network and the average."""
        for current, average in zip(self._current, self._average, strict=True):
            kept = current.clone()
            current.copy_(average)
            average.copy_(kept)

    def state(self) -> dict[str, Any]:
        """Return the average as plain data and tensors."""
        return {"steps": self._steps, "tensors": self._average}

    def load(self, state: Mapping[str, Any]) -> None:
        """Load what `state` returned."""
        self._steps = state["steps"]
        for average, stored in zip(self._average, state["tensors"], strict=True):
            average.copy_(stored)
