"""Training of one network, or of several independent copies of it in one pass."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archsearch.evaluators.augmentation import augment
from archsearch.evaluators.datasets.resident import batches
from archsearch.evaluators.recipe import Recipe


class TrainingDiverged(Exception):
    """The loss is no longer a finite number."""


@dataclass(frozen=True, slots=True)
class Score:
    """Figures of each copy on one set of images.

    Args:
        accuracy: `[copies]`, fraction of images classified right.
        loss: `[copies]`, mean cross-entropy in nats.
    """

    accuracy: Tensor
    loss: Tensor


def train(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    recipe: Recipe,
    generators: Sequence[torch.Generator],
    on_epoch: Callable[[int], None] = lambda epoch: None,
    mixed_precision: bool = False,
) -> None:
    """Train a network in place.

    Args:
        network: Maps `[batch, copies * channels, height, width]` to logits `[batch, copies * classes]`, or to a list of them,
            one for each exit; the losses of all exits are then summed (as in MSDNet: G. Huang et al., ICLR 2018).
        images: `[images, channels, height, width]`, normalised, on the network's device.
        labels: `[images]` int64.
        recipe: How to train.
        generators: One for each copy: order of the images and augmentation. Copies share nothing.
        on_epoch: Called after each epoch with its number from 1.
        mixed_precision: Run the network in bfloat16 where that is safe.

    Raises:
        TrainingDiverged: The loss became infinite or NaN.
    """
    batch_size = min(recipe.batch_size, len(labels))
    steps_per_epoch = len(labels) // batch_size
    optimizer = torch.optim.SGD(
        network.parameters(),
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        nesterov=recipe.momentum > 0,
        weight_decay=recipe.weight_decay,
        fused=True,
    )
    schedule = _cosine(recipe.learning_rate, recipe.epochs * steps_per_epoch)
    step = 0
    for epoch in range(1, recipe.epochs + 1):
        network.train()
        total = torch.zeros((), device=images.device)
        orders = [batches(len(labels), batch_size, generator, images.device) for generator in generators]
        for chosen in zip(*orders, strict=True):
            rows = torch.stack(chosen)
            batch = _batch(images, rows, recipe, generators)
            optimizer.param_groups[0]["lr"] = schedule(step)
            with torch.autocast(images.device.type, torch.bfloat16, enabled=mixed_precision):
                exits = _exits(network(batch))
            loss = torch.stack([_loss(logits, labels[rows].t(), recipe.label_smoothing) for logits in exits]).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach()
            step += 1
        if not math.isfinite(float(total)):
            raise TrainingDiverged(f"the loss became {float(total)} in epoch {epoch} of {recipe.epochs}; lower learning_rate.")
        on_epoch(epoch)


@torch.inference_mode()
def score(network: nn.Module, images: Tensor, labels: Tensor, copies: int = 1, batch_size: int = 1000) -> Score:
    """Return accuracy and loss of each copy, at its last exit, with the running statistics of normalisation."""
    network.eval()
    correct = torch.zeros(copies, device=images.device)
    loss = torch.zeros(copies, device=images.device)
    for start in range(0, len(labels), batch_size):
        part, truth = images[start : start + batch_size], labels[start : start + batch_size]
        logits = _exits(network(part.repeat(1, copies, 1, 1)))[-1].float().view(len(truth), copies, -1)
        truth = truth[:, None].expand(-1, copies)
        correct += (logits.argmax(2) == truth).sum(0)
        loss += F.cross_entropy(logits.flatten(0, 1), truth.flatten(), reduction="none").view(-1, copies).sum(0)
    return Score((correct / len(labels)).cpu(), (loss / len(labels)).cpu())


def _exits(output: Tensor | list[Tensor]) -> list[Tensor]:
    return output if isinstance(output, list) else [output]


def _cosine(peak: float, steps: int) -> Callable[[int], float]:
    return lambda step: 0.5 * peak * (1.0 + math.cos(math.pi * step / steps))


def _batch(images: Tensor, rows: Tensor, recipe: Recipe, generators: Sequence[torch.Generator]) -> Tensor:
    """Return the images at `rows` (`[copies, batch]`) as `[batch, copies * channels, height, width]`."""
    batches = [images[chosen] for chosen in rows]
    if recipe.crop or recipe.flip:
        batches = [
            augment(batch, generator, pad=recipe.crop, flip=recipe.flip)
            for batch, generator in zip(batches, generators, strict=True)
        ]
    return torch.cat(batches, dim=1) if len(batches) > 1 else batches[0]


def _loss(logits: Tensor, labels: Tensor, label_smoothing: float) -> Tensor:
    """Return the sum over copies of the mean cross-entropy, so that each copy has the gradients that it would have alone."""
    batch, copies = labels.shape
    flat = logits.float().view(batch * copies, -1)
    return F.cross_entropy(flat, labels.reshape(-1), label_smoothing=label_smoothing) * copies
