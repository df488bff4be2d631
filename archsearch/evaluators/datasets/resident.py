"""Images that stay on the device and are selected by index, without data loader processes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from archsearch.errors import ConfigurationError
from archsearch.evaluators.datasets.dataset import ImageDataset
from archsearch.evaluators.datasets.normalised import NormalisedImages
from archsearch.evaluators.prediction.task import PredictionTask


@dataclass(frozen=True, eq=False)
class Resident:
    """Some normalised images and their labels, on the device, such as a batch.

    Args:
        images: `[images, channels, height, width]`, normalised, on the device.
        labels: What a network learns of each image, as `PredictionTask.targets` returns it, on the device: `[images]` int64 for
            classes.
    """

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class ImagePart:
    """The images and labels of one part of a dataset; images are normalised when they are read.

    Args:
        images: `[images, channels, height, width]`.
        labels: As of `Resident`.
    """

    images: NormalisedImages
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def batches(self, batch_size: int, generator: torch.Generator) -> Iterator[Tensor]:
        """Return the index tensors of one shuffled epoch, on the device; see the function `batches`."""
        return batches(len(self), batch_size, generator, self.labels.device)


def resident(
    dataset: ImageDataset,
    mean: Tensor,
    std: Tensor,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    prediction: PredictionTask | None = None,
) -> ImagePart:
    """Return a dataset's images as `(pixels / 255 - mean) / std`, computed when they are read, and its labels, on a device.

    Args:
        dataset: The part.
        mean: `[channels]`, of the training part: `train.statistics()`.
        std: `[channels]`, of the training part.
        device: Device of the result.
        dtype: Floating type of the images; the arithmetic is done in float32.
        prediction: What is learned, `fitted_task` of the training labels; None is for classes.

    Raises:
        ConfigurationError: There is not one mean and one positive standard deviation for each channel.
    """
    channels = dataset.shape[0]
    if mean.shape != (channels,) or std.shape != (channels,) or not bool((std > 0).all()):
        raise ConfigurationError(
            f"mean and std: expected {channels} figures each for {dataset.name}, with std above 0; "
            f"got {mean.tolist()} and {std.tolist()}. Take them from the statistics of the training part."
        )
    pixels = dataset.images.to(device) if isinstance(dataset.images, Tensor) else dataset.images
    images = NormalisedImages(pixels, mean, std, dtype, device)
    labels = dataset.labels if prediction is None else prediction.targets(dataset.labels)
    return ImagePart(images, labels.to(device))


def batches(n: int, batch_size: int, generator: torch.Generator, device: torch.device | str | None = None) -> Iterator[Tensor]:
    """Return the index tensors of one shuffled epoch, each `[batch_size]` int64.

    The last, incomplete batch is dropped, unless it is the only one.

    Args:
        n: Number of images.
        batch_size: Images in a batch.
        generator: Source of the order. One on the CPU gives the same order for every device.
        device: Device of the indices; that of the generator when None.

    Raises:
        ConfigurationError: `n` or `batch_size` is below 1.
    """
    if n < 1 or batch_size < 1:
        raise ConfigurationError(f"batches: expected at least 1 image and a batch size of at least 1; got {n}, {batch_size}.")
    order = torch.randperm(n, generator=generator, device=generator.device)
    chunks = torch.split(order.to(device or generator.device), batch_size)
    return iter(chunks[: max(1, n // batch_size)])
