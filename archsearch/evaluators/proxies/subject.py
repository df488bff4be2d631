"""The untrained network that a training-free score is computed of, with a batch of images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from archsearch.evaluators.prediction.classification import Classification
from archsearch.evaluators.prediction.task import PredictionTask
from archsearch.spaces.cost import Cost


@dataclass(frozen=True, eq=False)
class Subject:
    """An untrained network and what a training-free score may read.

    Args:
        network: Maps `[batch, channels, height, width]` to logits `[batch, classes]`, or to a list of them, one for each exit, of
            which the last one counts. Scores leave its parameters and buffers as they were.
        images: `[batch, channels, height, width]`, normalised.
        labels: What a network learns of each image, `[batch]` int64 for classes.
        cost: Parameters and multiply-accumulates of the network.
        generator: Source of random numbers.
        prediction: What is predicted of an image.
    """

    network: nn.Module
    images: Tensor
    labels: Tensor
    cost: Cost
    generator: torch.Generator
    prediction: PredictionTask = field(default_factory=Classification)

    def weights(self) -> list[nn.Parameter]:
        """Return the kernels of convolutions and linear maps: parameters of at least two dimensions."""
        return [parameter for parameter in self.network.parameters() if parameter.dim() > 1]

    def logits(self, images: Tensor | None = None) -> Tensor:
        """Return the logits of the last exit, `[batch, classes]`, for the images of the subject or others."""
        found = self.network(self.images if images is None else images)
        logits: Tensor = found[-1] if isinstance(found, list | tuple) else found
        return logits

    def loss(self) -> Tensor:
        """Return the mean loss of the images, for classes the cross-entropy."""
        return self.loss_of(self.images, self.labels)

    def loss_of(self, images: Tensor, labels: Tensor) -> Tensor:
        """Return the mean loss of some images."""
        return self.prediction.loss(self.logits(images), labels)

    def gradients(self, of: Tensor, create_graph: bool = False) -> list[Tensor]:
        """Return the gradient of a scalar with respect to each of the weights; zeros where it does not depend on one."""
        weights = self.weights()
        if not of.requires_grad:
            return [torch.zeros_like(weight) for weight in weights]
        found: Sequence[Tensor | None] = torch.autograd.grad(of, weights, create_graph=create_graph, allow_unused=True)
        return [torch.zeros_like(weight) if each is None else each for weight, each in zip(weights, found, strict=True)]

    def input_gradients(self) -> Tensor:
        """Return the gradient of the sum of all logits with respect to each image, `[batch, channels * height * width]`."""
        images = self.images.detach().clone().requires_grad_(True)
        total = self.logits(images).sum()
        [found] = torch.autograd.grad(total, images, allow_unused=True) if total.requires_grad else [None]
        return (torch.zeros_like(images) if found is None else found).flatten(1)
