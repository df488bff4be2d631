"""Facts about the images of one part of a dataset: identity, mean and deviation, hashes, mirrored classes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from archsearch.evaluators.datasets.mirror_images import MirroredClasses
from archsearch.evaluators.score_names import CLASSIFICATION

Hashes = NDArray[np.uint64]


@dataclass(frozen=True)
class PartFacts:
    """Facts of some images.

    Args:
        digest: See `ImageDataset.digest`.
        mean: `[channels]`, see `ImageDataset.statistics`.
        std: `[channels]`.
        hashes: `[images]`, a hash of the pixels of each.
        mirrored: See `ImageDataset.mirrored`.
    """

    digest: str
    mean: Tensor
    std: Tensor
    hashes: Hashes
    mirrored: tuple[str, str] | None


class FactsMeter:
    """Collects the facts of images that come in chunks.

    Args:
        shape: Images, channels, height and width.
        labels: Labels of all images, as in `ImageDataset`.
        classes: Name of each class, label or target.
        task: What the labels are for.
    """

    def __init__(self, shape: Sequence[int], labels: Tensor, classes: tuple[str, ...], task: str) -> None:
        self._labels, self._done = labels, 0
        self._digest = new_digest(shape, classes, task)
        self._moments = Moments(shape[1])
        self._hashes: list[Hashes] = []
        self._mirrored = MirroredClasses(shape, classes) if task == CLASSIFICATION else None

    def add(self, pixels: Tensor) -> None:
        """Add the next images, `[chunk, channels, height, width]` uint8."""
        self._digest.update(np.ascontiguousarray(pixels.numpy()).data)
        self._moments.add(pixels)
        self._hashes.append(hashes_of(pixels))
        if self._mirrored is not None:
            self._mirrored.add(pixels, self._labels[self._done : self._done + len(pixels)])
        self._done += len(pixels)

    def facts(self) -> PartFacts:
        """Return the facts of all images."""
        self._digest.update(np.ascontiguousarray(self._labels.numpy()).data)
        mean, std = self._moments.statistics()
        hashes = np.concatenate(self._hashes) if self._hashes else np.zeros(0, dtype=np.uint64)
        return PartFacts(self._digest.hexdigest(), mean, std, hashes, self._mirrored.found() if self._mirrored else None)


class Moments:
    """Mean and standard deviation of each channel, from whole numbers, so that they do not depend on the chunks.

    Args:
        channels: Number of channels.
    """

    def __init__(self, channels: int) -> None:
        self._totals, self._squares = torch.zeros((2, channels), dtype=torch.int64)
        self._pixels = 0

    def add(self, pixels: Tensor) -> None:
        """Add images, `[chunk, channels, height, width]` uint8."""
        values = pixels.to(torch.int32)
        self._totals += values.sum((0, 2, 3))
        self._squares += values.square().sum((0, 2, 3))
        self._pixels += len(pixels) * pixels.shape[2] * pixels.shape[3]

    def statistics(self) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation as fractions of full brightness, each `[channels]`."""
        mean = self._totals.double() / max(self._pixels, 1)
        variance = (self._squares.double() - self._totals.double() * mean) / max(self._pixels - 1, 1)
        return (mean / 255.0).float(), (variance.clamp_min(0.0).sqrt() / 255.0).clamp_min(1e-3).float()


def new_digest(shape: Sequence[int], classes: tuple[str, ...], task: str) -> hashlib.blake2b:
    """Return the hash of shape, classes and task of a part; pixels and labels are to follow."""
    kind = () if task == CLASSIFICATION else (task,)
    return hashlib.blake2b(repr((tuple(shape), classes, *kind)).encode(), digest_size=8)


def hashes_of(pixels: Tensor) -> Hashes:
    """Return a hash of each image, `[images]`."""
    found = b"".join(blake2b(image.data, digest_size=8).digest() for image in np.ascontiguousarray(pixels.numpy()))
    return np.frombuffer(found, dtype=np.uint64)
