"""CIFAR-10 and CIFAR-100: 50,000 training and 10,000 test images of 32x32 pixels, read by torchvision.

A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", technical report, University of Toronto, 2009.
"""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from archsearch.errors import DatasetError, first_line
from archsearch.evaluators.cache import cache_folder
from archsearch.evaluators.datasets.dataset import ImageDataset, Splits
from archsearch.evaluators.datasets.split import partition

if TYPE_CHECKING:
    from torchvision.datasets import CIFAR10


def load_cifar10(root: Path | None = None) -> Splits:
    """Return 45,000 training, 5,000 validation and the 10,000 test images of CIFAR-10.

    Args:
        root: Folder with `cifar-10-batches-py` or its archive, or to download to; the cache folder when None.

    Raises:
        DatasetError: The files are not there and cannot be downloaded, or are corrupt.
    """
    from torchvision.datasets import CIFAR10

    return _load("cifar10", CIFAR10, root)


def load_cifar100(root: Path | None = None) -> Splits:
    """Return 45,000 training, 5,000 validation and the 10,000 test images of CIFAR-100, by its 100 fine classes.

    Args:
        root: Folder with `cifar-100-python` or its archive, or to download to; the cache folder when None.

    Raises:
        DatasetError: The files are not there and cannot be downloaded, or are corrupt.
    """
    from torchvision.datasets import CIFAR100

    return _load("cifar100", CIFAR100, root)


def cifar_folder(name: str, root: Path | None) -> Path:
    """Return the folder with the files of `cifar10` or `cifar100`, which need not be there yet."""
    return (cache_folder() / "cifar" if root is None else root) / (
        "cifar-10-batches-py" if name == "cifar10" else "cifar-100-python"
    )


def _load(name: str, source: type[CIFAR10], root: Path | None) -> Splits:
    folder = cache_folder() / "cifar" if root is None else root
    if not (folder / source.base_folder).is_dir():
        _download(name, source, folder)
    try:
        train, test = (_images(f"{name}/{part}", source(folder, train=part == "train")) for part in ("train", "test"))
    except (OSError, EOFError, RuntimeError) as error:
        raise DatasetError(
            f"dataset {name}: expected the complete files in {folder / source.base_folder}; some are missing or corrupt. "
            "Remove this folder to have it downloaded again, or use the dataset digits."
        ) from error
    return partition(name, train, test=test)


def _download(name: str, source: type[CIFAR10], folder: Path) -> None:
    """Download to a temporary folder and rename it, as several processes may do so at once."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".download-") as temporary:
            archive = folder / source.filename
            if archive.is_file():
                (Path(temporary) / source.filename).symlink_to(archive.resolve())
            source(temporary, download=True)
            with contextlib.suppress(OSError):  # another process was faster
                (Path(temporary) / source.base_folder).replace(folder / source.base_folder)
    except (OSError, EOFError, RuntimeError) as error:
        reason = first_line(error)
        raise DatasetError(
            f"dataset {name}: expected {source.base_folder} or {source.filename} in {folder}, or a network to download it; got "
            f"{type(error).__name__}: {reason}. Give root= a folder that holds the files, or use the dataset digits."
        ) from error


def _images(name: str, source: CIFAR10) -> ImageDataset:
    pixels = torch.from_numpy(source.data).permute(0, 3, 1, 2).contiguous()
    return ImageDataset(name, pixels, torch.tensor(source.targets), tuple(source.classes))
