"""Fully connected layer with bias."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from archsearch.spaces.operators.operator import Operator, Shape, Tensors


@dataclass(frozen=True)
class Linear(Operator):
    """`y = W x + b`. Its MACs count the bias, as NAS-Bench-201's own counter does, unless it is added by itself.

    Args:
        in_features: Inputs of one replica.
        out_features: Outputs of one replica.
        replicas: Independent copies side by side.
        count_bias: Whether the bias is a part of the multiplication and counts as one more input, or is added afterwards.

    Shapes:
        input `[batch, replicas * in_features]`, output `[batch, replicas * out_features]`.
    """

    in_features: int
    out_features: int
    replicas: int = 1
    count_bias: bool = True

    def parameter_shapes(self) -> Mapping[str, Shape]:
        rows = self.replicas * self.out_features
        return {"weight": (rows, self.in_features), "bias": (rows,)}

    def initial_parameters(self, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Draw from U(-1, 1) / sqrt(in_features), the default of torch."""
        bound = 1.0 / math.sqrt(self.in_features)
        shapes = self.parameter_shapes().values()
        return tuple((torch.rand(shape, generator=generator) * 2 - 1) * bound for shape in shapes)

    def output_shape(self, *inputs: Shape) -> Shape:
        return (self.replicas * self.out_features,)

    def macs(self, *inputs: Shape) -> int:
        return self.replicas * self.out_features * (self.in_features + self.count_bias)

    def apply(self, inputs: Tensors, parameters: Tensors = (), buffers: Tensors = (), training: bool = True) -> Tensor:
        weight, bias = parameters
        if self.replicas == 1:
            return F.linear(inputs[0], weight, bias) if self.count_bias else F.linear(inputs[0], weight) + bias
        return F.conv1d(inputs[0].unsqueeze(2), weight.unsqueeze(2), bias, groups=self.replicas).squeeze(2)
