"""Two-dimensional convolution without bias."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from archsearch.errors import ConfigurationError
from archsearch.spaces.operators.operator import Operator, Shape, Tensors


@dataclass(frozen=True)
class Convolution(Operator):
    """`y = w * x`, a convolution with "same" padding and without bias.

    Args:
        in_channels: Input channels of one replica.
        out_channels: Output channels of one replica.
        kernel: Height and width of the kernel, both odd.
        stride: Stride in both directions.
        dilation: Distance between neighbouring elements of the kernel.
        groups: Number of groups of channels that do not mix (`in_channels` for a depthwise convolution).
        replicas: Number of independent operators side by side in the channels.

    Shapes:
        input `[batch, replicas * in_channels, height, width]`,
        output `[batch, replicas * out_channels, ceil(height / stride), ceil(width / stride)]`.

    Raises:
        ConfigurationError: A kernel size is even, so that there is no "same" padding.
    """

    in_channels: int
    out_channels: int
    kernel: tuple[int, int]
    stride: int = 1
    dilation: int = 1
    groups: int = 1
    replicas: int = 1

    def __post_init__(self) -> None:
        if not all(size % 2 for size in self.kernel):
            raise ConfigurationError(f"kernel: expected odd sizes, which can be centred; got {self.kernel}.")

    @property
    def padding(self) -> tuple[int, int]:
        """Zero padding that keeps the size at stride 1."""
        return (self.dilation * (self.kernel[0] - 1) // 2, self.dilation * (self.kernel[1] - 1) // 2)

    def parameter_shapes(self) -> Mapping[str, Shape]:
        return {"weight": (self.replicas * self.out_channels, self.in_channels // self.groups, *self.kernel)}

    def initial_parameters(self, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Draw weights from N(0, s^2), `s^2 = 2 / fan_in` (He et al., "Delving Deep into Rectifiers", ICCV 2015, equation 10)."""
        shape = self.parameter_shapes()["weight"]
        return (torch.randn(shape, generator=generator) * math.sqrt(2.0 / math.prod(shape[1:])),)

    def output_shape(self, *inputs: Shape) -> Shape:
        _, height, width = inputs[0]
        return (self.replicas * self.out_channels, -(-height // self.stride), -(-width // self.stride))

    def macs(self, *inputs: Shape) -> int:
        _, height, width = self.output_shape(*inputs)
        return math.prod(self.parameter_shapes()["weight"]) * height * width

    def apply(self, inputs: Tensors, parameters: Tensors = (), buffers: Tensors = (), training: bool = True) -> Tensor:
        groups = self.groups * self.replicas
        return F.conv2d(inputs[0], parameters[0], None, self.stride, self.padding, self.dilation, groups)
