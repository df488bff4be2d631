"""Nearest-neighbour upsampling to a fraction of the image's size."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from archsearch.errors import ConfigurationError
from archsearch.spaces.operators.operator import Operator, Shape, Tensors


@dataclass(frozen=True)
class Upsample(Operator):
    """Each position repeated `source / target` times in both directions, cut at the border of the finer map.

    Halving rounds up, so the size of the finer map does not follow from that of the coarser one: the images tell it.

    Args:
        source: Image size over size of the input, rounded up.
        target: Image size over size of the output; a divisor of `source`.

    Shapes:
        inputs `[batch, channels, ceil(H / source), ceil(W / source)]` and, for their size alone, images `[batch, *, H, W]`;
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
        # A view that is expanded has a deterministic gradient on every device; torch's interpolation does not promise one.
        repeated = coarse[:, :, :, None, :, None].expand(-1, -1, -1, ratio, -1, ratio)
        fine = repeated.reshape(batch, channels, height * ratio, width * ratio)
        return fine[:, :, : -(-images.shape[2] // self.target), : -(-images.shape[3] // self.target)]
