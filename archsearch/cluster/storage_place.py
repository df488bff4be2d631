"""The storage of runs: a folder of this machine, or one of an S3 bucket with a local copy of its small files."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

from archsearch.credentials import MASK, has_credentials
from archsearch.errors import ConfigurationError, RunError, first_line
from archsearch.evaluators.cache import cache_folder

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

# Schemes as people write them, also with a slash too few, as in the `Path` of a URI. Other words before a colon are names.
_OF_WINDOWS = re.compile(r"[A-Za-z]:\\|\\\\")
_SCHEME = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]+):(?P<slashes>/*)(?P<rest>.*)", re.DOTALL)
_KNOWN = {"file", "s3", "s3a", "s3n", "gs", "gcs", "abfs", "abfss", "az", "wasb", "wasbs", "adl", "hdfs", "viewfs", "dbfs"}
_KNOWN |= {"memory", "mock", "http", "https", "ftp", "sftp", "ssh", "webdav", "r2", "oss", "cos", "sqlite"}
# Files of Ray Tune, which nothing reads later, and unfinished files.
_LEFT_OUT = ("tune", ".")


@dataclass
class StoragePlace:
    """A folder of this machine, or a folder of an S3 bucket that `local` is the working copy of.

    Args:
        address: Absolute path, or `s3://BUCKET/FOLDER?region=...` without credentials.
        local: The folder itself, or its working copy in the cache folder.
    """

    address: str
    local: Path
    _known: dict[str, tuple[int, int]] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, storage: str | Path, argument: str = "storage") -> StoragePlace:
        """Return the place that a path or a URI names; nothing is read or written.

        Args:
            storage: A path, `file:///PATH`, or `s3://BUCKET/FOLDER`, with pyarrow's parameters such as `endpoint_override`.
            argument: Name of the argument, for error messages.

        Raises:
            ConfigurationError: It is a URI of another kind, has credentials in it, or names no folder.
        """
        text = str(storage)
        if os.name != "nt" and _OF_WINDOWS.match(text):
            raise ConfigurationError(
                f"{argument}: expected the path of a folder of this machine; got {text!r}, a path of Windows. "
                "Mount other storage as a folder, such as /mnt/c/runs."
            )
        match = _SCHEME.fullmatch(text)
        if match is None or not (match["slashes"] or match["scheme"].lower() in _KNOWN):
            return cls._of_path(text, argument)
        scheme = match["scheme"].lower()
        if has_credentials(f"{scheme}://{match['rest']}") or MASK in match["rest"]:
            raise ConfigurationError(
                f"{argument}: expected an address without a key or password, because it is written to the run's settings; got "
                f"{scheme}://{match['rest']}. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment, or use ~/.aws."
            )
        if scheme == "file" and match["slashes"]:
            return cls._of_path(_local_path(text, match, argument), argument)
        path, query, options = match["rest"].partition("?")
        parts = [unquote(part) for part in path.split("/") if part]
        if scheme == "s3" and match["slashes"] and parts and not {".", ".."} & set(parts):
            server = hashlib.blake2b(options.encode(), digest_size=8).hexdigest()
            local = cache_folder().absolute().joinpath("storage", server, *parts)
            return cls(f"s3://{path.strip('/')}{query}{options}", local)
        raise ConfigurationError(
            f"{argument}: expected a folder: a path, file:///PATH or s3://BUCKET/FOLDER; got {text!r}. Mount other storage as a "
            "folder; storage that also speaks the protocol of S3 can be given as s3://BUCKET/FOLDER?endpoint_override=HOST."
        )

    @classmethod
    def _of_path(cls, text: str, argument: str) -> StoragePlace:
        try:
            path = Path(text).expanduser().absolute()
        except (RuntimeError, ValueError) as error:  # an unknown ~USER
            raise RunError(f"{argument}: expected the path of a folder; got {text!r} ({error}).") from error
        return cls(str(path), path)

    @property
    def is_remote(self) -> bool:
        """Whether it is in a bucket."""
        return self.address != str(self.local)

    @property
    def name(self) -> str:
        """Last part of the path."""
        return unquote(self.address.partition("?")[0].rpartition("/")[2]) if self.is_remote else self.local.name

    def child(self, name: str) -> StoragePlace:
        """Return the folder `name` in this one."""
        if not self.is_remote:
            return StoragePlace(str(self.local / name), self.local / name)
        path, query, options = self.address.partition("?")
        return StoragePlace(f"{path}/{quote(name)}{query}{options}", self.local / name)

    def parent(self) -> StoragePlace:
        """Return the folder that this one is in."""
        if not self.is_remote:
            return StoragePlace.of(self.local.parent)
        path, query, options = self.address.partition("?")
        return StoragePlace.of(f"{path.rpartition('/')[0]}{query}{options}")

    def holds(self, name: str) -> bool:
        """Return whether there is a file of this name.

        Raises:
            RunError: The bucket cannot be read.
        """
        if not self.is_remote:
            return (self.local / name).is_file()
        with self._access("read") as (files, base):
            return bool(files.get_file_info(f"{base}/{name}").is_file)

    def text(self, name: str) -> str | None:
        """Return the content of a text file as it is stored, or None if there is no such file; no copy is made.

        Raises:
            RunError: The bucket cannot be read.
        """
        if not self.is_remote:
            return (self.local / name).read_text(encoding="utf-8") if (self.local / name).is_file() else None
        with self._access("read") as (files, base):
            if not files.get_file_info(f"{base}/{name}").is_file:
                return None
            with files.open_input_stream(f"{base}/{name}") as stream:
                return bytes(stream.read()).decode("utf-8")

    def names(self, file: str) -> list[str]:
        """Return the names of the folders in this one that hold a file of this name.

        Raises:
            RunError: The bucket cannot be read.
        """
        if not self.is_remote:
            return sorted(found.parent.name for found in self.local.glob(f"*/{file}")) if self.local.is_dir() else []
        from pyarrow.fs import FileSelector

        with self._access("read") as (files, base):
            infos = files.get_file_info(FileSelector(base, allow_not_found=True))
            folders = [info.base_name for info in infos if not info.is_file]
            found = files.get_file_info([f"{base}/{folder}/{file}" for folder in folders]) if folders else []
        return sorted(folder for folder, info in zip(folders, found, strict=True) if info.is_file)

    def download(self) -> None:
        """Replace the working copy by the files in the bucket; of a local folder, do nothing.

        Raises:
            RunError: The bucket cannot be read, or the copy cannot be written.
        """
        if not self.is_remote:
            return
        from pyarrow.fs import FileSelector

        with self._access("read") as (files, base):
            shutil.rmtree(self.local, ignore_errors=True)
            self.local.mkdir(parents=True)
            for info in files.get_file_info(FileSelector(base, recursive=True, allow_not_found=True)):
                name = info.path.removeprefix(f"{base}/")
                if info.is_file and not _is_left_out(name):
                    (self.local / name).parent.mkdir(parents=True, exist_ok=True)
                    with files.open_input_stream(info.path) as stream:
                        (self.local / name).write_bytes(stream.read())
        self._known = self._listed()

    def upload(self) -> None:
        """Write the files of the working copy that have changed to the bucket; of a local folder, do nothing.

        Raises:
            RunError: The bucket cannot be written.
        """
        if not self.is_remote:
            return
        listed = self._listed()
        with self._access("write to") as (files, base):
            for name, state in listed.items():
                if self._known.get(name) != state:
                    with files.open_output_stream(f"{base}/{name}") as stream:
                        stream.write((self.local / name).read_bytes())
                    self._known[name] = state
            for name in self._known.keys() - listed.keys():
                files.delete_file(f"{base}/{name}")
                del self._known[name]

    def check_writable(self) -> None:
        """Raise RunError unless this process can write to the bucket, read what it wrote, and remove it; a local folder passes.

        Raises:
            RunError: The bucket cannot be used.
        """
        if not self.is_remote:
            return
        token = uuid.uuid4().hex
        with self._access("write to") as (files, base):
            path = f"{base}/.archsearch-{token}"
            with files.open_output_stream(path) as stream:
                stream.write(token.encode())
            with files.open_input_stream(path) as stream:
                read = stream.read()
            files.delete_file(path)
            if read != token.encode():
                raise OSError("what is written there is not what is read")

    def _listed(self) -> dict[str, tuple[int, int]]:
        """Return modification time and size of each file of the working copy."""
        found = {}
        for path in sorted(self.local.rglob("*")):
            name = path.relative_to(self.local).as_posix()
            if not _is_left_out(name) and path.is_file():
                state = path.stat()
                found[name] = (state.st_mtime_ns, state.st_size)
        return found

    @contextmanager
    def _access(self, verb: str) -> Iterator[tuple[FileSystem, str]]:
        """Yield the file system and the path in it; turn its errors into RunError."""
        from pyarrow import ArrowException

        from archsearch.cluster.storage import open_folder

        try:
            yield open_folder(self.address)
        except (OSError, ArrowException) as error:
            raise RunError(
                f"storage: cannot {verb} {self.address} ({first_line(error)}); check the name, the credentials "
                "(AWS_ACCESS_KEY_ID, ~/.aws) and, for storage other than Amazon's, ?endpoint_override=HOST."
            ) from error


def local_folder(path: str | Path, argument: str) -> Path:
    """Return the path of a folder of this machine, given as a path or as `file:///PATH`.

    Raises:
        ConfigurationError: It is another URI.
    """
    place = StoragePlace.of(path, argument)
    if place.is_remote:
        raise ConfigurationError(
            f"{argument}: expected a folder of this machine; got {place.address!r}. Give a path, and copy the folder afterwards."
        )
    return place.local if _SCHEME.fullmatch(str(path)) else Path(path)


def _local_path(text: str, match: re.Match[str], argument: str) -> str:
    """Return the path in a URI `file:///PATH`."""
    if len(match["slashes"]) == 2:  # file://HOST/PATH
        parts = urlsplit(text)
        if parts.netloc.lower() != "localhost":
            raise ConfigurationError(
                f"{argument}: expected file:///PATH, an absolute path on this machine; got {text!r}. Give a plain path."
            )
        return unquote(parts.path)
    return unquote("/" + match["rest"])


def _is_left_out(name: str) -> bool:
    return name.split("/", 1)[0] == _LEFT_OUT[0] or name.rsplit("/", 1)[-1].startswith(_LEFT_OUT[1])
