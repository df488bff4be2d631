"""Epoch-by-epoch training of a network, or of several replicas in one pass, with SGD."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from archsearch.errors import ConfigurationError
from archsearch.evaluators.datasets.normalised import Images, read
from archsearch.evaluators.datasets.resident import batches
from archsearch.evaluators.prediction.classification import Classification
from archsearch.evaluators.prediction.task import PredictionTask
from archsearch.evaluators.training.augmentation import Share, augment, cutout, resized_crop
from archsearch.evaluators.training.compiled import compiled
from archsearch.evaluators.training.exit_losses import ExitLosses
from archsearch.evaluators.training.plan import TrainingPlan
from archsearch.evaluators.training.processes import Processes, without_gradient_sync
from archsearch.evaluators.training.recipe import Recipe
from archsearch.evaluators.training.scoring import exits_of
from archsearch.evaluators.training.weight_average import WeightAverage


class TrainingDiverged(Exception):
    """The loss is no longer a finite number."""


@dataclass(frozen=True, slots=True)
class Throughput:
    """How fast images are trained on.

    Args:
        images: Images of all processes.
        seconds: Seconds that they took.
        waited: Seconds of these in which this process waited for images.
    """

    images: int = 0
    seconds: float = 0.0
    waited: float = 0.0

    @property
    def per_second(self) -> float:
        """Images a second."""
        return self.images / self.seconds if self.seconds else 0.0

    @property
    def waiting(self) -> float:
        """Fraction of the time in which this process waited for images, 0..1."""
        return self.waited / self.seconds if self.seconds else 0.0


@dataclass(frozen=True, slots=True)
class Within:
    """How far an epoch is.

    Args:
        step: Steps that are done.
        steps: Steps of the epoch.
        loss: Sum of their losses, of this process's shares.
        begun: States of the generators at the beginning of the epoch, from which the order of the images is drawn again.
        dropped: States of the generators of drop path.
    """

    step: int
    steps: int
    loss: Tensor
    begun: Sequence[Tensor]
    dropped: Sequence[Tensor]

    def state(self, processes: Processes) -> dict[str, Any]:
        """Return it as plain data and tensors, with what each process has of its own."""
        loss = processes.total(self.loss.clone())
        return {
            "step": self.step,
            "steps": self.steps,
            "loss": loss,
            "begun": list(self.begun),
            "dropped": processes.gathered(list(self.dropped)),
        }

    @classmethod
    def of(cls, state: Mapping[str, Any], processes: Processes) -> Within:
        """Return what `state` wrote, for this process.

        Raises:
            ValueError: It was written by another number of processes, each of which left out other paths.
        """
        dropped = state["dropped"]
        if len(dropped) != processes.number and any(dropped):
            raise ValueError(f"it was saved within an epoch of {len(dropped)} processes; there are {processes.number}")
        own = dropped[processes.rank] if processes.rank < len(dropped) else []
        loss = state["loss"] if processes.first else torch.zeros_like(state["loss"])
        return cls(int(state["step"]), int(state["steps"]), loss, state["begun"], own)


def train(
    network: nn.Module,
    images: Images,
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
    """The training of a network, epoch by epoch, whose state can be saved after each epoch and each step.

    Args:
        network: Maps `[batch, replicas * channels, height, width]` to logits `[batch, replicas * classes]`, or to a list of them,
            one for each exit, whose losses `ExitLosses` adds up.
        recipe: Settings of the training.
        generators: Source of random numbers, one a replica: order of the images, augmentation, drop path.
        mixed_precision: Run the network in bfloat16 where that is safe, if the recipe allows it.
        processes: Processes that train the same network. Each makes the same calls with the same seeds and works on its share of
            every batch; batch normalisation sees one share at a time.
        prediction: What the network learns to predict; None is for classes.

    Attributes:
        epoch: Number of complete epochs.
        throughput: Of the epoch that runs, or of the last one.

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
        self.epoch, self.throughput = 0, Throughput()
        self._within: Within | None = None
        self._prediction = prediction or Classification()
        self._weights: Tensor | None = None
        self._mixed = mixed_precision and recipe.mixed_precision
        self._processes = processes or Processes()
        self._plan = TrainingPlan(network, recipe, generators)
        self._losses = ExitLosses(self._prediction, recipe, self._plan.has_auxiliary)
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

    @property
    def done(self) -> float:
        """Epochs that have been run, with the part of one that is under way."""
        return self.epoch + (self._within.step / self._within.steps if self._within else 0.0)

    def run_epoch(self, images: Images, labels: Tensor, on_step: Callable[[], None] | None = None) -> float:
        """Run the next epoch, or what is left of one, and return its mean loss, summed over all exits and replicas.

        Args:
            images: `[images, channels, height, width]`, normalised, on the network's device.
            labels: Their targets, such as the classes, `[images]` int64.
            on_step: Called after each step but the last, where `state` may be saved too.

        Raises:
            TrainingDiverged: The loss became infinite or NaN.
        """
        recipe, generators, within = self.recipe, self.generators, self._within
        batch_size = self._batch_size(len(labels))
        steps = len(labels) // batch_size
        self.network.train()
        self._weights = self._prediction.weights(labels) if recipe.class_weights else None
        first, total = (within.step, within.loss) if within else (0, torch.zeros(()))
        total = total.to(images.device)
        begun, now = within.begun if within else _states(generators), _states(generators)
        _restore(generators, begun)
        orders = [batches(len(labels), batch_size, generator, images.device) for generator in generators]
        share, sizes = self._share(batch_size)
        rows = [torch.stack(chosen) for chosen in zip(*orders, strict=True)][first:]
        if share is not None:
            places = share.places.to(images.device)
            rows = [each[:, places] for each in rows]
        clock = time.perf_counter
        started, waited = clock(), 0.0
        with self._plan.epoch(self.epoch / recipe.epochs, self._processes.rank):
            if within:
                _restore(generators, now)
                self._plan.restore(within.dropped)
            pixels = read(images, (each.flatten() for each in rows))
            for number, chosen in enumerate(rows, start=first):
                asked = clock()
                loaded = next(pixels).unflatten(0, chosen.shape)
                waited += clock() - asked
                self._optimizer.param_groups[0]["lr"] = _learning_rate(recipe, self.epoch, self.epoch * steps + number, steps)
                batch = _batch(loaded, recipe, generators, share)
                total = total + self._step(batch, labels[chosen].transpose(0, 1), sizes, batch_size)
                done = number + 1 - first
                self.throughput = Throughput(done * batch_size, clock() - started, waited)
                if on_step is not None and number + 1 < steps:
                    self._within = Within(number + 1, steps, total, begun, self._plan.states())
                    on_step()
        self._within = None
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

    def _share(self, batch_size: int) -> tuple[Share | None, list[int]]:
        """Return this process's share of a batch, None if that is the batch, and the sizes of the parts of the share."""
        number = self._processes.number
        parts = torch.arange(batch_size).tensor_split(number * self.recipe.accumulate)[self._processes.rank :: number]
        parts = tuple(part for part in parts if len(part))  # some are empty if there are fewer images than parts
        return Share(batch_size, torch.cat(parts)) if number > 1 else None, list(map(len, parts))

    def _step(self, batch: Tensor, labels: Tensor, sizes: Sequence[int], batch_size: int) -> Tensor:
        """Take one step and return this process's part of the loss before it.

        Args:
            batch: `[share, replicas * channels, height, width]`, this process's share of the batch.
            labels: `[share, replicas]`, or `[share, replicas, outputs]`.
            sizes: Images in each part that the share is processed in.
            batch_size: Images in the whole batch.
        """
        recipe, number = self.recipe, self._processes.number
        self._optimizer.zero_grad()
        total = torch.zeros((), device=batch.device)
        parts = list(zip(batch.split(list(sizes)), labels.split(list(sizes)), strict=True))
        for index, (part, truth) in enumerate(parts, start=1):
            with without_gradient_sync(self._shared, index < len(parts)):
                with torch.autocast(batch.device.type, torch.bfloat16, enabled=self._mixed):
                    exits = exits_of(self._forward(part))
                loss = self._losses(exits, truth, self._weights, self.epoch / recipe.epochs)
                if number * recipe.accumulate > 1:
                    loss = loss * (len(part) / batch_size)
                # DDP averages gradients over processes; times their number, the average is the sum.
                (loss * number).backward()
            total += loss.detach()
        if recipe.gradient_clip:
            nn.utils.clip_grad_norm_(self.network.parameters(), recipe.gradient_clip)
        self._optimizer.step()
        if self._average is not None:
            self._average.update()
        return total

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
        """Return all that the remaining steps depend on, as tensors and plain data.

        Within an epoch, from `on_step`, all processes that train together must call this at the same step.
        """
        within = self._within
        return {
            **({} if within is None else {"within": within.state(self._processes)}),
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
        self._within = Within.of(state["within"], self._processes) if "within" in state else None


def _learning_rate(recipe: Recipe, epoch: int, step: int, steps_per_epoch: int) -> float:
    """Return the learning rate of a step; epochs and steps count from 0.

    With the peak rate r, decay d, E epochs of S steps: `exponential` is r d^epoch, and `cosine` is
    r (1 + cos(pi step / (E S))) / 2, where `step` counts on through all epochs.
    """
    if recipe.schedule == "exponential":
        return float(recipe.learning_rate * recipe.decay**epoch)
    return 0.5 * recipe.learning_rate * (1.0 + math.cos(math.pi * step / (recipe.epochs * steps_per_epoch)))


def _batch(images: Tensor, recipe: Recipe, generators: Sequence[torch.Generator], share: Share | None) -> Tensor:
    """Return images `[replicas, batch, ...]`, augmented, as `[batch, replicas * channels, height, width]`."""
    parts = [_augmented(part, generator, recipe, share) for part, generator in zip(images, generators, strict=True)]
    batch = torch.cat(parts, dim=1) if len(parts) > 1 else parts[0]
    return batch.contiguous(memory_format=torch.channels_last) if recipe.channels_last else batch


def _augmented(images: Tensor, generator: torch.Generator, recipe: Recipe, share: Share | None) -> Tensor:
    images = resized_crop(images, generator, recipe.resized_crop, share)
    images = augment(images, generator, recipe.crop, recipe.flip, share)
    return cutout(images, generator, recipe.cutout, share)


def _states(generators: Sequence[torch.Generator]) -> list[Tensor]:
    return [generator.get_state() for generator in generators]


def _restore(generators: Sequence[torch.Generator], states: Sequence[Tensor]) -> None:
    for generator, state in zip(generators, states, strict=True):
        generator.set_state(state)
