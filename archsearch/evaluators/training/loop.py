"""Epoch-by-epoch training of a network, or of several replicas in one pass, with SGD."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from archsearch.errors import ConfigurationError
from archsearch.evaluators.datasets.resident import batches
from archsearch.evaluators.prediction.classification import Classification
from archsearch.evaluators.prediction.task import PredictionTask
from archsearch.evaluators.training.augmentation import augment, cutout, resized_crop
from archsearch.evaluators.training.compiled import compiled
from archsearch.evaluators.training.plan import TrainingPlan
from archsearch.evaluators.training.processes import Processes, without_gradient_sync
from archsearch.evaluators.training.recipe import Recipe
from archsearch.evaluators.training.scoring import exits_of
from archsearch.evaluators.training.weight_average import WeightAverage


class TrainingDiverged(Exception):
    """The loss is no longer a finite number."""


def train(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    recipe: Recipe,
    generators: Sequence[torch.Generator],
    on_epoch: Callable[[int], None] = lambda epoch: None,
    mixed_precision: bool = False,
    prediction: PredictionTask | None = None,
) -> None:
    """Train a network in place, from start to end; see `Training`.

    Args:
        network: As for `Training`.
        images: As for `Training.run_epoch`.
        labels: As for `Training.run_epoch`.
        recipe: Settings of the training.
        generators: As for `Training`.
        on_epoch: Called after each epoch with its number from 1, while the network has the weights to score: the averaged ones
            if the recipe averages them.
        mixed_precision: Run the network in bfloat16 where that is safe, if the recipe allows it.
        prediction: As for `Training`.

    Raises:
        TrainingDiverged: The loss became infinite or NaN.
    """
    training = Training(network, recipe, generators, mixed_precision, prediction=prediction)
    while not training.finished:
        training.run_epoch(images, labels)
        with training.averaged():
            on_epoch(training.epoch)
    training.finish()


class Training:
    """The training of a network, epoch by epoch, whose state can be saved after each epoch.

    Args:
        network: Maps `[batch, replicas * channels, height, width]` to logits `[batch, replicas * classes]`, or to a list of them,
            one for each exit; the losses of all exits are then summed (as in MSDNet: G. Huang et al., ICLR 2018).
        recipe: Settings of the training.
        generators: Source of random numbers, one a replica: order of the images, augmentation, drop path.
        mixed_precision: Run the network in bfloat16 where that is safe, if the recipe allows it.
        processes: Processes that train the same network. Each makes the same calls with the same seeds and works on its share of
            every batch; batch normalisation sees one share at a time.
        prediction: What the network learns to predict; None is for classes.

    Raises:
        ConfigurationError: The recipe has a setting that does not work with several replicas, this network, or this machine.
    """

    def __init__(
        self,
        network: nn.Module,
        recipe: Recipe,
        generators: Sequence[torch.Generator],
        mixed_precision: bool = False,
        processes: Processes | None = None,
        prediction: PredictionTask | None = None,
    ) -> None:
        if recipe.gradient_clip and len(generators) > 1:
            raise ConfigurationError(
                f"gradient_clip: expected 0 for {len(generators)} replicas in one pass, which share nothing; got "
                f"{recipe.gradient_clip}. Train one at a time."
            )
        self.network, self.recipe, self.generators = network, recipe, generators
        self.epoch = 0
        self._prediction = prediction or Classification()
        self._weights: Tensor | None = None
        self._mixed = mixed_precision and recipe.mixed_precision
        self._processes = processes or Processes()
        self._plan = TrainingPlan(network, recipe, generators)
        if recipe.channels_last:
            network.to(memory_format=torch.channels_last)
        self._optimizer = torch.optim.SGD(
            network.parameters(),
            lr=recipe.learning_rate,
            momentum=recipe.momentum,
            nesterov=recipe.momentum > 0 and recipe.nesterov,
            weight_decay=recipe.weight_decay,
            fused=True,
        )
        self._average = WeightAverage(network, recipe.weight_average) if recipe.weight_average else None
        self._shared = self._processes.shared(network, next(network.parameters()).device)
        self._forward: Callable[[Tensor], Any] = compiled(self._shared) if recipe.compile else self._shared

    @property
    def finished(self) -> bool:
        """Whether all epochs have been run."""
        return self.epoch >= self.recipe.epochs

    def run_epoch(self, images: Tensor, labels: Tensor) -> float:
        """Run the next epoch and return its mean loss, summed over all exits and replicas.

        Args:
            images: `[images, channels, height, width]`, normalised, on the network's device.
            labels: Their targets, such as the classes, `[images]` int64.

        Raises:
            TrainingDiverged: The loss became infinite or NaN.
        """
        recipe = self.recipe
        batch_size = self._batch_size(len(labels))
        steps = len(labels) // batch_size
        self.network.train()
        self._weights = self._prediction.weights(labels) if recipe.class_weights else None
        total = torch.zeros((), device=images.device)
        orders = [batches(len(labels), batch_size, generator, images.device) for generator in self.generators]
        with self._plan.epoch(self.epoch / recipe.epochs, self._processes.rank):
            for number, chosen in enumerate(zip(*orders, strict=True)):
                rows = torch.stack(chosen)
                self._optimizer.param_groups[0]["lr"] = _learning_rate(recipe, self.epoch, self.epoch * steps + number, steps)
                total += self._step(_batch(images, rows, recipe, self.generators), labels[rows].transpose(0, 1))
        total = self._processes.total(total)
        self.epoch += 1
        if not math.isfinite(float(total)):
            raise TrainingDiverged(
                f"the loss became {float(total)} in epoch {self.epoch} of {recipe.epochs}; lower learning_rate."
            )
        return float(total) / steps

    def _batch_size(self, images: int) -> int:
        size, number = min(self.recipe.batch_size, images), self._processes.number
        if number > 1 and size < number * self.recipe.accumulate:
            raise ConfigurationError(
                f"workers: expected at most {size // self.recipe.accumulate}, so that each has a share of every batch; got "
                f"{number}."
            )
        return size

    def _step(self, batch: Tensor, labels: Tensor) -> Tensor:
        """Take one step and return this process's part of the loss before it.

        Args:
            batch: `[batch, replicas * channels, height, width]`.
            labels: `[batch, replicas]`, or `[batch, replicas, outputs]`.
        """
        recipe, processes, number = self.recipe, self._processes, self._processes.number
        parts = number * recipe.accumulate
        self._optimizer.zero_grad()
        total = torch.zeros((), device=batch.device)
        shares = list(zip(batch.tensor_split(parts), labels.tensor_split(parts), strict=True))[processes.rank :: number]
        shares = [share for share in shares if len(share[0])]  # some are empty if there are fewer images than parts
        for index, (part, truth) in enumerate(shares, start=1):
            with without_gradient_sync(self._shared, index < len(shares)):
                with torch.autocast(batch.device.type, torch.bfloat16, enabled=self._mixed):
                    exits = exits_of(self._forward(part))
                loss = self._loss(exits, truth)
                if parts > 1:
                    loss = loss * (len(part) / len(batch))
                # DDP averages gradients over processes; times their number, the average is the sum.
                (loss * number).backward()
            total += loss.detach()
        if recipe.gradient_clip:
            nn.utils.clip_grad_norm_(self.network.parameters(), recipe.gradient_clip)
        self._optimizer.step()
        if self._average is not None:
            self._average.update()
        return total

    def _loss(self, exits: Sequence[Tensor], truth: Tensor) -> Tensor:
        """Return the loss of all exits together; that of an auxiliary classifier, the last one, counts by its weight."""
        losses = torch.stack([self._loss_of_exit(logits, truth) for logits in exits])
        if self._plan.has_auxiliary:
            losses = torch.cat([losses[:-1], self.recipe.auxiliary * losses[-1:]])
        return losses.sum()

    def _loss_of_exit(self, logits: Tensor, truth: Tensor) -> Tensor:
        """Return the sum over replicas of the mean loss: each replica has the gradients that it would have alone."""
        batch, replicas = truth.shape[:2]
        flat = logits.float().view(batch * replicas, -1)
        smoothing = self.recipe.label_smoothing
        return self._prediction.loss(flat, truth.flatten(0, 1), self._weights, smoothing) * replicas

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Give the network the averaged weights within the block, if the recipe averages them."""
        if self._average is None:
            yield
            return
        self._average.swap()
        try:
            yield
        finally:
            self._average.swap()

    def finish(self) -> None:
        """Leave the network with its final weights (the averaged ones if there are), without the auxiliary classifier."""
        if self._average is not None:
            self._average.swap()
            self._average = None
        self._plan.remove()

    def state(self) -> dict[str, Any]:
        """Return all that the remaining epochs depend on, as tensors and plain data."""
        return {
            "epoch": self.epoch,
            "network": self.network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "average": self._average.state() if self._average else None,
            "generators": [generator.get_state() for generator in self.generators],
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state` of a training with the same network and recipe returned."""
        self.network.load_state_dict(state["network"])
        self._optimizer.load_state_dict(state["optimizer"])
        if self._average is not None:
            self._average.load(state["average"])
        for generator, words in zip(self.generators, state["generators"], strict=True):
            generator.set_state(words)
        self.epoch = state["epoch"]


def _learning_rate(recipe: Recipe, epoch: int, step: int, steps_per_epoch: int) -> float:
    """Return the learning rate of a step; epochs and steps count from 0.

    With the peak rate r, decay d, E epochs of S steps: `exponential` is r d^epoch, and `cosine` is
    r (1 + cos(pi step / (E S))) / 2, where `step` counts on through all epochs.
    """
    if recipe.schedule == "exponential":
        return float(recipe.learning_rate * recipe.decay**epoch)
    return 0.5 * recipe.learning_rate * (1.0 + math.cos(math.pi * step / (recipe.epochs * steps_per_epoch)))


def _batch(images: Tensor, rows: Tensor, recipe: Recipe, generators: Sequence[torch.Generator]) -> Tensor:
    """Return the images at `rows` (`[replicas, batch]`) as `[batch, replicas * channels, height, width]`."""
    parts = [_augmented(images[chosen], generator, recipe) for chosen, generator in zip(rows, generators, strict=True)]
    batch = torch.cat(parts, dim=1) if len(parts) > 1 else parts[0]
    return batch.contiguous(memory_format=torch.channels_last) if recipe.channels_last else batch


def _augmented(images: Tensor, generator: torch.Generator, recipe: Recipe) -> Tensor:
    images = resized_crop(images, generator, recipe.resized_crop)
    images = augment(images, generator, pad=recipe.crop, flip=recipe.flip)
    return cutout(images, generator, recipe.cutout)
