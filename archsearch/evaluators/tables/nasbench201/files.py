"""Readers of the official files of NAS-Bench-201 and of the topology space of NATS-Bench, in all their forms.

    NAS-Bench-201-v1_1-096897.pth    written by torch.save: results by number of the architecture, then `less` and `full`
    NATS-tss-v1_0-3ffb9.pickle.pbz2  a pickle packed with bz2: results by number of the architecture, then `12` and `200`
    NATS-tss-v1_0-3ffb9-simple/      a file such as 000123.pickle.pbz2 for each architecture, and meta.pickle.pbz2

Each holds `meta_archs`, the texts of the architectures. The results of an architecture are the state of the benchmark's class
`ArchResults`: arch_index, arch_str, dataset_seed (seeds by dataset) and all_results (trainings by dataset and seed).

Source: D-X-Y/NATS-Bench, `nats_bench/api_topology.py` and `api_utils.py`; D-X-Y/NAS-Bench-201, `nas_201_api/api_201.py`; for the
two containers of torch.save, `torch/serialization.py`.
"""

from __future__ import annotations

import bz2
import os
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

from archsearch.errors import TableError
from archsearch.evaluators.tables.draft import Progress
from archsearch.evaluators.tables.nasbench201.result import thin
from archsearch.evaluators.tables.nasbench201.safe_pickle import DataUnpickler, Readable

_MAGIC = 0x1950A86A20F9469CFC6C  # the first number in a file of torch.save before version 1.6
_EPOCHS = {"less": 12, "full": 200, "12": 12, "200": 200}
_EXTENSION = ".pickle.pbz2"
_OFFICIAL = "NAS-Bench-201-v1_1-096897.pth, NATS-tss-v1_0-3ffb9.pickle.pbz2 or the folder NATS-tss-v1_0-3ffb9-simple"


class Results(NamedTuple):
    """The results of an architecture.

    Attributes:
        number: The benchmark's number of it.
        architecture: Its text.
        by_epochs: States of `ArchResults` by length of the training.
    """

    number: int
    architecture: str
    by_epochs: Mapping[int, dict[Any, Any]]


def read_results(path: Path, *, progress: Progress | None = None) -> Iterator[Results]:
    """Yield the results of all architectures, by their numbers.

    Nothing in a file is run. Of the curves of trainings only the ends are kept.

    Args:
        path: A file, or the folder.
        progress: Called repeatedly with the bytes of the file, or the files of the folder, that are read, and with all.

    Raises:
        TableError: A file is missing, corrupt, cut short or none of the benchmark's, or holds more than plain data.
    """
    if path.is_dir():
        yield from _of_folder(path, progress)
    elif path.is_file():
        yield from _of_file(path, progress)
    else:
        raise TableError(f"nasbench201: expected {_OFFICIAL}; there is nothing at {path}. Check the path.")


def _of_folder(folder: Path, progress: Progress | None) -> Iterator[Results]:
    meta = folder / f"meta{_EXTENSION}"
    if not meta.is_file():
        raise TableError(f"nasbench201: expected {meta.name} in the folder {folder}; there is none. Give {_OFFICIAL}.")
    texts = _texts(_load(meta), meta.name)
    files = [_file_of(folder, index) for index in range(len(texts))]
    missing = [index for index, file in enumerate(files) if file is None]
    if missing:
        raise TableError(
            f"nasbench201: {len(missing):,} of {len(texts):,} architectures have no file in {folder}; the first is "
            f"{missing[0]:06d}{_EXTENSION}. Unpack the archive again."
        )
    for index, (text, file) in enumerate(zip(texts, cast("list[Path]", files), strict=True)):
        yield _results(index, text, _load(file), file.name)
        if progress is not None:
            progress(index + 1, len(texts))


def _file_of(folder: Path, index: int) -> Path | None:
    """Return the file of an architecture; numbers may stand with zeros before them or without."""
    files = (folder / f"{index:06d}{_EXTENSION}", folder / f"{index}{_EXTENSION}")
    return next((file for file in files if file.is_file()), None)


