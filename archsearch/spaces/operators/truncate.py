"""Truncation of channels."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from archsearch.spaces.operators.operator import Operator, Shape, Tensors


@dataclass(frozen=True)
class Truncate(Operator):
    """`y = x[:channels]`: the first channels only (C. Ying et al., "NAS-Bench-101", ICML 2019, supplement on channels)."""

    channels: int

    def output_shape(self, *inputs: Shape) -> Shape:
        return (self.channels, *inputs[0][1:])

    def apply(self, inputs: Tensors, parameters: Tensors = (), buffers: Tensors = (), training: bool = True) -> Tensor:
        return inputs[0][:, : self.channels]
