"""Folders of pictures, of this machine or of a filesystem of pyarrow, whose files are known by their paths within the folder."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath
from posixpath import normpath
from typing import Any

from archsearch.errors import DatasetError, first_line
from archsearch.evaluators.datasets.folder_layout import PICTURES, folders, pictures
from archsearch.evaluators.datasets.image_source import FileList, ImageSource
from archsearch.evaluators.datasets.remote import RemoteFiles, is_remote, opened


class PictureFolder(ABC):
    """A folder with pictures at any depth. Its text is its path, for messages."""

    @classmethod
    def beside(cls, file: Path | str, folder: str = "") -> PictureFolder:
        """Return a folder that is named from the folder of a file on.

        Args:
            file: A file of this machine, or the address of one in a filesystem of pyarrow.
            folder: Path from the folder of the file on; or an address. Empty for the folder of the file itself.

        Raises:
            DatasetError: The filesystem cannot be read.
        """
        if is_remote(folder):
            return RemoteFolder.at(folder, opened(folder)[1])
        if isinstance(file, str) and is_remote(file):
            return RemoteFolder.at(file, normpath(PurePosixPath(opened(file)[1]).parent / folder))
        return LocalFolder(Path(file).parent / Path(folder).expanduser())

    @abstractmethod
    def exists(self) -> bool:
        """Return whether there is such a folder."""

    @abstractmethod
    def has(self, name: str) -> bool:
        """Return whether there is a file of this path."""

    @abstractmethod
    def has_stem(self, name: str) -> bool:
        """Return whether there is a file of this path with an ending."""

    @abstractmethod
    def folders(self) -> list[PictureFolder]:
        """Return the sub-folders by name, without hidden ones."""

    @abstractmethod
    def pictures(self) -> list[str]:
        """Return the paths of the pictures by name, without hidden ones."""

    @abstractmethod
    def source(self, names: Sequence[str]) -> ImageSource:
        """Return the files of these paths, which the folder has."""


class LocalFolder(PictureFolder):
    """A folder of this machine.

    Args:
        path: Its path.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def __str__(self) -> str:
        return str(self._path)

    def exists(self) -> bool:
        return self._path.is_dir()

    def has(self, name: str) -> bool:
        return (self._path / name).is_file()

    def has_stem(self, name: str) -> bool:
        literal = "".join(f"[{sign}]" if sign in "*?[" else sign for sign in name)
        return next(self._path.glob(f"{literal}.*"), None) is not None

    def folders(self) -> list[PictureFolder]:
        return [LocalFolder(folder) for folder in folders(self._path)]

    def pictures(self) -> list[str]:
        return [picture.relative_to(self._path).as_posix() for picture in pictures(self._path)]

    def source(self, names: Sequence[str]) -> ImageSource:
        return FileList(self._path / name for name in names)


class RemoteFolder(PictureFolder):
    """A folder of a filesystem of pyarrow, which is listed once.

    Args:
        address: An address that opens the filesystem.
        root: Path of the folder in it.
        files: What pyarrow says of each file of the filesystem below the folder, by its path.
    """

    def __init__(self, address: str, root: str, files: Mapping[str, Any]) -> None:
        self._address, self._root, self._files = address, root, files

    @classmethod
    def at(cls, address: str, root: str) -> RemoteFolder:
        """Return a folder after listing it; one that is not there has no files.

        Raises:
            DatasetError: The filesystem cannot be read.
        """
        from pyarrow.fs import FileSelector, FileType

        try:
            found = opened(address)[0].get_file_info(FileSelector(root, allow_not_found=True, recursive=True))
        except OSError as error:
            raise DatasetError(f"dataset: expected a folder that can be listed at {root}; got {first_line(error)}.") from error
        return cls(address, root, {file.path: file for file in found if file.type == FileType.File})

    def __str__(self) -> str:
        return self._root

    def exists(self) -> bool:
        return bool(self._files)

    def has(self, name: str) -> bool:
        return self._path(name) in self._files

    def has_stem(self, name: str) -> bool:
        return self._path(name) in self._stems

    def folders(self) -> list[PictureFolder]:
        names = sorted({within[0] for path in self._files if len(within := self._within(path)) > 1 and not _hidden(within)})
        found: list[PictureFolder] = []
        for name in names:
            root = self._path(name)
            files = {path: file for path, file in self._files.items() if path.startswith(f"{root}/")}
            found.append(RemoteFolder(self._address, root, files))
        return found

    def pictures(self) -> list[str]:
        every = (self._within(path) for path in sorted(self._files) if PurePosixPath(path).suffix.lower() in PICTURES)
        return ["/".join(within) for within in every if not _hidden(within)]

    def source(self, names: Sequence[str]) -> ImageSource:
        return RemoteFiles(self._address, [self._files[self._path(name)] for name in names])

    def _path(self, name: str) -> str:
        return (PurePosixPath(self._root) / name).as_posix()

    def _within(self, path: str) -> tuple[str, ...]:
        return PurePosixPath(path).relative_to(self._root).parts

    @cached_property
    def _stems(self) -> set[str]:
        return {PurePosixPath(path).with_suffix("").as_posix() for path in self._files}


def _hidden(within: Sequence[str]) -> bool:
    return any(part.startswith((".", "@", "__")) for part in within)
