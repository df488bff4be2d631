"""The parameters of a model as one tensor, so that a step of its optimizer is one call and not one for each of them."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class FlatParameters:
    """Moves the parameters of a model into one tensor, of which they are parts from then on.

    Args:
        model: Whose parameters are moved; they keep their names and shapes.

    Attributes:
        whole: `[parameters of all members]`, for the optimizer.
    """

    def __init__(self, model: nn.Module) -> None:
        self._parts = list(model.parameters())
        self.whole = nn.Parameter(torch.cat([part.detach().flatten() for part in self._parts]))
        values = self.whole.detach().split([part.numel() for part in self._parts])
        for part, value in zip(self._parts, values, strict=True):
            part.data = value.view(part.shape)

    def derive(self, loss: Tensor) -> None:
        """Set the gradient of the whole to that of a loss."""
        gradients = torch.autograd.grad(loss, self._parts, materialize_grads=True)
        self.whole.grad = torch.cat([gradient.flatten() for gradient in gradients])
