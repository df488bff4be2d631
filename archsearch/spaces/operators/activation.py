"""The rectified linear unit."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from archsearch.spaces.operators.operator import Operator, Shape, Tensors


@dataclass(frozen=True)
class ReLU(Operator):
    """`y = max(x, 0)`."""

    def output_shape(self, *inputs: Shape) -> Shape:
        return inputs[0]

    def apply(self, inputs: Tensors, parameters: Tensors = (), buffers: Tensors = (), training: bool = True) -> Tensor:
        return torch.relu(inputs[0])
