"""Datasets in folders of image files, one sub-folder a class."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from archsearch.errors import DatasetError, did_you_mean
from archsearch.evaluators.datasets.dataset import ImageDataset, Splits
from archsearch.evaluators.datasets.decoding import Decoder
from archsearch.evaluators.datasets.folder_layout import class_folders, layout_of, pictures, unread_pictures
from archsearch.evaluators.datasets.image_files import ImageReader, Size
from archsearch.evaluators.datasets.split import partition


def load_imagefolder(path: Path, size: int | Size = 32, decoder: Decoder | None = None, skip: bool = False) -> Splits:
    """Return the images of a folder, brought to RGB and one size.

    The middle of an image, in the ratio of the size, is cut out and resized, bilinear with antialiasing.

    Args:
        path: Folder with one sub-folder a class; or with `train` and, as available, `validation` (or `valid`, `val`, `dev`) and
            `test`, each with one sub-folder a class. A missing part is a tenth of the training images, split off. See
            `folder_layout` for what else is recognised.
        size: Side of the images, in pixels, or height and width.
        decoder: What decodes the files; None takes one with its defaults.
        skip: Whether images that cannot be read are left out.

    Raises:
        DatasetError: A folder is missing or empty, has a layout that is not read, an image is corrupt, or there are too few
            images or classes.
    """
    layout, name = layout_of(path), path.resolve().name
    reader = ImageReader((size, size) if isinstance(size, int) else size, decoder or Decoder(), skip)
    train = _read(f"{name}/train", layout.train, reader, None)
    given = {"validation": layout.validation, "test": layout.test}
    parts = {part: _read(f"{name}/{part}", folder, reader, train.classes) for part, folder in given.items() if folder is not None}
    reader.decoder.finish(name)
    train = replace(train, remarks=(*layout.remarks, *train.remarks, *reader.decoder.remarks))
    return partition(name, train, validation=parts.get("validation"), test=parts.get("test"))


def _read(name: str, folder: Path, reader: ImageReader, classes: tuple[str, ...] | None) -> ImageDataset:
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
    pixels, kept, remarks = reader.read([file for file, _ in files])
    return ImageDataset(name, pixels, torch.tensor([files[place][1] for place in kept]), classes, remarks)
