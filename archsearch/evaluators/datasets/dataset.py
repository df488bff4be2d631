"""Image datasets in memory: images and labels as two tensors, and their three parts."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from archsearch.errors import DatasetError
from archsearch.evaluators.prediction.kinds import kind_of
from archsearch.evaluators.score_names import CLASSIFICATION, REGRESSION

_CHUNK = 4096
"""Images converted at a time, to bound the memory."""


@dataclass(frozen=True, eq=False)
class ImageDataset:
    """A set of labelled images.

    Args:
        name: Name in messages and titles, such as `digits/train`.
        images: `[images, channels, height, width]` uint8.
        labels: The class of each image, `[images]` int64 from 0; or whether it has each label, `[images, labels]` bool; or its
            numbers, `[images, targets]` float64. So the type says what the task is: see `task`.
        classes: Name of each class, label or target.
        remarks: What the user should know about how the images were read, one sentence each.

    Raises:
        DatasetError: The shapes or types do not fit, or a label is not that of a class.
    """

    name: str
    images: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    remarks: tuple[str, ...] = ()

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
        kind = () if self.task == CLASSIFICATION else (self.task,)
        digest = hashlib.blake2b(repr((tuple(self.images.shape), self.classes, *kind)).encode(), digest_size=8)
        digest.update(np.ascontiguousarray(self.images.numpy()).data)
        digest.update(np.ascontiguousarray(self.labels.numpy()).data)
        return digest.hexdigest()

    def take(self, indices: Sequence[int] | Tensor, name: str) -> ImageDataset:
        """Return the images at `indices` as a new dataset."""
        rows = torch.as_tensor(indices, dtype=torch.int64)
        return ImageDataset(name, self.images[rows], self.labels[rows], self.classes, self.remarks)

    def joined(self, other: ImageDataset, name: str) -> ImageDataset:
        """Return the images of both, those of `other` last."""
        return ImageDataset(
            name, torch.cat([self.images, other.images]), torch.cat([self.labels, other.labels]), self.classes, self.remarks
        )

    def statistics(self) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation of each channel, as fractions of full brightness, each `[channels]`.

        Raises:
            DatasetError: There are no images.
        """
        if not len(self):
            raise DatasetError(f"statistics of {self.name}: expected images; got none.")
        totals, squares = torch.zeros((2, self.shape[0]), dtype=torch.int64)
        for chunk in torch.split(self.images, _CHUNK):
            values = chunk.to(torch.int32)
            totals += values.sum((0, 2, 3))
            squares += values.square().sum((0, 2, 3))
        pixels = len(self) * self.shape[1] * self.shape[2]
        mean = totals.double() / pixels
        variance = (squares.double() - totals.double() * mean) / max(pixels - 1, 1)
        return (mean / 255.0).float(), (variance.clamp_min(0.0).sqrt() / 255.0).clamp_min(1e-3).float()


class Splits(NamedTuple):
    """The three parts of a dataset: to fit weights, to compare candidates, and to report."""

    train: ImageDataset
    validation: ImageDataset
    test: ImageDataset
