"""Places of encoded images: in files of their own, or one after the other in one file."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from array import array
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from pathlib import Path, PurePath

import numpy as np
from numpy.typing import NDArray


class ImageSource(ABC):
    """Encoded images by number, such as JPEG files. It is small and can be pickled."""

    @abstractmethod
    def __len__(self) -> int:
        """Number of images."""

    @abstractmethod
    def open(self, number: int) -> Path | bytes:
        """Return an image as the path or the content of its file."""

    @abstractmethod
    def place(self, number: int) -> str:
        """Return the name of an image in messages."""

    @abstractmethod
    def identity(self) -> str:
        """Return a text that changes where a file is added, removed or written."""


class FileList(ImageSource):
    """Files of images, with their names in one piece of memory: 1.3 million take about 50 MB.

    Args:
        files: The files.

    Example:
        >>> from pathlib import Path, PurePath
        >>> from archsearch.evaluators.datasets.image_source import FileList
        >>> FileList([Path("photos/cat/1.jpg"), Path("photos/dog/1.jpg")]).open(1).name
        '1.jpg'
    """

    def __init__(self, files: Iterable[PurePath | str] = ()) -> None:
        self._names, self._ends = bytearray(), np.zeros(1, dtype=np.int64)
        self.extend(files)

    def extend(self, files: Iterable[PurePath | str]) -> None:
        """Add files."""
        ends = array("q")
        for file in files:
            self._names += os.fsencode(file)
            ends.append(len(self._names))
        self._ends = np.concatenate([self._ends, np.array(ends, dtype=np.int64)])

    def __len__(self) -> int:
        return len(self._ends) - 1

    def open(self, number: int) -> Path:
        return Path(os.fsdecode(self._name(number)))

    def _name(self, number: int) -> bytes:
        return bytes(self._names[self._ends[number] : self._ends[number + 1]])

    def place(self, number: int) -> str:
        return f"image {self.open(number)}"

    def identity(self) -> str:
        digest = blake2b(bytes(self._names), digest_size=16)
        digest.update(self._ends.tobytes())
        for number in range(len(self)):
            found = os.stat(self._name(number))  # noqa: PTH116  (the names of a million paths would stay in memory)
            digest.update(f"{found.st_size},{found.st_mtime_ns};".encode())
        return digest.hexdigest()


class PackedImages(ImageSource):
    """Encoded images one after the other in a file, as row groups of Parquet files cannot be read at random.

    Args:
        path: The file.
        ends: `[images]` int64, where each image ends in it.
        title: Name of the source in messages.
    """

    def __init__(self, path: Path, ends: NDArray[np.int64], title: str) -> None:
        self._path, self._title = path, title
        self._ends = np.concatenate([np.zeros(1, dtype=np.int64), ends])

    def __len__(self) -> int:
        return len(self._ends) - 1

    def open(self, number: int) -> bytes:
        first, last = int(self._ends[number]), int(self._ends[number + 1])
        with self._path.open("rb") as file:
            file.seek(first)
            return file.read(last - first)

    def place(self, number: int) -> str:
        return f"{self._title}, row {number}"

    def identity(self) -> str:
        found = self._path.stat()
        digest = blake2b(self._ends.tobytes(), digest_size=16)
        digest.update(f"{self._path},{found.st_size},{found.st_mtime_ns}".encode())
        return digest.hexdigest()


class EncodedRows(ImageSource):
    """Encoded images in memory.

    Args:
        images: Content of each file.
        places: Names of the images in messages.
    """

    def __init__(self, images: Sequence[bytes], places: Sequence[str]) -> None:
        self._images, self._places = images, places

    def __len__(self) -> int:
        return len(self._images)

    def open(self, number: int) -> bytes:
        return self._images[number]

    def place(self, number: int) -> str:
        return self._places[number]

    def identity(self) -> str:
        digest = blake2b(digest_size=16)
        for image in self._images:
            digest.update(image)
        return digest.hexdigest()


class JoinedSources(ImageSource):
    """The images of several sources, one source after the other.

    Args:
        sources: The sources.
    """

    def __init__(self, sources: Sequence[ImageSource]) -> None:
        self._sources = tuple(sources)
        self._firsts = np.concatenate([[0], np.cumsum([len(source) for source in self._sources])])

    def __len__(self) -> int:
        return int(self._firsts[-1])

    def open(self, number: int) -> Path | bytes:
        source, own = self._found(number)
        return source.open(own)

    def place(self, number: int) -> str:
        source, own = self._found(number)
        return source.place(own)

    def identity(self) -> str:
        return "+".join(source.identity() for source in self._sources)

    def _found(self, number: int) -> tuple[ImageSource, int]:
        at = int(np.searchsorted(self._firsts, number, side="right")) - 1
        return self._sources[at], number - int(self._firsts[at])
