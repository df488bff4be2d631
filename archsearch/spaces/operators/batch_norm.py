"""Batch normalisation over batch, height and width."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from archsearch.spaces.operators.operator import Operator, Shape, Tensors


@dataclass(frozen=True)
class BatchNorm(Operator):
    """`y = (x - mean) / sqrt(var + eps) * weight + bias`, per channel (Ioffe & Szegedy, ICML 2015, algorithm 1).

    `mean` and `var` are statistics of the batch in training, and running averages in evaluation. Without buffers they are
    statistics of the batch in evaluation too.

    Args:
        channels: Channels of one replica.
        affine: Whether there are parameters `weight` and `bias`.
        replicas: Number of independent operators side by side in the channels.
    """

    channels: int
    affine: bool = True
    replicas: int = 1

    EPS = 1e-5
    MOMENTUM = 0.1

    def parameter_shapes(self) -> Mapping[str, Shape]:
        width = (self.replicas * self.channels,)
        return {"weight": width, "bias": width} if self.affine else {}

    def buffer_shapes(self) -> Mapping[str, Shape]:
        width = (self.replicas * self.channels,)
        return {"running_mean": width, "running_var": width}

    def initial_parameters(self, generator: torch.Generator) -> tuple[Tensor, ...]:
        width = self.replicas * self.channels
        return (torch.ones(width), torch.zeros(width)) if self.affine else ()

    def initial_buffers(self) -> tuple[Tensor, ...]:
        width = self.replicas * self.channels
        return (torch.zeros(width), torch.ones(width))

    def output_shape(self, *inputs: Shape) -> Shape:
        return inputs[0]

    def apply(self, inputs: Tensors, parameters: Tensors = (), buffers: Tensors = (), training: bool = True) -> Tensor:
        weight, bias = parameters if self.affine else (None, None)
        mean, var = buffers if buffers else (None, None)
        return F.batch_norm(inputs[0], mean, var, weight, bias, training or mean is None, self.MOMENTUM, self.EPS)
