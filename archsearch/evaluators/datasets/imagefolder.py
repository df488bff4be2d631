"""Datasets in folders of image files, one sub-folder a class."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from archsearch.errors import DatasetError, did_you_mean
from archsearch.evaluators.datasets.dataset import ImageDataset, Splits
from archsearch.evaluators.datasets.decoding import decode
from archsearch.evaluators.datasets.split import partition

_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})
_VALIDATION = ("validation", "valid", "val")


def load_imagefolder(path: Path, size: int = 32) -> Splits:
    """Return the images of a folder, brought to RGB and one square size.

    An image is cut to its central square and then resized, bilinear with antialiasing.

    Args:
        path: Folder with one sub-folder a class; or with `train` and, as available, `validation` (or `valid`, `val`) and
            `test`, each with one sub-folder a class. A missing part is a tenth of the training images, split off.
        size: Side of the images, in pixels.

    Raises:
        DatasetError: A folder is missing or empty, an image is corrupt, or there are too few images or classes.
    """
    if not path.is_dir():
        raise DatasetError(f"imagefolder: expected a folder; got {path}, which is not one. Check the path.")
    name = path.resolve().name
    if not (path / "train").is_dir() or not _folders(path / "train"):
        return partition(name, _read(f"{name}/train", path, size, None))
    validation = [path / part for part in _VALIDATION if (path / part).is_dir()]
    if len(validation) > 1:
        raise DatasetError(f"imagefolder: expected one folder of validation images in {path}; got {_listed(validation)}.")
    train = _read(f"{name}/train", path / "train", size, None)
    folders = {"validation": validation[0] if validation else path / _VALIDATION[0], "test": path / "test"}
    parts = {part: _read(f"{name}/{part}", folder, size, train.classes) for part, folder in folders.items() if folder.is_dir()}
    return partition(name, train, validation=parts.get("validation"), test=parts.get("test"))


def _read(name: str, folder: Path, size: int, classes: tuple[str, ...] | None) -> ImageDataset:
    """Return the images below the class folders; if `classes` is None, the folders name the classes."""
    folders = _folders(folder)
    if classes is None:
        classes = tuple(found.name for found in folders)
    for found in folders:
        if found.name not in classes:
            raise DatasetError(
                f"class folder {found}: expected a class of the training images; got {found.name!r}."
                f"{did_you_mean(found.name, classes)} Rename or remove it."
            )
    files = [(file, classes.index(found.name)) for found in folders for file in _files(found)]
    if not files:
        raise DatasetError(f"imagefolder: expected one sub-folder of images a class in {folder}; got no images.")
    with ThreadPoolExecutor() as pool:
        pixels = np.stack(list(pool.map(lambda item: _square(item[0], size), files)))
    return ImageDataset(name, torch.from_numpy(pixels), torch.tensor([label for _, label in files]), classes)


def _square(file: Path, size: int) -> NDArray[np.uint8]:
    """Return an image as `[3, size, size]`."""
    from PIL import Image, ImageOps

    image = ImageOps.fit(decode(file, f"image {file}").convert("RGB"), (size, size), Image.Resampling.BILINEAR)
    return np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1))


def _folders(folder: Path) -> list[Path]:
    """Return the sub-folders by name, without hidden ones."""
    return sorted(found for found in folder.iterdir() if found.is_dir() and not found.name.startswith("."))


def _files(folder: Path) -> list[Path]:
    """Return the image files at any depth by name, without hidden ones."""
    files = (file for file in folder.rglob("*") if file.suffix.lower() in _SUFFIXES and file.is_file())
    return sorted(file for file in files if not any(part.startswith(".") for part in file.relative_to(folder).parts))


def _listed(paths: list[Path]) -> str:
    return ", ".join(path.name for path in paths)
