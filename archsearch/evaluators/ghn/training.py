"""One training step of a graph hypernetwork.

GHN paper, equations 16 to 18: with the parameters phi of the hypernetwork, architectures a and images x with labels y,

    w_a  = GHN(a; phi)
    L    = mean over a and (x, y) of cross_entropy(f_a(x; w_a), y)
    phi <- phi - rate * dL/dphi,    dL/dphi = sum over a of dL/dw_a * dw_a/dphi    (here by Adam)

A step draws from the seed and its own number alone, so that a fit that continues from a checkpoint equals one that was
never interrupted. The functions do not depend on processes: a model wrapped in `DistributedDataParallel` is trained by the same
ones, each process with its rank.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from archsearch.evaluators.datasets.resident import ImagePart, Resident
from archsearch.evaluators.ghn.graph_tensors import GraphTensors
from archsearch.evaluators.ghn.model import views
from archsearch.evaluators.ghn.modules import Layout
from archsearch.evaluators.ghn.scoring import training_loss
from archsearch.evaluators.ghn.settings import Settings
from archsearch.evaluators.prediction.task import PredictionTask
from archsearch.evaluators.training.augmentation import augment
from archsearch.spaces import Architecture, SearchSpace

_ARCHITECTURES, _IMAGES = 0, 1


def drawn_architectures(space: SearchSpace, number: int, seed: int, step: int, rank: int = 0) -> list[Architecture]:
    """Return the random architectures of a step."""
    rng = np.random.default_rng([seed, _ARCHITECTURES, step, rank])
    return [space.sample(rng) for _ in range(number)]


def drawn_images(part: ImagePart | Resident, settings: Settings, seed: int, step: int, rank: int = 0) -> Resident:
    """Return the images of a step, drawn without repeats and augmented as the settings say."""
    seeds = np.random.SeedSequence([seed, _IMAGES, step, rank]).generate_state(1, np.uint64)
    generator = torch.Generator().manual_seed(int(seeds[0]) >> 1)
    rows = torch.randperm(len(part), generator=generator)[: settings.batch_size].to(part.labels.device)
    images = augment(part.images[rows], generator, pad=settings.crop, flip=settings.flip)
    return Resident(images, part.labels[rows])


def learning_rate(settings: Settings, step: int, steps: int) -> float:
    """Return the learning rate of a step by its number."""
    share = step / steps
    if settings.schedule == "cosine":
        return settings.learning_rate * 0.5 * (1.0 + math.cos(math.pi * share))
    halvings = (share >= 0.5) + (share >= 0.75) if settings.schedule == "halving" else 0
    return float(settings.learning_rate * 0.5**halvings)


def loss_of(
    model: Callable[[GraphTensors], Tensor],
    layouts: Sequence[Layout],
    tensors: GraphTensors,
    batch: Resident,
    mixed_precision: bool = False,
    class_weights: Tensor | None = None,
    prediction: PredictionTask | None = None,
) -> Tensor:
    """Return the mean over architectures of the loss of their generated networks: see `training_loss`."""
    weights = views(model(tensors), tensors)
    losses = [
        training_loss(layout.plan, layout.parameters(parameters), batch, mixed_precision, class_weights, prediction)
        for layout, parameters in zip(layouts, weights.candidates, strict=True)
    ]
    return torch.stack(losses).mean()


def take_step(model: nn.Module, optimizer: torch.optim.Optimizer, loss: Tensor, rate: float, clip: float) -> float:
    """Take one optimizer step along the gradient of a loss.

    Returns:
        The loss, or NaN when the gradient is not finite; the model is then left as it was.
    """
    optimizer.zero_grad()
    loss.backward()
    # The norm is that of the gradient over all processes, so that they agree on whether to leave the step out.
    norm = nn.utils.clip_grad_norm_(model.parameters(), clip or math.inf)
    if not math.isfinite(float(norm)):
        return math.nan
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()
    return float(loss.detach())
