"""The loss of a network with several exits: sum, distillation from the last exit, the last exit first."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from archsearch.evaluators.prediction.task import PredictionTask
from archsearch.evaluators.training.recipe import Recipe


class ExitLosses:
    """The loss of all exits together, of one or several replicas.

    With exits e = 1..E, outputs z_e and labels y it is

        l(z_E, y) + v sum over e < E of ((1 - a) l(z_e, y) + a d(z_e, z_E))

    where l is the task's loss, d the distance from the last exit's outputs, which get no gradient from it
    (`PredictionTask.distillation`), and a the recipe's `distillation` (M. Phuong, C. Lampert, "Distillation-Based Training for
    Multi-Exit Architectures", ICCV 2019). v is 1, and 0 in the first `backbone_first` of the epochs (P. Kubaty et al., arXiv
    2407.14320). With a = 0 and v = 1 it is the sum of G. Huang et al., "Multi-Scale Dense Networks", ICLR 2018. A network with
    one exit has l(z_1, y), and if it has an auxiliary classifier, that one's loss by its weight besides.

    Args:
        prediction: What the network learns to predict.
        recipe: Its `distillation`, `backbone_first`, `auxiliary` and `label_smoothing` are used.
        has_auxiliary: Whether the last outputs are those of an auxiliary classifier.
    """

    def __init__(self, prediction: PredictionTask, recipe: Recipe, has_auxiliary: bool) -> None:
        self._prediction, self._recipe, self._has_auxiliary = prediction, recipe, has_auxiliary

    def __call__(self, exits: Sequence[Tensor], truth: Tensor, weights: Tensor | None, progress: float) -> Tensor:
        """Return the loss, the sum over replicas: each has the gradients that it would have alone.

        Args:
            exits: Outputs of each exit, `[batch, replicas * outputs]`.
            truth: Labels, `[batch, replicas]`, or `[batch, replicas, outputs]`.
            weights: Of the classes, as from `PredictionTask.weights`; None counts all equally.
            progress: Fraction of the epochs that have been run, 0..1.
        """
        batch, replicas = truth.shape[:2]
        outputs = [each.float().view(batch * replicas, -1) for each in exits]
        labels, smoothing = truth.flatten(0, 1), self._recipe.label_smoothing
        losses = torch.stack([self._prediction.loss(each, labels, weights, smoothing) * replicas for each in outputs])
        if self._has_auxiliary:
            return torch.cat([losses[:-1], self._recipe.auxiliary * losses[-1:]]).sum()
        if len(outputs) == 1:
            return losses.sum()
        share = self._recipe.distillation
        if share:
            last = outputs[-1].detach()
            apart = torch.stack([self._prediction.distillation(each, last) * replicas for each in outputs[:-1]])
            losses = torch.cat([(1.0 - share) * losses[:-1] + share * apart, losses[-1:]])
        if progress < self._recipe.backbone_first:
            # Times 0, and not left out: processes that train together expect a gradient of each parameter.
            losses = torch.cat([0.0 * losses[:-1], losses[-1:]])
        return losses.sum()
