"""Any number of labels an image."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from archsearch.evaluators.prediction.average_precision import average_precision
from archsearch.evaluators.prediction.task import PredictionTask, WholeMeter
from archsearch.evaluators.score_names import MEAN_AVERAGE_PRECISION, MULTILABEL

_SUMMED = 50
"""Most labels over which losses are summed."""
_LEAST = 1e-12
"""Smallest probability in a loss."""


class Multilabel(PredictionTask):
    """Binary cross-entropy of each label's sigmoid, judged by mean average precision; labels are `[images, labels]` bool.

    The loss of an image is the sum over the labels, so that the gradient of a label does not shrink with their number; of more
    than 50 labels it is 50 times their mean, so that it does not grow without bound either.
    """

    name = MULTILABEL

    def meter(self) -> MultilabelMeter:
        return MultilabelMeter()

    def targets(self, labels: Tensor) -> Tensor:
        return labels.float()

    def loss(self, outputs: Tensor, truth: Tensor, weights: Tensor | None = None, label_smoothing: float = 0.0) -> Tensor:
        smoothed = truth * (1.0 - label_smoothing) + 0.5 * label_smoothing if label_smoothing else truth
        positive = None if weights is None else weights.to(outputs)
        return _mean_loss(outputs, smoothed.to(outputs), positive)

    def distillation(self, outputs: Tensor, teacher: Tensor) -> Tensor:
        """Return the loss with the teacher's probabilities as labels."""
        return _mean_loss(outputs, teacher.sigmoid())

    def weights(self, truth: Tensor) -> Tensor:
        """Return `images without the label / images with it` for each label, `[labels]`; 1 for a label that none or all have."""
        positive = truth.sum(0)
        return torch.where((positive > 0) & (positive < len(truth)), (len(truth) - positive) / positive.clamp_min(1), 1.0)

    def predictions(self, outputs: Tensor) -> Tensor:
        return outputs.float().sigmoid()

    def outputs(self, predictions: Tensor) -> Tensor:
        return predictions.double().logit(_LEAST).float()


def _mean_loss(outputs: Tensor, truth: Tensor, positive: Tensor | None = None) -> Tensor:
    """Return the mean over the images of the summed binary cross-entropy of their labels, nats."""
    return F.binary_cross_entropy_with_logits(outputs, truth, pos_weight=positive) * min(outputs.shape[1], _SUMMED)


class MultilabelMeter(WholeMeter):
    """Mean average precision over the labels that have images, and the mean loss of an image."""

    def figures(self) -> dict[str, Tensor]:
        outputs, truth = self.together()
        replicas = [outputs[:, place] for place in range(outputs.shape[1])]
        precision = torch.stack([average_precision(each, truth).nanmean() for each in replicas])
        loss = torch.stack([_mean_loss(each, truth) for each in replicas])
        return {MEAN_AVERAGE_PRECISION: precision.cpu(), "loss": loss.cpu()}
