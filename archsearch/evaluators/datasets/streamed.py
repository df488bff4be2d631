"""Datasets that do not fit into their share of the memory: their images are decoded when they are needed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from archsearch.evaluators.datasets.dataset import ImageDataset
from archsearch.evaluators.datasets.encoded import EncodedImages
from archsearch.evaluators.datasets.image_files import ImageReader
from archsearch.evaluators.datasets.image_source import ImageSource
from archsearch.evaluators.datasets.inspection import inspected
from archsearch.evaluators.datasets.memory_share import decoded_bytes, memory_limit, streamed_remark
from archsearch.evaluators.datasets.split import HELD_OUT
from archsearch.evaluators.datasets.split_rows import split_rows


@dataclass(frozen=True)
class Loading:
    """How the images of a user are held. What is read does not depend on it.

    Args:
        memory_gb: Gigabytes (10^9 bytes) that the images of a dataset may take in memory; larger datasets are streamed. None
            takes a quarter of the memory that processes here may use.
        workers: Processes that decode streamed images ahead; None takes as many as there are cores.
    """

    memory_gb: float | None = None
    workers: int | None = None

    def streams(self, images: int, shape: tuple[int, int, int]) -> bool:
        """Return whether this number of images of this shape is streamed.

        Raises:
            ConfigurationError: The memory is negative.
        """
        return decoded_bytes(images, shape) > memory_limit(self.memory_gb)

    def remark(self, images: int, shape: tuple[int, int, int]) -> str:
        """Return a sentence on why they are streamed."""
        return streamed_remark(images, shape, memory_limit(self.memory_gb))


def streamed_part(
    name: str,
    source: ImageSource,
    reader: ImageReader,
    labels: Tensor,
    classes: tuple[str, ...],
    lacking: int = 0,
    loading: Loading | None = None,
) -> ImageDataset:
    """Return a part of a dataset whose images stay encoded, after one look at each: see `inspected`.

    Args:
        name: Name of the part, such as `photos/train`.
        source: The images.
        reader: Brings them to their size.
        labels: Their labels.
        classes: Name of each class, label or target.
        lacking: Number of parts that will be split off.
        loading: Number of processes that decode.

    Raises:
        DatasetError: Images cannot be read and may not be left out.
    """
    planned: tuple[Any, ...] = ()
    if lacking and len(labels):
        planned = split_rows(labels.numpy(), (1.0 - HELD_OUT * lacking, *[HELD_OUT] * lacking))
    found = inspected(source, reader, labels, classes, planned, name)
    reader.decoder.note(found.notes)
    images = EncodedImages(source, reader, found.kept, (loading or Loading()).workers, found.facts)
    return ImageDataset(name, images, labels[torch.from_numpy(np.asarray(found.kept))], classes, found.remarks)
