"""A chain of operators, applied in sequence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from archsearch.spaces.operators.operator import Operator, Shape, Tensors


@dataclass(frozen=True)
class Chain(Operator):
    """`y = f_n(... f_1(x))`: named operators in sequence, with parameters called `name.parameter`."""

    links: tuple[tuple[str, Operator], ...]

    @cached_property
    def _sizes(self) -> tuple[tuple[Operator, int, int], ...]:
        """Each operator with its number of parameters and number of buffers."""
        return tuple((link, len(link.parameter_shapes()), len(link.buffer_shapes())) for _, link in self.links)

    def parameter_shapes(self) -> Mapping[str, Shape]:
        return {f"{name}.{key}": shape for name, link in self.links for key, shape in link.parameter_shapes().items()}

    def buffer_shapes(self) -> Mapping[str, Shape]:
        return {f"{name}.{key}": shape for name, link in self.links for key, shape in link.buffer_shapes().items()}

    def initial_parameters(self, generator: torch.Generator) -> tuple[Tensor, ...]:
        return tuple(tensor for _, link in self.links for tensor in link.initial_parameters(generator))

    def initial_buffers(self) -> tuple[Tensor, ...]:
        return tuple(tensor for _, link in self.links for tensor in link.initial_buffers())

    def output_shape(self, *inputs: Shape) -> Shape:
        for _, link in self.links:
            inputs = (link.output_shape(*inputs),)
        return inputs[0]

    def macs(self, *inputs: Shape) -> int:
        total = 0
        for _, link in self.links:
            total += link.macs(*inputs)
            inputs = (link.output_shape(*inputs),)
        return total

    def apply(self, inputs: Tensors, parameters: Tensors = (), buffers: Tensors = (), training: bool = True) -> Tensor:
        first_parameter = first_buffer = 0
        for link, num_parameters, num_buffers in self._sizes:
            last_parameter = first_parameter + num_parameters
            last_buffer = first_buffer + num_buffers if buffers else 0
            output = link.apply(inputs, parameters[first_parameter:last_parameter], buffers[first_buffer:last_buffer], training)
            inputs, first_parameter, first_buffer = (output,), last_parameter, last_buffer
        return inputs[0]
