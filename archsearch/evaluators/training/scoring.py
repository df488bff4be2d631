"""Accuracy and loss of a network on images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Score:
    """Figures of each copy on one set of images.

    Args:
        accuracy: `[copies]`, fraction of images classified right.
        loss: `[copies]`, mean cross-entropy in nats.
    """

    accuracy: Tensor
    loss: Tensor


def score(network: nn.Module, images: Tensor, labels: Tensor, copies: int = 1, batch_size: int = 1000) -> Score:
    """Return accuracy and loss of each copy, at its last exit, with the running statistics of normalisation."""
    return exit_scores(network, images, labels, copies, batch_size)[-1]


@torch.inference_mode()
def exit_scores(network: nn.Module, images: Tensor, labels: Tensor, copies: int = 1, batch_size: int = 1000) -> list[Score]:
    """Return accuracy and loss of each copy at each exit, with the running statistics of normalisation."""
    network.eval()
    correct: list[Tensor] = []
    losses: list[Tensor] = []
    for start in range(0, len(labels), batch_size):
        part, truth = images[start : start + batch_size], labels[start : start + batch_size]
        truth = truth[:, None].expand(-1, copies)
        exits = [logits.float().view(len(truth), copies, -1) for logits in exits_of(network(part.repeat(1, copies, 1, 1)))]
        right = [(logits.argmax(2) == truth).sum(0) for logits in exits]
        loss = [_loss_of_copies(logits, truth) for logits in exits]
        correct = [before + now for before, now in zip(correct, right, strict=True)] if correct else right
        losses = [before + now for before, now in zip(losses, loss, strict=True)] if losses else loss
    return [Score((hits / len(labels)).cpu(), (loss / len(labels)).cpu()) for hits, loss in zip(correct, losses, strict=True)]


def _loss_of_copies(logits: Tensor, truth: Tensor) -> Tensor:
    """Return the summed cross-entropy of each copy, `[copies]`, from logits `[batch, copies, classes]`."""
    return F.cross_entropy(logits.flatten(0, 1), truth.flatten(), reduction="none").view(truth.shape).sum(0)


def exits_of(output: Tensor | Sequence[Tensor]) -> list[Tensor]:
    """Return the logits of each exit, of a network with one or several."""
    return [output] if isinstance(output, Tensor) else list(output)
