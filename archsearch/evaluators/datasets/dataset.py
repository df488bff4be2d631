"""Image datasets: images and labels, and their three parts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from archsearch.errors import DatasetError
from archsearch.evaluators.datasets.encoded import EncodedImages, Pixels
from archsearch.evaluators.datasets.mirror_images import MirroredClasses
from archsearch.evaluators.datasets.part_facts import FactsMeter, Hashes, Moments, PartFacts, hashes_of, new_digest
from archsearch.evaluators.prediction.kinds import kind_of
from archsearch.evaluators.score_names import CLASSIFICATION, REGRESSION

_CHUNK, _CHUNK_BYTES = 4096, 2**21
"""Images, and their bytes, that are looked at at a time, to bound the memory: sums of squares take eight bytes a pixel."""


@dataclass(frozen=True, eq=False)
class ImageDataset:
    """A set of labelled images.

    Args:
        name: Name in messages and titles, such as `digits/train`.
        images: `[images, channels, height, width]` uint8: a tensor, or images that are decoded when they are read.
        labels: The class of each image, `[images]` int64 from 0; or whether it has each label, `[images, labels]` bool; or its
            numbers, `[images, targets]` float64. So the type says what the task is: see `task`.
        classes: Name of each class, label or target.
        remarks: What the user should know about how the images were read, one sentence each.
        known_digest: Its digest, if it is known; otherwise it is computed when it is asked for.

    Raises:
        DatasetError: The shapes or types do not fit, or a label is not that of a class.
    """

    name: str
    images: Pixels
    labels: Tensor
    classes: tuple[str, ...]
    remarks: tuple[str, ...] = ()
    known_digest: str = ""

    def __post_init__(self) -> None:
        if self.images.dtype != torch.uint8 or self.images.ndim != 4:
            raise DatasetError(
                f"images of {self.name}: expected uint8 [images, channels, height, width]; "
                f"got {self.images.dtype} {list(self.images.shape)}."
            )
        if self.task != CLASSIFICATION:
            self._check_columns()
            return
        if self.labels.shape != self.images.shape[:1]:
            raise DatasetError(
                f"labels of {self.name}: expected {len(self.images)}, one an image; got shape {list(self.labels.shape)}."
            )
        if len(self.labels) and not 0 <= int(self.labels.min()) <= int(self.labels.max()) < len(self.classes):
            raise DatasetError(
                f"labels of {self.name}: expected numbers from 0 to {len(self.classes) - 1}; "
                f"got {int(self.labels.min())} to {int(self.labels.max())}."
            )

    def __len__(self) -> int:
        return len(self.labels)

    def _check_columns(self) -> None:
        """Raise DatasetError unless each image has a finite number, or a yes or no, for each name."""
        expected = (len(self.images), len(self.classes))
        if tuple(self.labels.shape) != expected:
            raise DatasetError(
                f"labels of {self.name}: expected the shape {list(expected)}, one row an image and one column for each of "
                f"{', '.join(self.classes[:5])}; got {list(self.labels.shape)}."
            )
        if self.task == REGRESSION and not bool(self.labels.isfinite().all()):
            raise DatasetError(f"labels of {self.name}: expected finite numbers; got NaN or infinity. Remove these images.")

    @property
    def task(self) -> str:
        """What the labels are for: `classification`, `multilabel` or `regression`."""
        return kind_of(self.labels)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        channels, height, width = self.images.shape[1:]
        return (channels, height, width)

    @property
    def num_classes(self) -> int:
        """Number of classes, labels or targets: of outputs that a network needs."""
        return len(self.classes)

    @cached_property
    def digest(self) -> str:
        """Identity of the content: 16 hexadecimal digits, a hash of shape, classes, pixels and labels."""
        if self.known_digest:
            return self.known_digest
        if self._facts is not None:
            return self._facts.digest
        digest = new_digest(self.images.shape, self.classes, self.task)
        for chunk in self.chunks():
            digest.update(np.ascontiguousarray(chunk.numpy()).data)
        digest.update(np.ascontiguousarray(self.labels.numpy()).data)
        return digest.hexdigest()

    @cached_property
    def mirrored(self) -> tuple[str, str] | None:
        """Two classes that are mirror images of each other; None if none are, and for other tasks. See `MirroredClasses`."""
        if self.task != CLASSIFICATION:
            return None
        if self._facts is not None:
            return self._facts.mirrored
        found, first = MirroredClasses(self.images.shape, self.classes), 0
        for chunk in self.chunks():
            found.add(chunk, self.labels[first : first + len(chunk)])
            first += len(chunk)
        return found.found()

    def hashes(self) -> Hashes:
        """Return a hash of the pixels of each image, `[images]`."""
        if self._facts is not None:
            return self._facts.hashes
        return np.concatenate([hashes_of(chunk) for chunk in self.chunks()])

    def chunks(self) -> Iterator[Tensor]:
        """Yield all pixels in their order, some images at a time."""
        return iter(self.images.split(max(1, min(_CHUNK, _CHUNK_BYTES // max(1, self.images.shape[1:].numel())))))

    @cached_property
    def _facts(self) -> PartFacts | None:
        """All facts of images that must be decoded for any of them, in one pass; None for images in memory."""
        if not isinstance(self.images, EncodedImages):
            return None
        if self.images.facts is not None:
            return self.images.facts
        meter = FactsMeter(self.images.shape, self.labels, self.classes, self.task)
        for chunk in self.chunks():
            meter.add(chunk)
        return meter.facts()

    def take(self, indices: Sequence[int] | Tensor, name: str) -> ImageDataset:
        """Return the images at `indices` as a new dataset."""
        rows = torch.as_tensor(indices, dtype=torch.int64)
        images = self.images.take(rows.numpy()) if isinstance(self.images, EncodedImages) else self.images[rows]
        return ImageDataset(name, images, self.labels[rows], self.classes, self.remarks)

    def decode_by(self, workers: int) -> None:
        """Set the number of processes that decode images that are not in memory."""
        if isinstance(self.images, EncodedImages):
            self.images.workers = workers

    def joined(self, other: ImageDataset, name: str) -> ImageDataset:
        """Return the images of both, those of `other` last."""
        labels = torch.cat([self.labels, other.labels])
        return ImageDataset(name, _joined(self.images, other.images), labels, self.classes, self.remarks)

    def statistics(self) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation of each channel, as fractions of full brightness, each `[channels]`.

        Raises:
            DatasetError: There are no images.
        """
        if not len(self):
            raise DatasetError(f"statistics of {self.name}: expected images; got none.")
        if self._facts is not None:
            return self._facts.mean, self._facts.std
        moments = Moments(self.shape[0])
        for chunk in self.chunks():
            moments.add(chunk)
        return moments.statistics()


def _joined(first: Pixels, second: Pixels) -> Pixels:
    if isinstance(first, EncodedImages) and isinstance(second, EncodedImages):
        return first.joined(second)
    return torch.cat([part if isinstance(part, Tensor) else part[:] for part in (first, second)])


class Splits(NamedTuple):
    """The three parts of a dataset: to fit weights, to compare candidates, and to report."""

    train: ImageDataset
    validation: ImageDataset
    test: ImageDataset
