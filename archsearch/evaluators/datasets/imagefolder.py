"""Datasets in folders of image files, one sub-folder a class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from archsearch.errors import DatasetError, did_you_mean
from archsearch.evaluators.datasets.dataset import ImageDataset, Splits
from archsearch.evaluators.datasets.decoding import Decoder
from archsearch.evaluators.datasets.folder_layout import class_folders, layout_of, picture_paths, pictures, unread_pictures
from archsearch.evaluators.datasets.image_files import ImageReader, Size
from archsearch.evaluators.datasets.image_source import FileList, ImageSource
from archsearch.evaluators.datasets.remote import RemoteFiles, is_remote, pictures_of
from archsearch.evaluators.datasets.split import partition
from archsearch.evaluators.datasets.streamed import Loading, streamed_part


def load_imagefolder(
    path: Path | str, size: int | Size = 32, decoder: Decoder | None = None, skip: bool = False, loading: Loading | None = None
) -> Splits:
    """Return the images of a folder, brought to RGB and one size.

    The middle of an image, in the ratio of the size, is cut out and resized, bilinear with antialiasing.

    Args:
        path: Folder, or the address of one in a filesystem of pyarrow, with one sub-folder a class; or with `train` and, as
            available, `validation` (or `valid`, `val`, `dev`) and `test`, each with one sub-folder a class. A missing part is a
            tenth of the training images, split off. See `folder_layout` for what else is recognised in folders of this machine.
        size: Side of the images, in pixels, or height and width.
        decoder: What decodes the files; None takes one with its defaults.
        skip: Whether images that cannot be read are left out.
        loading: Whether the images are held in memory; None takes the defaults.

    Raises:
        DatasetError: A folder is missing or empty, has a layout that is not read, an image is corrupt, or there are too few
            images or classes.
    """
    loading = loading or Loading()
    reader = ImageReader((size, size) if isinstance(size, int) else size, decoder or Decoder(), skip)
    remote = isinstance(path, str) and is_remote(path)
    name, said, listed = _remote(str(path)) if remote else _local(Path(path))
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
    said = (*said, *parts["train"].remarks, *reader.decoder.remarks)
    parts["train"] = replace(parts["train"], remarks=(loading.remark(images, shape), *said) if streams else said)
    return partition(name, **parts)


@dataclass(frozen=True)
class _Listed:
    """The files of a part, their labels, `[files]`, and the names of the classes."""

    files: ImageSource
    labels: Tensor
    classes: tuple[str, ...]


def _local(path: Path) -> tuple[str, tuple[str, ...], dict[str, _Listed]]:
    """Return the name of a folder, what was said of its layout, and the files of its parts."""
    layout, listed = layout_of(path), dict[str, _Listed]()
    for part, folder in (("train", layout.train), ("validation", layout.validation), ("test", layout.test)):
        if folder is not None:
            listed[part] = _listed(folder, listed["train"].classes if listed else None)
    return path.resolve().name, layout.remarks, listed


def _remote(address: str) -> tuple[str, tuple[str, ...], dict[str, _Listed]]:
    """Return the same of a folder in a filesystem of pyarrow."""
    parts = pictures_of(address)
    classes = tuple(sorted(parts["train"]))
    listed = {}
    for part in ("train", "validation", "test"):
        for found in sorted(parts.get(part, ())):
            _check_known(found, f"{address}/{found}", classes)
        if files := [(file, classes.index(found)) for found in sorted(parts.get(part, ())) for file in parts[part][found]]:
            labels = torch.tensor([label for _, label in files])
            listed[part] = _Listed(RemoteFiles(address, [file for file, _ in files]), labels, classes)
    return address.rstrip("/").rpartition("/")[2], (), listed


def _check_known(name: str, place: object, classes: Sequence[str]) -> None:
    if name not in classes:
        raise DatasetError(
            f"class folder {place}: expected a class of the training images; got {name!r}.{did_you_mean(name, classes)} "
            "Rename or remove it."
        )


def _listed(folder: Path, classes: tuple[str, ...] | None) -> _Listed:
    """Return the images below the class folders; if `classes` is None, the folders name the classes."""
    folders = class_folders(folder)
    if classes is None:
        classes = tuple(found.name for found in folders)
    for found in folders:
        _check_known(found.name, found, classes)
    files, counts = FileList(), list[int]()
    for found in folders:
        before = len(files)
        files.extend(picture_paths(found))
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
