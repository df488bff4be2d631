"""Average pooling, max pooling, global average pooling and means of regions."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from archsearch.errors import ConfigurationError
from archsearch.spaces.operators.operator import Operator, Shape, Tensors


def _pooled(shape: Shape, stride: int) -> Shape:
    channels, height, width = shape
    return (channels, -(-height // stride), -(-width // stride))


def _check_window(kernel: int, stride: int) -> None:
    # Only for these windows can padding give an output of ceil(size / stride) positions.
    if kernel % 2 == 0 and stride != 2:
        raise ConfigurationError(f"kernel: expected an odd size, or an even one with stride 2; got {kernel}, stride {stride}.")


@dataclass(frozen=True)
class AveragePool(Operator):
    """Mean over a `kernel x kernel` window; positions outside the image are excluded.

    Raises:
        ConfigurationError: The kernel is even and the stride is not 2.
    """

    kernel: int
    stride: int = 1

    def __post_init__(self) -> None:
        _check_window(self.kernel, self.stride)

    def output_shape(self, *inputs: Shape) -> Shape:
        return _pooled(inputs[0], self.stride)

    def apply(self, inputs: Tensors, parameters: Tensors = (), buffers: Tensors = (), training: bool = True) -> Tensor:
        padding, ceil = (self.kernel - 1) // 2, self.kernel % 2 == 0
        return F.avg_pool2d(inputs[0], self.kernel, self.stride, padding, ceil_mode=ceil, count_include_pad=False)


@dataclass(frozen=True)
class MaxPool(Operator):
    """Maximum over a `kernel x kernel` window.

    Raises:
        ConfigurationError: The kernel is even and the stride is not 2.
    """

    kernel: int
    stride: int = 1

    def __post_init__(self) -> None:
        _check_window(self.kernel, self.stride)

    def output_shape(self, *inputs: Shape) -> Shape:
        return _pooled(inputs[0], self.stride)

    def apply(self, inputs: Tensors, parameters: Tensors = (), buffers: Tensors = (), training: bool = True) -> Tensor:
        padding, ceil = (self.kernel - 1) // 2, self.kernel % 2 == 0
        return F.max_pool2d(inputs[0], self.kernel, self.stride, padding, ceil_mode=ceil)


@dataclass(frozen=True)
class GlobalAveragePool(Operator):
    """Mean over all positions: `[batch, channels, height, width]` to `[batch, channels]`."""

    def output_shape(self, *inputs: Shape) -> Shape:
        return (inputs[0][0],)

    def apply(self, inputs: Tensors, parameters: Tensors = (), buffers: Tensors = (), training: bool = True) -> Tensor:
        return inputs[0].mean(dim=(2, 3))


@dataclass(frozen=True)
class RegionPool(Operator):
    """Means over a grid of regions: `[batch, channels, height, width]` to `[batch, channels * regions * regions]`.

    Region i of r along an axis of n positions reaches from `floor(i n / r)` to `ceil((i + 1) n / r)`, its end excluded. So all
    regions have positions also if there are fewer positions than regions.

    Args:
        regions: Regions along each axis; 1 is the mean over all positions.

    Raises:
        ConfigurationError: There is no region.
    """

    regions: int

    def __post_init__(self) -> None:
        if self.regions < 1:
            raise ConfigurationError(f"regions: expected at least 1; got {self.regions}.")

    def output_shape(self, *inputs: Shape) -> Shape:
        return (inputs[0][0] * self.regions**2,)

    def apply(self, inputs: Tensors, parameters: Tensors = (), buffers: Tensors = (), training: bool = True) -> Tensor:
        return F.adaptive_avg_pool2d(inputs[0], self.regions).flatten(1)
