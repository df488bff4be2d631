"""Datasets in folders of image files, one sub-folder a class."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from archsearch.errors import DatasetError, did_you_mean
from archsearch.evaluators.datasets.dataset import ImageDataset, Splits
from archsearch.evaluators.datasets.decoding import Decoder
from archsearch.evaluators.datasets.folder_layout import class_folders, layout_of, pictures, unread_pictures
from archsearch.evaluators.datasets.split import partition

Size = tuple[int, int]
"""Height and width, in pixels."""
_MUCH = 0.3
"""Fraction of an image cut off beyond which the user is told."""


@dataclass(frozen=True)
class _Reader:
    """How the files of a dataset become arrays."""

    size: Size
    decoder: Decoder

    def read(self, file: Path) -> tuple[NDArray[np.uint8], Size]:
        """Return an image as `[3, height, width]`, and the height and width that it had."""
        from PIL import Image, ImageOps

        height, width = self.size
        decoded = self.decoder.decode(file, f"image {file}").convert("RGB")
        image = ImageOps.fit(decoded, (width, height), Image.Resampling.BILINEAR)
        return np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1)), (decoded.height, decoded.width)


def load_imagefolder(path: Path, size: int | Size = 32, decoder: Decoder | None = None) -> Splits:
    """Return the images of a folder, brought to RGB and one size.

    The middle of an image, in the ratio of the size, is cut out and resized, bilinear with antialiasing.

    Args:
        path: Folder with one sub-folder a class; or with `train` and, as available, `validation` (or `valid`, `val`, `dev`) and
            `test`, each with one sub-folder a class. A missing part is a tenth of the training images, split off. See
            `folder_layout` for what else is recognised.
        size: Side of the images, in pixels, or height and width.
        decoder: What decodes the files; None takes one with its defaults.

    Raises:
        DatasetError: A folder is missing or empty, has a layout that is not read, an image is corrupt, or there are too few
            images or classes.
    """
    layout, name = layout_of(path), path.resolve().name
    reader = _Reader((size, size) if isinstance(size, int) else size, decoder or Decoder())
    train = _read(f"{name}/train", layout.train, reader, None)
    given = {"validation": layout.validation, "test": layout.test}
    parts = {part: _read(f"{name}/{part}", folder, reader, train.classes) for part, folder in given.items() if folder is not None}
    reader.decoder.finish(name)
    train = replace(train, remarks=(*layout.remarks, *train.remarks, *reader.decoder.remarks))
    return partition(name, train, validation=parts.get("validation"), test=parts.get("test"))


def _read(name: str, folder: Path, reader: _Reader, classes: tuple[str, ...] | None) -> ImageDataset:
    """Return the images below the class folders; if `classes` is None, the folders name the classes."""
    folders = class_folders(folder)
    if classes is None:
        classes = tuple(found.name for found in folders)
    for found in folders:
        if found.name not in classes:
            raise DatasetError(
                f"class folder {found}: expected a class of the training images; got {found.name!r}."
                f"{did_you_mean(found.name, classes)} Rename or remove it."
            )
    files = [(file, classes.index(found.name)) for found in folders for file in pictures(found)]
    if unread := unread_pictures(folder):
        raise DatasetError(
            f"imagefolder: expected pictures that Pillow reads, such as PNG or JPEG; got {len(unread):,} others, such as "
            f"{unread[0]}. Convert or remove them."
        )
    if not files:
        loose = [] if folders else list(pictures(folder))
        got = "no images"
        if loose:
            got = f"{len(loose):,} images in no class folder, such as {loose[0].name}. Sort them into folders"
        raise DatasetError(f"imagefolder: expected one sub-folder of images a class in {folder}; got {got}.")
    with ThreadPoolExecutor() as pool:
        read = list(pool.map(lambda item: reader.read(item[0]), files))
    pixels = torch.from_numpy(np.stack([array for array, _ in read]))
    remarks = _cut_remark([was for _, was in read], reader.size)
    return ImageDataset(name, pixels, torch.tensor([label for _, label in files]), classes, remarks)


def _cut_remark(were: list[Size], size: Size) -> tuple[str, ...]:
    """Return a remark if much of the median image is cut off."""
    shapes = np.array(were, dtype=np.float64)
    ratio = shapes[:, 1] / shapes[:, 0] / (size[1] / size[0])
    lost = float(np.median(1.0 - np.minimum(ratio, 1.0 / ratio)))
    if lost < _MUCH:
        return ()
    height, width = (int(side) for side in np.median(shapes, axis=0))
    scale = (size[0] * size[1] / (height * width)) ** 0.5
    near = f"{max(1, round(height * scale))}x{max(1, round(width * scale))}"
    return (
        f"Images are cut to the ratio {size[0]}x{size[1]} (height x width): {100 * lost:.0f} % of the median image, {height} x "
        f"{width} pixels, is lost. Another size, such as size={near}, keeps more.",
    )
