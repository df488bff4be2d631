"""Splits that are computed once, stored as JSON in the cache folder, and read again from then on."""

from __future__ import annotations

import contextlib
import functools
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from archsearch.errors import DatasetError
from archsearch.evaluators.cache import cache_folder
from archsearch.evaluators.datasets.dataset import ImageDataset
from archsearch.evaluators.datasets.split import stratified_split

_log = logging.getLogger(__name__)


def stored_split(dataset: ImageDataset, fractions: Mapping[str, float]) -> dict[str, NDArray[np.int64]]:
    """Return the images of each part, by the split stored for this content, else by a stratified split that is then stored.

    A cache folder that cannot be written is no error: the split computed is the same each time.

    Args:
        dataset: What to split. The file is named by its digest, so equal images at another place have the same split.
        fractions: Share of each part by name, summing to 1.

    Raises:
        DatasetError: The stored split does not fit the images.
    """
    path = cache_folder() / "splits" / f"{dataset.digest}-{'-'.join(fractions)}.json"
    text = _read(path)
    if text is not None:
        return _parse(text, path, dataset, tuple(fractions))
    indices = stratified_split(dataset.labels.numpy(), tuple(fractions.values()))
    split = dict(zip(fractions, indices, strict=True))
    content = {"dataset": dataset.name, "digest": dataset.digest}
    _write(path, json.dumps({**content, **{part: rows.tolist() for part, rows in split.items()}}, separators=(",", ":")))
    return split


def _read(path: Path) -> str | None:
    """Return the text of a file, or None where there is none to read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def _parse(text: str, path: Path, dataset: ImageDataset, parts: tuple[str, ...]) -> dict[str, NDArray[np.int64]]:
    """Return the indices of a stored split, checked against the dataset."""
    try:
        stored = json.loads(text)
        split = {part: np.asarray(stored[part]) for part in parts}
        rows = np.concatenate(list(split.values()))
        fits = rows.dtype.kind == "i" and np.array_equal(np.sort(rows), np.arange(len(dataset)))
        fits = fits and all(map(len, split.values())) and stored["digest"] == dataset.digest
    except (ValueError, KeyError, TypeError):
        fits = False
    if not fits:
        raise DatasetError(
            f"stored split {path}: expected each of the {len(dataset)} images of {dataset.name} in exactly one of "
            f"{', '.join(parts)}; got indices that do not fit. Delete the file to have the split computed again."
        )
    return split


def _write(path: Path, text: str) -> None:
    """Write a file whole or not at all: to a temporary name first, as several processes may do so at once."""
    temporary = path.with_name(f"{path.name}.{uuid4().hex}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        _warn_once(path.parent, error.strerror)


@functools.cache
def _warn_once(folder: Path, reason: str | None) -> None:
    _log.warning(
        "Splits cannot be stored in %s (%s); they are computed each time, with the same outcome. "
        "Set ARCHSEARCH_CACHE to a folder that can be written.",
        folder,
        reason,
    )
