"""One class an image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from archsearch.evaluators.prediction.class_weights import class_weights, cross_entropy
from archsearch.evaluators.prediction.task import Meter, PredictionTask
from archsearch.evaluators.score_names import CLASSIFICATION

_TEMPERATURE = 3.0
"""Both predictions are softened by it in `distillation`."""
_LEAST = 1e-12
"""Smallest probability in a loss."""


class Classification(PredictionTask):
    """Cross-entropy of the softmax, judged by accuracy; the labels are the numbers of the classes, `[images]` int64."""

    name = CLASSIFICATION

    def meter(self) -> ClassificationMeter:
        return ClassificationMeter()

    def targets(self, labels: Tensor) -> Tensor:
        return labels

    def loss(self, outputs: Tensor, truth: Tensor, weights: Tensor | None = None, label_smoothing: float = 0.0) -> Tensor:
        return cross_entropy(outputs, truth, weights, label_smoothing)

    def distillation(self, outputs: Tensor, teacher: Tensor) -> Tensor:
        """Return T^2 KL(softmax(teacher / T) || softmax(outputs / T)), T = 3 (G. Hinton et al., arXiv 1503.02531, section 2)."""
        softened = (teacher / _TEMPERATURE).log_softmax(1), (outputs / _TEMPERATURE).log_softmax(1)
        return _TEMPERATURE**2 * F.kl_div(softened[1], softened[0], reduction="batchmean", log_target=True)

    def weights(self, truth: Tensor) -> Tensor:
        return class_weights(truth)

    def predictions(self, outputs: Tensor) -> Tensor:
        return outputs.float().softmax(1)

    def outputs(self, predictions: Tensor) -> Tensor:
        return predictions.clamp_min(_LEAST).log().float()


class ClassificationMeter(Meter):
    """Accuracy, balanced accuracy and mean cross-entropy (nats).

    The balanced accuracy is the mean, over the classes that have images, of the fraction of their images classified right.
    """

    def __init__(self) -> None:
        self._images = 0
        self._loss = self._right = self._counts = torch.zeros(())

    def add(self, outputs: Tensor, truth: Tensor) -> None:
        classes, labels = outputs.shape[2], truth[:, None].expand(-1, outputs.shape[1])
        hits = outputs.argmax(2) == labels
        right = torch.zeros(classes, outputs.shape[1], device=outputs.device, dtype=torch.float64).index_add_(
            0, truth, hits.double()
        )
        counts = torch.bincount(truth, minlength=classes)
        loss = F.cross_entropy(outputs.flatten(0, 1), labels.flatten(), reduction="none").view(labels.shape).sum(0)
        if self._images:
            right, counts, loss = self._right + right, self._counts + counts, self._loss + loss
        self._right, self._counts, self._loss = right, counts, loss
        self._images += len(truth)

    def state(self) -> dict[str, Any]:
        return {"images": self._images, "loss": self._loss.cpu(), "right": self._right.cpu(), "counts": self._counts.cpu()}

    def merge(self, state: Mapping[str, Any]) -> None:
        first = self._images == 0
        self._images += state["images"]
        for name, value in (("_loss", state["loss"]), ("_right", state["right"]), ("_counts", state["counts"])):
            setattr(self, name, value if first else getattr(self, name).cpu() + value)

    def figures(self) -> dict[str, Tensor]:
        present = self._counts > 0
        balanced = (self._right[present] / self._counts[present, None]).mean(0)
        accuracy = (self._right.sum(0) / self._images).float()
        return {
            "accuracy": accuracy.cpu(),
            "loss": (self._loss / self._images).cpu(),
            "balanced_accuracy": balanced.float().cpu(),
        }
