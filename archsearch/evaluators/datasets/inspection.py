"""One pass over encoded images, before a training: which can be read, and the facts of the parts that they will be in.

Its outcome is kept in the cache folder until a file changes, so that each further process on the machine reads it from there.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from archsearch.atomic_file import written_atomically
from archsearch.errors import DatasetError
from archsearch.evaluators.cache import cache_folder
from archsearch.evaluators.datasets.encoded import cores, row_key
from archsearch.evaluators.datasets.image_files import ImageReader, cut_remark
from archsearch.evaluators.datasets.image_source import ImageSource
from archsearch.evaluators.datasets.part_facts import FactsMeter, PartFacts
from archsearch.evaluators.datasets.unreadable import Unreadable
from archsearch.evaluators.prediction.kinds import kind_of

Rows = NDArray[np.int64]

_VERSION = 1
_CHUNK_BYTES = 2**21
"""Bytes of decoded images that are looked at at a time; at least two images for each thread."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Inspection:
    """What a pass over images found.

    Args:
        kept: Numbers of the images that can be read.
        facts: Facts of the images with these numbers, by `row_key`.
        remarks: What the user should know.
        notes: What the decoder noted; see `Decoder.notes`.
    """

    kept: Rows
    facts: Mapping[str, PartFacts]
    remarks: tuple[str, ...]
    notes: Mapping[str, Any]


def inspected(
    source: ImageSource, reader: ImageReader, labels: Tensor, classes: tuple[str, ...], planned: Sequence[Rows], name: str
) -> Inspection:
    """Return the inspection of a source: from the cache folder, else by decoding all of its images once.

    Args:
        source: The images.
        reader: Brings them to their size, and says whether unreadable ones may be left out.
        labels: Their labels, as in `ImageDataset`.
        classes: Name of each class, label or target.
        planned: Parts whose facts are wanted beside those of all, by their places among the images that can be read, which are
            taken to be all. With unreadable ones left out, their parts are looked at when their facts are asked for.
        name: Name in messages.

    Raises:
        DatasetError: Images cannot be read and may not be left out, or none can be read.
    """
    key = blake2b(
        repr((_VERSION, source.identity(), reader.identity(), classes, str(labels.dtype), tuple(map(row_key, planned)))).encode(),
        digest_size=16,
    )
    key.update(np.ascontiguousarray(labels.numpy()).data)
    path = cache_folder() / "inspections" / f"{key.hexdigest()}.npz"
    if (found := _read(path)) is not None:
        return found
    _log.info("%s: looking once at each of %s images", name, f"{len(source):,}")
    found = _passed(source, reader, labels, classes, planned)
    _write(path, found)
    return found


def _passed(
    source: ImageSource, reader: ImageReader, labels: Tensor, classes: tuple[str, ...], planned: Sequence[Rows]
) -> Inspection:
    everything = np.arange(len(source))
    unreadable, sizes, lost = Unreadable(reader.skip), list[tuple[int, int]](), list[int]()
    known: dict[tuple[int, int], tuple[int, int]] = {}  # so that equal sizes are one object
    parts = _Parts([everything, *planned], labels, classes, reader.size)
    first = 0
    for found in _decoded(source, reader):
        pixels = []
        for number, each in enumerate(found, start=first):
            if isinstance(each, DatasetError):
                unreadable.add(source.place(number).removeprefix("image "), each)
                lost.append(number)
            else:
                pixels.append(each[0])
                sizes.append(known.setdefault(each[1], each[1]))
        if pixels and not lost:
            parts.add(torch.from_numpy(np.stack(pixels)))
        first += len(found)
    remarks = (*unreadable.check(len(source), len(sizes)), *cut_remark(sizes, reader.size))
    kept = np.setdiff1d(everything, np.array(lost, dtype=np.int64))
    return Inspection(kept, {} if lost else parts.facts(), remarks, reader.decoder.notes())


class _Parts:
    """The meters of several parts of the same images; each part is a sorted array of their numbers."""

    def __init__(self, parts: Sequence[Rows], labels: Tensor, classes: tuple[str, ...], size: tuple[int, int]) -> None:
        self._parts, self._first = parts, 0
        task = kind_of(labels)
        self._meters = [FactsMeter((len(rows), 3, *size), labels[torch.from_numpy(rows)], classes, task) for rows in parts]

    def add(self, pixels: Tensor) -> None:
        last = self._first + len(pixels)
        for rows, meter in zip(self._parts, self._meters, strict=True):
            within = rows[np.searchsorted(rows, self._first) : np.searchsorted(rows, last)] - self._first
            if len(within):
                meter.add(pixels if len(within) == len(pixels) else pixels[torch.from_numpy(within)])
        self._first = last

    def facts(self) -> dict[str, PartFacts]:
        return {row_key(rows): meter.facts() for rows, meter in zip(self._parts, self._meters, strict=True)}


def _decoded(source: ImageSource, reader: ImageReader) -> Iterator[list[Any]]:
    """Yield the images in their order, a chunk at a time, each as `ImageReader.decoded` returns it, or the error."""

    def one(number: int) -> Any:
        try:
            return reader.decoded(source.open(number), source.place(number))
        except DatasetError as error:
            return error

    chunk = max(2 * cores(), _CHUNK_BYTES // (3 * reader.size[0] * reader.size[1]))
    with ThreadPoolExecutor(cores()) as pool:
        for first in range(0, len(source), chunk):
            yield list(pool.map(one, range(first, min(first + chunk, len(source)))))


def _write(path: Path, found: Inspection) -> None:
    """Write an inspection atomically; one that cannot be written is made again by the next process."""
    arrays: dict[str, NDArray[Any]] = {"kept": found.kept}
    texts: dict[str, Any] = {"remarks": found.remarks, "notes": dict(found.notes), "facts": {}}
    for key, facts in found.facts.items():
        texts["facts"][key] = [facts.digest, facts.mirrored]
        arrays |= {f"mean-{key}": facts.mean.numpy(), f"std-{key}": facts.std.numpy(), f"hashes-{key}": facts.hashes}
    arrays["texts"] = np.frombuffer(json.dumps(texts).encode(), dtype=np.uint8)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_atomically(path, durable=False) as temporary, temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
    except OSError as error:
        _log.warning("%s cannot be written (%s), so the images are looked at anew each time", path, error.strerror)


def _read(path: Path) -> Inspection | None:
    """Return a stored inspection; None if there is none, or it is damaged."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            texts = json.loads(stored["texts"].tobytes())
            facts = {
                key: PartFacts(
                    digest,
                    torch.from_numpy(stored[f"mean-{key}"]),
                    torch.from_numpy(stored[f"std-{key}"]),
                    stored[f"hashes-{key}"],
                    tuple(mirrored) if mirrored else None,
                )
                for key, (digest, mirrored) in texts["facts"].items()
            }
            return Inspection(stored["kept"], facts, tuple(texts["remarks"]), texts["notes"])
    except (OSError, ValueError, KeyError, EOFError):
        return None
