"""A smaller form of a dataset for a search: a share of its training images, or smaller images."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F

from archsearch.errors import ConfigurationError, DatasetError
from archsearch.evaluators.datasets.dataset import ImageDataset, Splits
from archsearch.evaluators.datasets.encoded import EncodedImages
from archsearch.evaluators.datasets.split_rows import split_rows

_CHUNK = 1024


@dataclass(frozen=True)
class Reduction:
    """How a dataset is reduced.

    Args:
        share: Fraction of the training images, above 0 and at most 1, with the classes in their proportions. Validation and
            test images all stay, so that scores are as exact as before.
        size: Height and width that images in memory are brought to; None leaves them. Images of files are read at their size.

    Raises:
        ConfigurationError: The share is no such fraction.
    """

    share: float = 1.0
    size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if not 0.0 < self.share <= 1.0:
            raise ConfigurationError(
                f"images: expected a fraction of the training images, above 0 and at most 1, such as 0.1; got {self.share!r}."
            )

    def resized(self, splits: Splits) -> Splits:
        """Return the images at the size, bilinear with antialiasing.

        Raises:
            DatasetError: Images in memory are smaller.
        """
        size = self.size
        return splits if size is None else Splits(*(_resized(part, size) for part in splits))

    def shared(self, splits: Splits) -> Splits:
        """Return the splits with the share of the training images: the same ones for everyone who asks."""
        return splits if self.share == 1.0 else splits._replace(train=_share(splits.train, self.share))


def _share(train: ImageDataset, share: float) -> ImageDataset:
    rows, _ = split_rows(train.labels.numpy(), (share, 1.0 - share))
    chosen = train.take(torch.from_numpy(rows), train.name)
    said = f"{len(chosen):,} of {len(train):,} training images are used (images={share:g})."
    return replace(chosen, remarks=(*chosen.remarks, said))


def _resized(part: ImageDataset, size: tuple[int, int]) -> ImageDataset:
    if isinstance(part.images, EncodedImages) or part.shape[1:] == size:
        return part
    _, height, width = part.shape
    if size[0] > height or size[1] > width:
        raise DatasetError(
            f"size: expected images no larger than those of {part.name.partition('/')[0]}, {height} x {width} pixels; got "
            f"{size[0]} x {size[1]}. Larger ones cost more and show no more: give a smaller size, or leave it out."
        )
    chunks = [F.interpolate(chunk, size, mode="bilinear", antialias=True) for chunk in part.images.split(_CHUNK)]
    return replace(part, images=torch.cat(chunks), known_digest="")
