"""Images that stay encoded in their files, and are decoded when they are read."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from archsearch.errors import DatasetError
from archsearch.evaluators.datasets.decoding import load_decoders
from archsearch.evaluators.datasets.image_source import ImageSource, JoinedSources

if TYPE_CHECKING:
    from archsearch.evaluators.datasets.image_files import ImageReader
    from archsearch.evaluators.datasets.part_facts import PartFacts

AHEAD = 2
"""Batches that each decoding process holds ready."""


class EncodedImages:
    """Images `[images, 3, height, width]` uint8 that are decoded when they are read, as a tensor of them would be read.

    Args:
        source: The files.
        reader: Brings an image to its size.
        rows: Which images of the source; None takes all.
        workers: Processes that decode ahead in `read`; 0 decodes in this process.
        known: What is known about some rows, by `row_key`, so that they need not be decoded for it.
    """

    dtype, device, ndim, is_cuda = torch.uint8, torch.device("cpu"), 4, False

    def __init__(
        self,
        source: ImageSource,
        reader: ImageReader,
        rows: NDArray[np.int64] | None = None,
        workers: int | None = None,
        known: Mapping[str, PartFacts] | None = None,
    ) -> None:
        self.source, self.reader = source, reader
        self.rows = np.arange(len(source)) if rows is None else rows
        self.workers = cores() if workers is None else workers
        self.known = dict(known or {})

    @property
    def shape(self) -> torch.Size:
        """Images, channels, height and width."""
        return torch.Size((len(self.rows), 3, *self.reader.size))

    @property
    def facts(self) -> PartFacts | None:
        """What is known about these images; None if they have not been inspected."""
        return self.known.get(row_key(self.rows))

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, chosen: Tensor | slice | int) -> Tensor:
        if isinstance(chosen, int):
            return self._decoded([int(self.rows[chosen])])[0]
        picked = self.rows[chosen if isinstance(chosen, slice) else chosen.cpu().numpy()]
        return self._decoded(picked.tolist())

    def take(self, chosen: NDArray[np.int64]) -> EncodedImages:
        """Return some of the images, still encoded."""
        return EncodedImages(self.source, self.reader, self.rows[chosen], self.workers, self.known)

    def joined(self, other: EncodedImages) -> EncodedImages:
        """Return the images of both, those of `other` last."""
        rows = np.concatenate([self.rows, len(self.source) + other.rows])
        return EncodedImages(JoinedSources([self.source, other.source]), self.reader, rows, self.workers)

    def split(self, size: int) -> Iterator[Tensor]:
        """Yield all images in their order, `size` at a time, decoded by threads."""
        with ThreadPoolExecutor(max(1, self.workers)) as pool:
            for first in range(0, len(self), size):
                picked = self.rows[first : first + size].tolist()
                yield torch.from_numpy(np.stack(list(pool.map(self._one, picked))))

    def read(self, batches: Iterable[Tensor]) -> Iterator[Tensor]:
        """Yield the images of each batch of rows, in the order of the batches, decoded ahead by `workers` processes.

        What is yielded does not depend on the number of processes.

        Raises:
            DatasetError: A file has been removed or changed.
        """
        wanted = [rows.cpu().numpy() for rows in batches]
        if self.workers == 0 or len(wanted) < 2:
            yield from (self._decoded(self.rows[rows].tolist()) for rows in wanted)
            return
        load_decoders()  # before the processes begin, which otherwise would each do so
        loader: DataLoader[Any] = DataLoader(
            _Decoding(self),
            batch_size=None,  # each item of the sampler is the rows of a batch
            sampler=wanted,
            num_workers=min(self.workers, len(wanted)),
            prefetch_factor=AHEAD,
            pin_memory=torch.cuda.is_available(),
            generator=torch.Generator().manual_seed(0),  # else torch draws a seed for the processes from the global generator
        )
        for pixels, error in loader:
            if error:
                raise DatasetError(error)
            yield pixels

    def _decoded(self, numbers: Sequence[int]) -> Tensor:
        arrays = [self._one(number) for number in numbers]
        empty = np.zeros((0, *self.shape[1:]), dtype=np.uint8)
        return torch.from_numpy(np.stack(arrays) if arrays else empty)

    def _one(self, number: int) -> NDArray[np.uint8]:
        return self.reader.decoded(self.source.open(number), self.source.place(number))[0]


Pixels: TypeAlias = Tensor | EncodedImages
"""Images `[images, channels, height, width]` uint8, in memory or in their files."""


class _Decoding(Dataset[tuple[Tensor, str]]):
    """Decodes the batches of a `DataLoader`. An error is returned, because one that is raised loses its type on the way."""

    def __init__(self, images: EncodedImages) -> None:
        self._images = images

    def __getitem__(self, rows: NDArray[np.int64]) -> tuple[Tensor, str]:
        images = self._images
        try:
            return images._decoded(images.rows[rows].tolist()), ""
        except DatasetError as error:
            return torch.zeros(0), str(error)


def row_key(rows: NDArray[np.int64]) -> str:
    """Return a key of the numbers of some images."""
    return blake2b(np.ascontiguousarray(rows, dtype=np.int64).tobytes(), digest_size=8).hexdigest()


def cores() -> int:
    """Return the number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
