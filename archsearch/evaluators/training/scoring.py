"""Figures of quality of a network on images, such as accuracy and loss, and its predictions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from archsearch.evaluators.datasets.normalised import Images, read
from archsearch.evaluators.prediction.classification import Classification
from archsearch.evaluators.prediction.task import Meter, PredictionTask
from archsearch.evaluators.training.processes import Processes

_PASS = 2**24
"""Numbers in the images of one pass."""


@dataclass(frozen=True, slots=True)
class Score:
    """The figures of each replica on one set of images.

    Args:
        figures: `[replicas]` by name: `loss`, and for classes `accuracy` and `balanced_accuracy`, fractions; for sets of labels
            `mean_average_precision`; for numbers `r2` and `mae`.
    """

    figures: Mapping[str, Tensor]

    @property
    def accuracy(self) -> Tensor:
        """`[replicas]`, fraction of images classified right."""
        return self.figures["accuracy"]

    @property
    def loss(self) -> Tensor:
        """`[replicas]`, mean loss of the task: for classes the cross-entropy in nats."""
        return self.figures["loss"]

    @property
    def balanced_accuracy(self) -> Tensor:
        """`[replicas]`, mean over the classes of the fraction of their images classified right."""
        return self.figures["balanced_accuracy"]


def score(
    network: nn.Module,
    images: Images,
    labels: Tensor,
    replicas: int = 1,
    batch_size: int | None = None,
    prediction: PredictionTask | None = None,
    processes: Processes | None = None,
) -> Score:
    """Return the figures of each replica at its last exit, with the running statistics of batch normalisation."""
    return exit_scores(network, images, labels, replicas, batch_size, prediction, processes)[-1]


@torch.inference_mode()
def exit_scores(
    network: nn.Module,
    images: Images,
    labels: Tensor,
    replicas: int = 1,
    batch_size: int | None = None,
    prediction: PredictionTask | None = None,
    processes: Processes | None = None,
) -> list[Score]:
    """Return the figures of each replica at each exit, with the running statistics of batch normalisation.

    Args:
        network: Maps `[batch, replicas * channels, height, width]` to the logits of one or several exits, as `stacked_network`.
        images: `[images, channels, height, width]`, normalised; each replica gets the same.
        labels: Targets of the images; `[images]` int64 for classes.
        replicas: Number of replicas in the network.
        batch_size: Images in one pass; None takes 1,000, or fewer large ones.
        prediction: What the network predicts; None is for classes.
        processes: Processes that score the same network, each on its share of the images; all get the figures of all images.
    """
    network.eval()
    task, processes = prediction or Classification(), processes or Processes()
    meters = None
    for part, truth in _batches(images, labels, batch_size or passed_at_once(images), processes):
        exits = exits_of(network(part.repeat(1, replicas, 1, 1)))
        meters = meters or [task.meter() for _ in exits]
        for meter, logits in zip(meters, exits, strict=True):
            meter.add(logits.float().view(len(truth), replicas, -1), truth)
    if processes.number > 1:
        meters = _merged([meter.state() for meter in meters or ()], task, processes)
    return [Score(meter.figures()) for meter in meters or ()]


def passed_at_once(images: Images) -> int:
    """Return how many images are scored in one pass: 1,000, or fewer of more than 5,592 pixels of 3 channels."""
    return min(1000, max(32, _PASS // images.shape[1:].numel()))


def _batches(images: Images, labels: Tensor, batch_size: int, processes: Processes) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the images and labels of this process's share, a batch at a time."""
    if processes.number == 1:
        yield from zip(images.split(batch_size), labels.split(batch_size), strict=True)
        return
    chosen = torch.arange(len(labels)).tensor_split(processes.number)[processes.rank].to(labels.device).split(batch_size)
    chosen = tuple(rows for rows in chosen if len(rows))  # none if there are fewer images than processes
    for part, rows in zip(read(images, chosen), chosen, strict=True):
        yield part, labels[rows]


def _merged(states: list[dict[str, Any]], task: PredictionTask, processes: Processes) -> list[Meter]:
    """Return meters of each exit that have seen the images of all processes."""
    gathered = [found for found in processes.gathered(states) if found]
    meters = [task.meter() for _ in gathered[0]]
    for found in gathered:
        for meter, state in zip(meters, found, strict=True):
            meter.merge(state)
    return meters


def exits_of(output: Tensor | Sequence[Tensor]) -> list[Tensor]:
    """Return the logits of each exit, of a network with one or several."""
    return [output] if isinstance(output, Tensor) else list(output)


@torch.inference_mode()
def predictions(
    network: nn.Module, images: Images, batch_size: int | None = None, prediction: PredictionTask | None = None
) -> Tensor:
    """Return what the last exit predicts, with the running statistics of batch normalisation, on the CPU.

    Args:
        network: Maps `[batch, channels, height, width]` to the logits of one or several exits.
        images: `[images, channels, height, width]`, normalised, on the device of the network.
        batch_size: As for `exit_scores`.
        prediction: What the network predicts; None is for classes.

    Returns:
        `[images, outputs]`: probabilities of classes or labels in single precision, or numbers in the user's units.
    """
    network.eval()
    task = prediction or Classification()
    return torch.cat(
        [task.predictions(exits_of(network(part))[-1]).cpu() for part in images.split(batch_size or passed_at_once(images))]
    )
