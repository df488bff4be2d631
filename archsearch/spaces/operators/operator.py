"""The interface of an operator, shared by trainable modules, generated weights and cost counters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

Shape = tuple[int, ...]
Tensors = Sequence[Tensor]


class Operator(ABC):
    """A pure function of input tensors and parameters, with its parameter shapes and its cost.

    Operators are frozen dataclasses: equal if their fields are equal, hashable, without state. Shapes of feature maps exclude
    the batch: `(channels, height, width)`, or `(features,)` after global pooling.

    `replicas` independent operators may be placed side by side in the channel dimension. They share no parameters: a network
    with `replicas=S` is S networks trained in one pass by grouped convolutions. For small networks this takes little more time
    than training one.
    """

    def parameter_shapes(self) -> Mapping[str, Shape]:
        """Return the learned tensors by name, in the order in which `apply` takes them."""
        return {}

    def buffer_shapes(self) -> Mapping[str, Shape]:
        """Return the running statistics by name, in the order in which `apply` takes them."""
        return {}

    def initial_parameters(self, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Return newly initialised parameters, drawn from `generator`."""
        return ()

    def initial_buffers(self) -> tuple[Tensor, ...]:
        """Return newly initialised running statistics."""
        return ()

    @abstractmethod
    def output_shape(self, *inputs: Shape) -> Shape:
        """Return the shape of the output for inputs of these shapes."""

    def macs(self, *inputs: Shape) -> int:
        """Return the multiply-accumulates of one image, for inputs of these shapes."""
        return 0

    @abstractmethod
    def apply(self, inputs: Tensors, parameters: Tensors = (), buffers: Tensors = (), training: bool = True) -> Tensor:
        """Compute the output from `inputs` (each `[batch, channels, height, width]`).

        Args:
            inputs: Input tensors.
            parameters: Tensors of `parameter_shapes`, in that order.
            buffers: Tensors of `buffer_shapes`, in that order; updated in place in training. If empty, normalisation uses the
                statistics of the batch.
            training: Whether normalisation uses the statistics of the batch (and updates `buffers`).
        """