def _of_file(path: Path, progress: Progress | None) -> Iterator[Results]:
    content = _load(path, progress)
    texts = _texts(content, path.name)
    by_index = content.get("arch2infos")
    if not isinstance(by_index, dict):
        raise TableError(f"{path.name}: expected results under 'arch2infos'; got {type(by_index).__name__}. Give {_OFFICIAL}.")
    missing = [index for index in range(len(texts)) if index not in by_index]
    if missing:
        raise TableError(
            f"{path.name}: {len(missing):,} of {len(texts):,} architectures have no results; the first is number {missing[0]}. "
            f"Give {_OFFICIAL}."
        )
    for index, text in enumerate(texts):
        yield _results(index, text, by_index[index], path.name)


def _texts(content: object, name: str) -> list[str]:
    """Return the texts of the architectures."""
    texts = content.get("meta_archs") if isinstance(content, dict) else None
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise TableError(
            f"{name}: expected the texts of the architectures under 'meta_archs'; they are not there. Give {_OFFICIAL}."
        )
    return texts


def _results(index: int, text: str, content: object, name: str) -> Results:
    if not isinstance(content, dict):
        raise TableError(f"{name}: architecture {index}: expected a dictionary of results; got {type(content).__name__}.")
    by_epochs = {_EPOCHS[key]: state for key, state in content.items() if key in _EPOCHS}
    if 200 not in by_epochs:
        raise TableError(
            f"{name}: architecture {index}: expected results of 12 and 200 epochs; got {', '.join(map(str, content))}. "
            f"Give {_OFFICIAL}."
        )
    for state in by_epochs.values():
        if not isinstance(state, dict) or state.get("arch_str") != text:
            raise TableError(f"{name}: architecture {index}: expected results of {text}; got others. Fetch the file again.")
    return Results(index, text, by_epochs)


def _load(path: Path, progress: Progress | None = None) -> Any:
    """Return the data of a file, with the curves thinned out."""
    seen = _Seen()
    with _content(path, progress) as stream:
        unpickler = DataUnpickler(stream, path.name, seen)
        try:
            content = unpickler.load()
            if content == _MAGIC:
                for _ in ("protocol", "system"):
                    unpickler.load()
                content = unpickler.load()
        except TableError as error:
            if seen.index is None:
                raise
            raise TableError(f"{error} The last architecture in it is number {seen.index}.") from error
    return content


class _Seen:
    """Thins trainings out, and remembers which architecture came last."""

    index: int | None = None

    def __call__(self, dictionary: dict[Any, Any]) -> None:
        thin(dictionary)
        if "arch_index" in dictionary:
            self.index = dictionary["arch_index"]


class _Watched:
    """A stream that reports how much of its file was read."""

    def __init__(self, stream: Readable, file: IO[bytes], progress: Progress | None) -> None:
        self._stream, self._file, self._progress = stream, file, progress
        self._size = os.fstat(file.fileno()).st_size

    def read(self, size: int, /) -> bytes:
        content = self._stream.read(size)
        if self._progress is not None:
            self._progress(self._file.tell(), self._size)
        return content


@contextmanager
def _content(path: Path, progress: Progress | None) -> Iterator[Readable]:
    """Open the pickle in a file: as it is, packed with bz2, or in a zip as torch.save writes it since version 1.6."""
    with path.open("rb") as file:
        begin = file.read(4)
        file.seek(0)
        if begin.startswith(b"BZh"):
            with bz2.open(file) as stream:
                yield _Watched(stream, file, progress)
        elif begin.startswith(b"PK"):
            with _zipped(file, path.name) as stream:
                yield _Watched(stream, file, progress)
        elif begin.startswith(b"\x80"):
            yield _Watched(file, file, progress)
        else:
            raise TableError(
                f"{path.name}: expected a pickle, plain, packed with bz2 or by torch.save; got neither. Give {_OFFICIAL}."
            )


def _zipped(file: IO[bytes], name: str) -> IO[bytes]:
    """Open the pickle in a zip."""
    try:
        archive = zipfile.ZipFile(file)
    except zipfile.BadZipFile as error:  # the table of contents is at the end
        raise TableError(f"{name}: the zip is corrupt or cut short ({error}). Fetch the file again.") from error
    for member in archive.namelist():
        if member.endswith("/data.pkl"):
            return archive.open(member)
    raise TableError(f"{name}: expected data.pkl in the zip, as torch.save writes it; there is none. Give {_OFFICIAL}.")
