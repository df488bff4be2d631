"""Weights of classes, and the loss that counts each image by the weight of its class."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def class_weights(labels: Tensor) -> Tensor:
    """Return n / (k n_c) for each class c of n labels, `[largest label + 1]`, where k classes have labels; 1 for the others.

    Their mean over the images is 1.
    """
    counts = torch.bincount(labels)
    return torch.where(counts > 0, len(labels) / (int((counts > 0).sum()) * counts.clamp_min(1)), 1.0)


def cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor | None = None, label_smoothing: float = 0.0) -> Tensor:
    """Return the mean cross-entropy over the images, nats.

    With weights of the classes, the mean is that of weighted losses over the images, not over their weights: so the parts of a
    batch add up to the batch.

    Args:
        logits: `[images, classes]`.
        labels: `[images]` int64.
        weights: As from `class_weights`; None counts all images the same.
        label_smoothing: Fraction of the label that is spread over all classes, 0..1.
    """
    if weights is None:
        return F.cross_entropy(logits, labels, label_smoothing=label_smoothing)
    losses = F.cross_entropy(logits, labels, label_smoothing=label_smoothing, reduction="none")
    return (losses * weights.to(losses)[labels]).mean()
