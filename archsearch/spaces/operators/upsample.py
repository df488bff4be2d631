"""Nearest-neighbour upsampling to a fraction of the image size."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from archsearch.errors import ConfigurationError
from archsearch.spaces.operators.operator import Operator, Shape, Tensors


@dataclass(frozen=True)
class Upsample(Operator):
    """Repeat each position `source / target` times in both directions, and crop to the size of the finer map.

    Because halving rounds up, the size of the finer map cannot be derived from the coarser one; it is derived from the images.

    Args:
        source: Ratio of image size to input size, rounded up.
        target: Ratio of image size to output size; a divisor of `source`.

    Shapes:
        inputs `[batch, channels, ceil(H / source), ceil(W / source)]` and images `[batch, *, H, W]`, used only for their size;
        output `[batch, channels, ceil(H / target), ceil(W / target)]`.

    Raises:
        ConfigurationError: `target` does not divide `source`.
    """

    source: int
    target: int

    def __post_init__(self) -> None:
        if self.target < 1 or self.source % self.target:
            raise ConfigurationError(f"target: expected a divisor of the source factor {self.source}; got {self.target}.")

    def output_shape(self, *inputs: Shape) -> Shape:
        (channels, _, _), (_, height, width) = inputs
        return (channels, -(-height // self.target), -(-width // self.target))

    def apply(self, inputs: Tensors, parameters: Tensors = (), buffers: Tensors = (), training: bool = True) -> Tensor:
        coarse, images = inputs
        ratio = self.source // self.target
        batch, channels, height, width = coarse.shape
        # The gradient of an expanded view is deterministic on every device; that of torch's interpolation may not be.
        repeated = coarse[:, :, :, None, :, None].expand(-1, -1, -1, ratio, -1, ratio)
        fine = repeated.reshape(batch, channels, height * ratio, width * ratio)
        return fine[:, :, : -(-images.shape[2] // self.target), : -(-images.shape[3] // self.target)]
