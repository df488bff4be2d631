"""Operators without parameters that combine feature maps: identity, zero, sum and concatenation."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from archsearch.spaces.operators.operator import Operator, Shape, Tensors


@dataclass(frozen=True)
class Identity(Operator):
    """`y = x`: a skip connection."""

    def output_shape(self, *inputs: Shape) -> Shape:
        return inputs[0]

    def apply(self, inputs: Tensors, parameters: Tensors = (), buffers: Tensors = (), training: bool = True) -> Tensor:
        return inputs[0]


@dataclass(frozen=True)
class Zero(Operator):
    """`y = 0`: no connection."""

    def output_shape(self, *inputs: Shape) -> Shape:
        return inputs[0]

    def apply(self, inputs: Tensors, parameters: Tensors = (), buffers: Tensors = (), training: bool = True) -> Tensor:
        return torch.zeros_like(inputs[0])


@dataclass(frozen=True)
class Sum(Operator):
    """`y = x_1 + ... + x_n`, for inputs of one shape."""

    def output_shape(self, *inputs: Shape) -> Shape:
        return inputs[0]

    def apply(self, inputs: Tensors, parameters: Tensors = (), buffers: Tensors = (), training: bool = True) -> Tensor:
        total = inputs[0]
        for term in inputs[1:]:
            total = total + term
        return total


@dataclass(frozen=True)
class Concatenate(Operator):
    """`y = [x_1; ...; x_n]`, concatenated in the channel dimension."""

    def output_shape(self, *inputs: Shape) -> Shape:
        return (sum(shape[0] for shape in inputs), *inputs[0][1:])

    def apply(self, inputs: Tensors, parameters: Tensors = (), buffers: Tensors = (), training: bool = True) -> Tensor:
        return torch.cat(list(inputs), dim=1) if len(inputs) > 1 else inputs[0]
