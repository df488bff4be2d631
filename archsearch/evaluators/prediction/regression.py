"""Numbers of an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from archsearch.errors import ConfigurationError
from archsearch.evaluators.prediction.task import PredictionTask, WholeMeter
from archsearch.evaluators.score_names import MAE, R2, REGRESSION


@dataclass(frozen=True)
class Regression(PredictionTask):
    """Squared error of the normalised numbers, judged by R2 or the mean absolute error; labels are `[images, targets]` float64.

    A network learns `(number - mean) / deviation` of each target, so that targets in different units count the same.

    Args:
        mean: Mean of each target over the training images, in the user's units.
        deviation: Standard deviation of each target over the training images, in the user's units, above 0.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    name = REGRESSION

    @classmethod
    def fitted(cls, labels: Tensor) -> Regression:
        """Return the task of these training images, `[images, targets]` float64."""
        return cls(tuple(labels.mean(0).tolist()), tuple(labels.std(0, correction=0).tolist()))

    def meter(self) -> RegressionMeter:
        return RegressionMeter(self.deviation)

    def targets(self, labels: Tensor) -> Tensor:
        mean, deviation = (torch.tensor(each, dtype=torch.float64, device=labels.device) for each in (self.mean, self.deviation))
        return ((labels.double() - mean) / deviation).float()

    def loss(self, outputs: Tensor, truth: Tensor, weights: Tensor | None = None, label_smoothing: float = 0.0) -> Tensor:
        if label_smoothing:
            raise ConfigurationError(f"label_smoothing: expected 0, as numbers are no classes; got {label_smoothing}.")
        return F.mse_loss(outputs, truth.to(outputs))

    def distillation(self, outputs: Tensor, teacher: Tensor) -> Tensor:
        """Return the squared error against the teacher's numbers."""
        return F.mse_loss(outputs, teacher)

    def weights(self, truth: Tensor) -> Tensor:
        raise ConfigurationError("class_weights: expected false, as numbers have no classes; got true. Leave it out.")

    def predictions(self, outputs: Tensor) -> Tensor:
        mean, deviation = (torch.tensor(each, dtype=torch.float64, device=outputs.device) for each in (self.mean, self.deviation))
        return outputs.double() * deviation + mean

    def outputs(self, predictions: Tensor) -> Tensor:
        return self.targets(predictions)


class RegressionMeter(WholeMeter):
    """R2 and mean absolute error, means over the targets, and the mean squared error of normalised numbers.

    `R2 = 1 - sum (y - f)^2 / sum (y - mean y)^2`. Of numbers that are all equal it is 1 if each is met, else 0, as in
    scikit-learn.

    Args:
        deviation: What one unit of a normalised target is in the user's units; the absolute error is in these.
    """

    def __init__(self, deviation: Sequence[float]) -> None:
        super().__init__()
        self._deviation = torch.tensor(deviation, dtype=torch.float64)

    def figures(self) -> dict[str, Tensor]:
        found, targets = self.together()
        outputs, truth = found.cpu().double(), targets.cpu().double()[:, None]
        gaps = outputs - truth  # [images, replicas, targets]
        left, total = gaps.square().sum(0), (truth - truth.mean(0)).square().sum(0)
        explained = torch.where(total > 0, 1.0 - left / total, (left == 0).double())
        absolute = gaps.abs().mean(0) * self._deviation
        figures = {R2: explained.mean(1), MAE: absolute.mean(1), "loss": gaps.square().mean((0, 2))}
        return {name: values.float() if name == "loss" else values for name, values in figures.items()}
