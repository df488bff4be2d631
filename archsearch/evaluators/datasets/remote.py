"""Images in buckets and other filesystems that pyarrow reads: `s3://BUCKET/FOLDER`, `gs://BUCKET/FOLDER`, `hdfs://...`."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from archsearch.errors import DatasetError, first_line
from archsearch.evaluators.datasets.folder_layout import PARTS, PICTURES
from archsearch.evaluators.datasets.image_source import FileList, ImageSource

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem


def is_remote(path: str) -> bool:
    """Return whether a path of a dataset's name is the address of a filesystem."""
    return "://" in path


def opened(address: str) -> tuple[FileSystem, str]:
    """Return the filesystem of an address, and the path in it. Credentials, region and endpoint are those of the environment.

    Raises:
        DatasetError: pyarrow has no such filesystem, or it cannot be reached.
    """
    from pyarrow.fs import FileSystem

    try:
        found: tuple[FileSystem, str] = FileSystem.from_uri(address)
    except (OSError, ValueError, NotImplementedError) as error:
        raise DatasetError(
            f"dataset: expected an address that pyarrow reads, such as s3://BUCKET/FOLDER; got {address} ({first_line(error)})."
        ) from error
    return found[0], found[1].rstrip("/")


def content_of(address: str, kind: str) -> bytes:
    """Return the content of a file.

    Args:
        address: Address of the file.
        kind: Kind of the dataset, for messages.

    Raises:
        DatasetError: There is no such file, or it cannot be read.
    """
    filesystem, path = opened(address)
    try:
        with filesystem.open_input_file(path) as file:
            content: bytes = file.read()
    except OSError as error:
        raise DatasetError(f"{kind}: expected a file at {address}; got {first_line(error)}. Check the address.") from error
    return content


class RemoteFiles(ImageSource):
    """Files of images in a filesystem of pyarrow. A process that reads them opens the filesystem itself.

    Args:
        address: Address of the folder.
        files: Names, sizes and times of the files, as pyarrow lists them.
    """

    def __init__(self, address: str, files: Sequence[Any]) -> None:
        self._address = address
        self._names = FileList([PurePosixPath(file.path) for file in files])
        digest = blake2b(digest_size=16)
        for file in files:
            digest.update(f"{file.path},{file.size},{file.mtime_ns};".encode())
        self._identity, self._filesystem = digest.hexdigest(), threading.local()

    def __len__(self) -> int:
        return len(self._names)

    def open(self, number: int) -> bytes:
        path = self._names.open(number).as_posix()
        if not hasattr(self._filesystem, "opened"):
            self._filesystem.opened = opened(self._address)[0]
        try:
            with self._filesystem.opened.open_input_file(path) as file:
                content: bytes = file.read()
        except OSError as error:
            raise DatasetError(f"image {path}: expected a file that can be read; got {first_line(error)}.") from error
        return content

    def place(self, number: int) -> str:
        return f"image {self._names.open(number).as_posix()}"

    def identity(self) -> str:
        return self._identity

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_filesystem"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _filesystem=threading.local())


def pictures_of(address: str) -> dict[str, dict[str, list[Any]]]:
    """Return the pictures below an address by part and class.

    Folders named `train`, `val` and `test` are parts, if there is one for training; the folders in them, or those of the address
    itself, are classes. Other files, and hidden ones, are passed over.

    Raises:
        DatasetError: There is no such folder, or there are no pictures in class folders.
    """
    from pyarrow.fs import FileSelector, FileType

    filesystem, root = opened(address)
    try:
        files = filesystem.get_file_info(FileSelector(root, recursive=True))
    except OSError as error:
        raise DatasetError(f"imagefolder: expected a folder at {address}; got {first_line(error)}.") from error
    found: dict[tuple[str, ...], list[Any]] = {}
    for file in sorted(files, key=lambda file: str(file.path)):
        within = PurePosixPath(file.path).relative_to(PurePosixPath(root)).parts
        hidden = any(part.startswith((".", "@")) for part in within)
        if file.type == FileType.File and not hidden and PurePosixPath(within[-1]).suffix.lower() in PICTURES:
            found.setdefault(within[:-1], []).append(file)
    with_parts = any(len(folder) > 1 and PARTS.get(folder[0].lower()) == "train" for folder in found)
    parts: dict[str, dict[str, list[Any]]] = {}
    for folder, pictures in found.items():
        part = PARTS.get(folder[0].lower(), "") if with_parts and folder else "train"
        classes = folder[1:] if with_parts else folder
        if part and classes:
            parts.setdefault(part, {}).setdefault(classes[0], []).extend(pictures)
    if "train" not in parts:
        raise DatasetError(f"imagefolder: expected one sub-folder of images a class in {address}; got no such images.")
    return parts
