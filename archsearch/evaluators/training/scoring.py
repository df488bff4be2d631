"""Accuracy and loss of a network on images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Score:
    """Accuracy and loss of each replica on one set of images.

    Args:
        accuracy: `[replicas]`, fraction of images classified right.
        loss: `[replicas]`, mean cross-entropy in nats.
        balanced_accuracy: `[replicas]`, mean over the classes of the fraction of their images classified right; classes without
            images do not count.
    """

    accuracy: Tensor
    loss: Tensor
    balanced_accuracy: Tensor


def score(network: nn.Module, images: Tensor, labels: Tensor, replicas: int = 1, batch_size: int = 1000) -> Score:
    """Return accuracy and loss of each replica at its last exit, with the running statistics of batch normalisation."""
    return exit_scores(network, images, labels, replicas, batch_size)[-1]


@torch.inference_mode()
def exit_scores(network: nn.Module, images: Tensor, labels: Tensor, replicas: int = 1, batch_size: int = 1000) -> list[Score]:
    """Return accuracy and loss of each replica at each exit, with the running statistics of batch normalisation.

    Args:
        network: Maps `[batch, replicas * channels, height, width]` to the logits of one or several exits, as `stacked_network`.
        images: `[images, channels, height, width]`, normalised; each replica gets the same.
        labels: `[images]` int64.
        replicas: Number of replicas in the network.
        batch_size: Images in one pass.
    """
    network.eval()
    classes, counts = torch.unique(labels, return_counts=True)
    weights = (1.0 / (len(classes) * counts.double()))[torch.searchsorted(classes, labels)]
    correct: list[Tensor] = []
    balanced: list[Tensor] = []
    losses: list[Tensor] = []
    for start in range(0, len(labels), batch_size):
        part, truth = images[start : start + batch_size], labels[start : start + batch_size]
        truth = truth[:, None].expand(-1, replicas)
        exits = [logits.float().view(len(truth), replicas, -1) for logits in exits_of(network(part.repeat(1, replicas, 1, 1)))]
        hits = [logits.argmax(2) == truth for logits in exits]
        right = [hit.sum(0) for hit in hits]
        share = [(hit * weights[start : start + batch_size, None]).sum(0) for hit in hits]
        loss = [_loss_of_replicas(logits, truth) for logits in exits]
        correct = [before + now for before, now in zip(correct, right, strict=True)] if correct else right
        balanced = [before + now for before, now in zip(balanced, share, strict=True)] if balanced else share
        losses = [before + now for before, now in zip(losses, loss, strict=True)] if losses else loss
    return [
        Score((hits / len(labels)).cpu(), (loss / len(labels)).cpu(), share.float().cpu())
        for hits, loss, share in zip(correct, losses, balanced, strict=True)
    ]


def _loss_of_replicas(logits: Tensor, truth: Tensor) -> Tensor:
    """Return the summed cross-entropy of each replica, `[replicas]`, from logits `[batch, replicas, classes]`."""
    return F.cross_entropy(logits.flatten(0, 1), truth.flatten(), reduction="none").view(truth.shape).sum(0)


def exits_of(output: Tensor | Sequence[Tensor]) -> list[Tensor]:
    """Return the logits of each exit, of a network with one or several."""
    return [output] if isinstance(output, Tensor) else list(output)


@torch.inference_mode()
def class_probabilities(network: nn.Module, images: Tensor, batch_size: int = 1000) -> Tensor:
    """Return the softmax of the last exit, with the running statistics of batch normalisation, float32 on the CPU.

    Args:
        network: Maps `[batch, channels, height, width]` to the logits of one or several exits.
        images: `[images, channels, height, width]`, normalised, on the device of the network.
        batch_size: Images in one pass.

    Returns:
        `[images, classes]`.
    """
    network.eval()
    parts = [exits_of(network(part))[-1].float().softmax(1).cpu() for part in images.split(batch_size)]
    return torch.cat(parts)
