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
    """`y = W x + b`. MACs include the bias, as in NAS-Bench-201's own counter, unless `count_bias` is False.

    Args:
        in_features: Number of inputs of one replica.
        out_features: Number of outputs of one replica.
        replicas: Number of independent operators side by side in the channels.
        count_bias: Whether the bias counts as one more input of the multiplication, or is added separately.

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
        """Draw weights and bias from U(-a, a), `a = 1 / sqrt(in_features)`, the default of torch."""
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
