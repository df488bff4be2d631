"""Pixels that all processes of a machine share: decoded once to a file of the cache folder, which each maps into memory."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from archsearch.atomic_file import written_atomically
from archsearch.evaluators.cache import cache_folder
from archsearch.evaluators.datasets.dataset import ImageDataset, Splits
from archsearch.evaluators.datasets.decoding import pillow_version

LEAST = 2**22
"""Bytes of pixels of a dataset from which they are shared; fewer are cheaper to hold than to look up."""
_VERSION = 1

_log = logging.getLogger(__name__)


def shared(name: str, identity: str | None, load: Callable[[], Splits]) -> Splits:
    """Return a dataset whose pixels lie in a file that is mapped into memory, so that ten processes hold them once.

    Args:
        name: Name of the dataset, with its options.
        identity: What changes with the files that it is read from; None if that is not known, so that it is not shared.
        load: Reads the dataset; called only if it has not been read since its files changed. Streamed datasets, and ones that are
            small, are returned as they are.

    Raises:
        DatasetError: As of `load`.
    """
    if identity is None:
        return load()
    key = blake2b(f"{_VERSION} {name} {identity}".encode(), digest_size=16).hexdigest()
    folder = cache_folder() / "pixels"
    if (found := _read(folder / f"{key}.npz", folder)) is not None:
        return found
    splits = load()
    if not all(isinstance(part.images, Tensor) for part in splits):
        return splits
    if sum(part.images.shape.numel() for part in splits) < LEAST:
        return splits
    try:
        _write(splits, folder / f"{key}.npz", folder)
    except OSError as error:
        _log.warning("%s: each process holds its images, because %s cannot be written (%s)", name, folder, error.strerror)
        return splits
    return _read(folder / f"{key}.npz", folder) or splits


def files_identity(path: Path) -> str | None:
    """Return a text that changes when a file below a folder is added, removed or written; None if that is not known.

    Args:
        path: The folder; or a file, for which those of its kind beside it count.
    """
    digest = blake2b(pillow_version().encode(), digest_size=16)
    try:
        if path.is_dir():
            for folder, folders, files in os.walk(path):
                folders.sort()  # so that the next ones come in this order
                for name in sorted(files):
                    digest.update(_stamp(Path(folder, name)))
        else:
            for file in sorted(path.parent.glob(f"*{path.suffix}")):
                digest.update(_stamp(file))
    except OSError:
        return None
    return digest.hexdigest()


def _stamp(file: Path) -> bytes:
    found = file.stat()
    return f"{file},{found.st_size},{found.st_mtime_ns};".encode(errors="surrogateescape")


def _write(splits: Splits, index: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, NDArray[Any]] = {}
    facts: dict[str, Any] = {"classes": splits.train.classes, "parts": {}}
    for part, images in zip(Splits._fields, splits, strict=True):
        pixels = _file_of(images.digest, folder)
        if not (pixels.is_file() and pixels.stat().st_size == images.images.shape.numel()):
            with written_atomically(pixels, durable=False) as temporary, temporary.open("wb") as file:
                for chunk in images.chunks():
                    file.write(np.ascontiguousarray(chunk.numpy()).data)
        arrays[part] = images.labels.numpy()
        facts["parts"][part] = [images.name, images.digest, list(images.images.shape), images.remarks]
    arrays["facts"] = np.frombuffer(json.dumps(facts).encode(), dtype=np.uint8)
    with written_atomically(index, durable=False) as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def _read(index: Path, folder: Path) -> Splits | None:
    """Return the dataset of an index; None if there is none, or a file is missing or damaged."""
    try:
        with np.load(index, allow_pickle=False) as stored:
            facts = json.loads(stored["facts"].tobytes())
            parts = []
            for part in Splits._fields:
                name, digest, shape, remarks = facts["parts"][part]
                pixels = _mapped(_file_of(digest, folder), shape)
                labels = torch.from_numpy(stored[part])
                read = ImageDataset(name, pixels, labels, tuple(facts["classes"]), tuple(remarks))
                parts.append(replace(read, known_digest=digest))
            return Splits(*parts)
    except (OSError, ValueError, KeyError, EOFError, RuntimeError):
        return None


def _mapped(path: Path, shape: list[int]) -> Tensor:
    """Return the content of a file as a tensor. Processes share its memory until one writes to it, which stays its own."""
    size = int(np.prod(shape))
    if path.stat().st_size != size:
        raise ValueError(f"{path}: expected {size} bytes")
    return torch.from_file(str(path), shared=False, size=size, dtype=torch.uint8).view(shape)


def _file_of(digest: str, folder: Path) -> Path:
    return folder / f"{digest}.bin"
