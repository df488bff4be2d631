"""Quality and loss of networks with generated or shared weights; each batch is normalised by its own statistics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from archsearch.evaluators.datasets.resident import ImagePart, Resident
from archsearch.evaluators.prediction.classification import Classification
from archsearch.evaluators.prediction.task import PredictionTask
from archsearch.evaluators.score_names import CLASSIFICATION, OBJECTIVES
from archsearch.spaces.plan import Parameters, Plan

_ORDER_SEED = 0


@dataclass(frozen=True, slots=True)
class EvaluationSpec:
    """The validation images that score a candidate, and their batches: scores depend on both, since batches give the statistics.

    Args:
        images: Number of validation images; 0 takes all.
        batch: Largest number of images in one batch. The sizes of batches differ by at most one image.
    """

    images: int = 0
    batch: int = 500

    def settings(self) -> dict[str, Any]:
        """Return the specification as plain data."""
        return {**asdict(self), "order": _ORDER_SEED}

    def batches(self, part: ImagePart | Resident) -> list[Resident]:
        """Return the images in a fixed random order, cut into batches."""
        number = min(self.images or len(part), len(part))
        order = torch.randperm(len(part), generator=torch.Generator().manual_seed(_ORDER_SEED))[:number]
        cut = order.to(part.labels.device).tensor_split(-(-number // self.batch))
        return [Resident(part.images[rows], part.labels[rows]) for rows in cut]


@torch.inference_mode()
def score(
    plan: Plan,
    parameters: Parameters,
    batches: Sequence[Resident],
    mixed_precision: bool = False,
    prediction: PredictionTask | None = None,
    centred: bool = False,
) -> Tensor:
    """Return accuracy (a fraction) and mean cross-entropy (nats) of each exit, `[exits, 2]`, on the device of the batches.

    With `centred` a third column has the cross-entropy of centred logits: of each class the mean logit over the batch is
    subtracted, so that a network with generated weights that prefers a class whatever the image does not lose by it.

    For another task than classification, which `prediction` gives, they are its usual figure and its loss, on the CPU, and none
    is centred.
    """
    if prediction is not None and prediction.name != CLASSIFICATION:
        return _metered(plan, parameters, batches, mixed_precision, prediction)
    total, images = torch.zeros(()), sum(map(len, batches))
    for batch in batches:
        logits = torch.stack(logits_of(plan, parameters, batch.images, mixed_precision))
        labels = batch.labels.expand(len(logits), -1)
        correct = (logits.argmax(2) == labels).sum(1)
        columns = [correct, _losses(logits, labels)]
        if centred:
            columns.append(_losses(logits - logits.mean(1, keepdim=True), labels))
        total = total.to(labels.device) + torch.stack(columns, dim=1)
    return total / images


def _losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the sum of the cross-entropies of each exit, `[exits]`, of logits `[exits, images, classes]`."""
    return F.cross_entropy(logits.transpose(1, 2), labels, reduction="none").sum(1)


def _metered(
    plan: Plan, parameters: Parameters, batches: Sequence[Resident], mixed_precision: bool, prediction: PredictionTask
) -> Tensor:
    meters = [prediction.meter() for _ in plan.outputs]
    for batch in batches:
        for meter, outputs in zip(meters, logits_of(plan, parameters, batch.images, mixed_precision), strict=True):
            meter.add(outputs[:, None], batch.labels)
    figures = [meter.figures() for meter in meters]
    return torch.tensor([[float(each[name]) for name in (OBJECTIVES[prediction.name][0], "loss")] for each in figures])


def logits_of(plan: Plan, parameters: Parameters, images: Tensor, mixed_precision: bool = False) -> tuple[Tensor, ...]:
    """Return the logits of each exit, `[images, classes]` in single precision; operators without parameters may be left out."""
    complete = dict.fromkeys(plan.operators, ()) | dict(parameters)
    if images.device.type == "cpu" and images.dim() == 4:
        # There convolutions and poolings of few channels take a half to two thirds of the time with the channels last. The copy
        # gives images of one channel these strides too, which `contiguous` would leave as they are.
        images = torch.empty(images.shape, dtype=images.dtype, memory_format=torch.channels_last).copy_(images)
    with torch.autocast(images.device.type, torch.bfloat16, enabled=mixed_precision):
        return tuple(logits.float() for logits in plan.apply(images, complete))


def training_loss(
    plan: Plan,
    parameters: Parameters,
    batch: Resident,
    mixed_precision: bool = False,
    weights: Tensor | None = None,
    prediction: PredictionTask | None = None,
) -> Tensor:
    """Return the mean over exits of the loss of the task, for classes, which None is for, the cross-entropy in nats.

    `weights` are those of `PredictionTask.weights`.
    """
    task = prediction or Classification()
    exits = logits_of(plan, parameters, batch.images, mixed_precision)
    return torch.stack([task.loss(logits, batch.labels, weights) for logits in exits]).mean()
