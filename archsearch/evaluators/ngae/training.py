"""The training loop of the auto-encoder."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from archsearch.errors import ConfigurationError
from archsearch.evaluators.ngae.grammar import Grammar
from archsearch.evaluators.ngae.graphs import Graphs
from archsearch.evaluators.ngae.model import GraphVAE, Losses
from archsearch.evaluators.ngae.settings import Settings

logger = logging.getLogger(__name__)
Schedule: TypeAlias = torch.optim.lr_scheduler.OneCycleLR | torch.optim.lr_scheduler.ReduceLROnPlateau
_EVERY_SECONDS = 10.0


class Epoch(NamedTuple):
    """The means of the parts of the objective over the steps of an epoch.

    Args:
        reconstruction: Nats.
        divergence: Nats.
        performance: Squared error.
        complexity: Squared error.
        seconds: CPU seconds since the fit began.
    """

    reconstruction: float
    divergence: float
    performance: float
    complexity: float
    seconds: float


def train(
    model: GraphVAE,
    grammar: Grammar,
    graphs: Graphs,
    targets: Tensor,
    epochs: int,
    generator: torch.Generator,
    on_epoch: Callable[[int, Epoch], None] | None = None,
) -> list[Epoch]:
    """Train a model in place, and return the losses of each epoch.

    Architectures whose performance is known are repeated where they are few, so that they make up half of an epoch.

    Args:
        model: The model.
        grammar: Rules of the space.
        graphs: The architectures.
        targets: `[architectures, 2]` performance and complexity; NaN where unknown.
        epochs: Passes over the architectures.
        generator: Source of the order and of the noise.
        on_epoch: Called after each epoch with its number, from 1, and its losses.

    Raises:
        ConfigurationError: The objective is not finite; the model is then that of the last epoch in which it was.
    """
    settings = model.settings
    optimizer = _optimizer(model, settings)
    rows = _rows(targets)
    steps = -(-len(rows) // settings.batch_size)
    schedule = _schedule(optimizer, settings, epochs * steps)
    history: list[Epoch] = []
    kept = {name: value.clone() for name, value in model.state_dict().items()}
    started, logged = time.process_time(), time.monotonic()
    model.train()
    for epoch in range(epochs):
        total = torch.zeros(4)
        for batch in _batches(rows, steps, generator):
            losses = model.losses(graphs.rows(batch), targets[batch], grammar, generator)
            _step(model, losses, optimizer, schedule)
            total += torch.stack([part.detach() for part in losses]).cpu()
        means = (total / steps).tolist()
        if not torch.isfinite(total).all():
            model.load_state_dict(kept)
            model.eval()
            raise ConfigurationError(
                f"learning_rate: expected one with which the training converges; it diverged in epoch {epoch + 1} of {epochs} "
                f"with {settings.learning_rate}. Lower it; the model of the epoch before is kept."
            )
        torch._foreach_copy_(list(kept.values()), list(model.state_dict().values()))
        if isinstance(schedule, torch.optim.lr_scheduler.ReduceLROnPlateau):
            schedule.step(sum(means))
        history.append(Epoch(means[0], means[1], means[2], means[3], time.process_time() - started))
        if on_epoch is not None:
            on_epoch(epoch + 1, history[-1])
        if time.monotonic() - logged > _EVERY_SECONDS:
            logged = time.monotonic()
            left = (epochs - epoch - 1) * history[-1].seconds / (epoch + 1)
            logger.info("NGAE: epoch %s of %s, reconstruction %.3f nats, about %.0f s left", epoch + 1, epochs, means[0], left)
    model.eval()
    return history


def _step(model: GraphVAE, losses: Losses, optimizer: torch.optim.Optimizer, schedule: Schedule | None) -> None:
    """Take one step down the gradient of the objective."""
    optimizer.zero_grad(set_to_none=True)
    model.objective(losses).backward()
    if model.settings.clip:
        torch.nn.utils.clip_grad_norm_(model.parameters(), model.settings.clip)
    optimizer.step()
    if isinstance(schedule, torch.optim.lr_scheduler.OneCycleLR):
        schedule.step()


def _rows(targets: Tensor) -> Tensor:
    """Return the architectures of an epoch: each once, but those with a known performance as often as the others together."""
    known = (~torch.isnan(targets[:, 0])).nonzero().squeeze(1)
    unknown = len(targets) - len(known)
    repeats = unknown // len(known) - 1 if len(known) else 0
    return torch.cat([torch.arange(len(targets), device=targets.device), *[known] * max(0, repeats)])


def _batches(rows: Tensor, steps: int, generator: torch.Generator) -> Iterator[Tensor]:
    order = torch.randperm(len(rows), generator=generator, device=generator.device).to(rows.device)
    yield from rows[order].tensor_split(steps)


def _optimizer(model: GraphVAE, settings: Settings) -> torch.optim.Optimizer:
    if settings.optimizer == "sgd":
        return torch.optim.SGD(model.parameters(), lr=settings.learning_rate)
    return torch.optim.Adam(model.parameters(), lr=settings.learning_rate, fused=True)


def _schedule(optimizer: torch.optim.Optimizer, settings: Settings, steps: int) -> Schedule | None:
    if settings.one_cycle:
        momentum = settings.optimizer == "adam"  # plain descent has none to cycle
        return torch.optim.lr_scheduler.OneCycleLR(
            optimizer, settings.learning_rate, total_steps=steps + 1, cycle_momentum=momentum
        )
    if not settings.patience:
        return None
    return torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.1, patience=settings.patience)
