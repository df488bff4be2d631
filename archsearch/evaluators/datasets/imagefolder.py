"""Datasets in folders of image files, one sub-folder a class."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from archsearch.errors import DatasetError, did_you_mean
from archsearch.evaluators.datasets.dataset import ImageDataset, Splits
from archsearch.evaluators.datasets.decoding import Decoder
from archsearch.evaluators.datasets.folder_layout import class_folders, layout_of, pictures, unread_pictures
from archsearch.evaluators.datasets.image_files import ImageReader, Size
from archsearch.evaluators.datasets.image_source import FileList
from archsearch.evaluators.datasets.split import partition
from archsearch.evaluators.datasets.streamed import Loading, streamed_part


def load_imagefolder(
    path: Path, size: int | Size = 32, decoder: Decoder | None = None, skip: bool = False, loading: Loading | None = None
) -> Splits:
    """Return the images of a folder, brought to RGB and one size.

    The middle of an image, in the ratio of the size, is cut out and resized, bilinear with antialiasing.

    Args:
        path: Folder with one sub-folder a class; or with `train` and, as available, `validation` (or `valid`, `val`, `dev`) and
            `test`, each with one sub-folder a class. A missing part is a tenth of the training images, split off. See
            `folder_layout` for what else is recognised.
        size: Side of the images, in pixels, or height and width.
        decoder: What decodes the files; None takes one with its defaults.
        skip: Whether images that cannot be read are left out.
        loading: Whether the images are held in memory; None takes the defaults.

    Raises:
        DatasetError: A folder is missing or empty, has a layout that is not read, an image is corrupt, or there are too few
            images or classes.
    """
    layout, name, loading = layout_of(path), path.resolve().name, loading or Loading()
    reader = ImageReader((size, size) if isinstance(size, int) else size, decoder or Decoder(), skip)
    folders = {"train": layout.train, "validation": layout.validation, "test": layout.test}
    listed: dict[str, _Listed] = {}
    for part, folder in folders.items():
        if folder is not None:
            listed[part] = _listed(folder, listed["train"].classes if listed else None)
    images, shape = sum(len(each.files) for each in listed.values()), (3, *reader.size)
    streams = loading.streams(images, shape)
    parts = {}
    for part, found in listed.items():
        title = f"{name}/{part}"
        if streams:
            lacking = 3 - len(listed) if part == "train" else 0
            parts[part] = streamed_part(title, found.files, reader, found.labels, found.classes, lacking, loading)
        else:
            pixels, kept, remarks = reader.read(found.files)
            parts[part] = ImageDataset(title, pixels, found.labels[kept], found.classes, remarks)
    reader.decoder.finish(name)
    said = (*layout.remarks, *parts["train"].remarks, *reader.decoder.remarks)
    parts["train"] = replace(parts["train"], remarks=(loading.remark(images, shape), *said) if streams else said)
    return partition(name, **parts)


@dataclass(frozen=True)
class _Listed:
    """The files of a part, their labels, `[files]`, and the names of the classes."""

    files: FileList
    labels: Tensor
    classes: tuple[str, ...]


def _listed(folder: Path, classes: tuple[str, ...] | None) -> _Listed:
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
    files, counts = FileList(), list[int]()
    for found in folders:
        before = len(files)
        files.extend(pictures(found))
        counts.append(len(files) - before)
    if unread := unread_pictures(folder):
        raise DatasetError(
            f"imagefolder: expected pictures that Pillow reads, such as PNG or JPEG; got {len(unread):,} others, such as "
            f"{unread[0]}. Convert or remove them."
        )
    if not len(files):
        loose = [] if folders else list(pictures(folder))
        got = "no images"
        if loose:
            got = f"{len(loose):,} images in no class folder, such as {loose[0].name}. Sort them into folders"
        raise DatasetError(f"imagefolder: expected one sub-folder of images a class in {folder}; got {got}.")
    labels = [classes.index(found.name) for found in folders]
    return _Listed(files, torch.repeat_interleave(torch.tensor(labels), torch.tensor(counts)), classes)
