"""Factorized reduction: halves a feature map with two 1x1 convolutions of stride 2, on even and on odd rows and columns."""

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
class FactorizedReduction(Operator):
    """`y = [w_even * x; w_odd * shift(x)]`, two 1x1 convolutions of stride 2, concatenated in the channels.

    The first path reads the even rows and columns, the second the odd ones: the map is shifted by one and padded with zeros, so
    that odd sizes work too. A single strided 1x1 convolution would read only a quarter of the positions (the ENAS authors'
    reduction: H. Pham et al., "Efficient Neural Architecture Search via Parameter Sharing", ICML 2018, arXiv
    1802.03268, and the published program `src/cifar10/general_child.py` of github.com/melodyguan/enas; DARTS has the same).

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output; the first path has one more if the number is odd.

    Shapes:
        input `[batch, in_channels, height, width]`,
        output `[batch, out_channels, ceil(height / 2), ceil(width / 2)]`.

    Raises:
        ConfigurationError: There are fewer than two output channels.
    """

    in_channels: int
    out_channels: int

    def __post_init__(self) -> None:
        if self.out_channels < 2:
            raise ConfigurationError(
                f"out_channels: expected at least 2, one for each path; got {self.out_channels}. Give the network more channels."
            )

    def parameter_shapes(self) -> Mapping[str, Shape]:
        odd = self.out_channels // 2
        return {
            "even_weight": (self.out_channels - odd, self.in_channels, 1, 1),
            "odd_weight": (odd, self.in_channels, 1, 1),
        }

    def initial_parameters(self, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Draw weights from N(0, s^2), `s^2 = 2 / fan_in` (He et al., "Delving Deep into Rectifiers", ICCV 2015, equation 10)."""
        deviation = math.sqrt(2.0 / self.in_channels)
        return tuple(torch.randn(shape, generator=generator) * deviation for shape in self.parameter_shapes().values())

    def output_shape(self, *inputs: Shape) -> Shape:
        _, height, width = inputs[0]
        return (self.out_channels, -(-height // 2), -(-width // 2))

    def macs(self, *inputs: Shape) -> int:
        return self.in_channels * math.prod(self.output_shape(*inputs))

    def apply(self, inputs: Tensors, parameters: Tensors = (), buffers: Tensors = (), training: bool = True) -> Tensor:
        even, odd = parameters
        shifted = F.pad(inputs[0], (-1, 1, -1, 1))
        return torch.cat([F.conv2d(inputs[0], even, stride=2), F.conv2d(shifted, odd, stride=2)], dim=1)
