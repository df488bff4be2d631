"""Encoded images of a Parquet file one after the other in a file of the cache folder.

A row group of a Parquet file is read as a whole, so images at random places would each cost a row group. Unpacked once, each
costs one read; the file is as large as the column.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from hashlib import blake2b
from pathlib import Path

import numpy as np

from archsearch.atomic_file import written_atomically
from archsearch.errors import DatasetError
from archsearch.evaluators.cache import cache_folder
from archsearch.evaluators.datasets.image_source import PackedImages


def packed(identity: str, title: str, size: int, images: Callable[[], Iterable[bytes]]) -> PackedImages:
    """Return images as a file of the cache folder, which is written if it is not there.

    Args:
        identity: What tells these images from others: names, sizes and times of their files.
        title: Name of the source in messages.
        size: About how many bytes they have.
        images: Yields the images, encoded.

    Raises:
        DatasetError: The cache folder cannot be written, or has too little room.
    """
    name = blake2b(identity.encode(), digest_size=16).hexdigest()
    path = cache_folder() / "packed" / f"{name}.bin"
    ends = path.with_suffix(".npy")
    try:
        if not (path.is_file() and ends.is_file()):
            path.parent.mkdir(parents=True, exist_ok=True)
            if (free := shutil.disk_usage(path.parent).free) < size:
                raise OSError(28, f"{size / 1e9:.3g} GB are needed, {free / 1e9:.3g} GB are free")
            _write(path, ends, images())
        return PackedImages(path, np.load(ends, allow_pickle=False), title)
    except OSError as error:
        raise DatasetError(
            f"{title}: expected a cache folder that can hold its images, which are unpacked to be read at random; cannot write "
            f"{path} ({error.strerror}). Set ARCHSEARCH_CACHE to a larger folder, or let memory_gb hold the images."
        ) from error


def _write(path: Path, ends: Path, images: Iterable[bytes]) -> None:
    places, end = list[int](), 0
    with written_atomically(path, durable=False) as temporary, temporary.open("wb") as file:
        for image in images:
            end += file.write(image)
            places.append(end)
    with written_atomically(ends, durable=False) as temporary, temporary.open("wb") as file:
        np.save(file, np.array(places, dtype=np.int64), allow_pickle=False)
