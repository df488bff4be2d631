"""Checkpoints of candidates whose evaluation can go on, in a folder of any pyarrow file system."""

from __future__ import annotations

import hashlib
import io
import logging
import math
import time
import zlib
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.fs as pafs

from archsearch.cluster.packed_tensors import packed, unpacked
from archsearch.cluster.storage import open_folder, write_atomically
from archsearch.errors import ConfigurationError, RunError, check_kind, check_whole_number, first_line

logger = logging.getLogger(__name__)

_SUFFIX, _UNFINISHED = ".pt", ".tmp"
_GIGABYTE = 1e9
# After this time a file that is not finished is one whose writer was killed.
_ABANDONED_SECONDS = 3600.0
_VERSION = 1
# Bytes of the number that a file begins with: how many bytes of plain data follow, before those of the tensors.
_LENGTH = 8


@dataclass(frozen=True, slots=True)
class _File:
    """A checkpoint file. Its name, `FIDELITY~SCORE~CHECKSUM.pt`, says what is chosen by; its folder is that of the candidate."""

    path: str
    folder: str
    fidelity: int
    score: float
    checksum: str
    size: int
    written: float

    @classmethod
    def of(cls, info: pafs.FileInfo) -> _File | None:
        """Return what the name says; None if it is not that of a checkpoint."""
        parts = info.base_name.removesuffix(_SUFFIX).split("~")
        if info.type != pafs.FileType.File or not info.base_name.endswith(_SUFFIX) or len(parts) != 3:
            return None
        try:
            fidelity, score = int(parts[0]), float(parts[1])
        except ValueError:
            return None
        folder = info.path.split("/")[-2]
        return cls(info.path, folder, fidelity, score, parts[2], info.size or 0, (info.mtime_ns or 0) / 1e9)


class CheckpointStore:
    """The newest checkpoint of each candidate of one evaluator and seed.

    Checkpoints are a help, not a record: what cannot be written or read is logged, and the evaluation pays its steps again. Files
    are written atomically, checked by a checksum in their name, and read without running code. Several processes may use
    the folder at once; for one candidate the checkpoint with the highest fidelity counts. It can be pickled.

    Args:
        root: Folder of all checkpoints: a local path, or a URI such as `s3://bucket/folder`.
        evaluator: Fingerprint of the evaluator.
        seed: Seed of the evaluator.
        limit_gb: Gigabytes (1e9 bytes) that `trim` leaves to the checkpoints of this evaluator and seed.
        filesystem: File system in which `root` is a path; None takes the local one, or that of the URI.

    Raises:
        ConfigurationError: `limit_gb` is not a number above 0, or another argument is of another type.

    Example:
        >>> import tempfile
        >>> from archsearch.cluster import CheckpointStore
        >>> store = CheckpointStore(tempfile.mkdtemp(), evaluator="0123456789abcdef", seed=0, limit_gb=1.0)
        >>> store.save("a-key", 3, {"epoch": 3}, score=0.9)
        True
        >>> store.load("a-key")
        (3, {'epoch': 3})
    """

    def __init__(
        self,
        root: str | Path,
        evaluator: str,
        seed: int,
        limit_gb: float,
        filesystem: pafs.FileSystem | None = None,
    ) -> None:
        check_kind("root", root, (str, Path), "the path of a folder, or a URI")
        check_kind("evaluator", evaluator, str, "the fingerprint of an evaluator, evaluator.fingerprint()")
        check_whole_number("seed", seed, 0)
        if isinstance(limit_gb, bool) or not isinstance(limit_gb, int | float) or not 0.0 < limit_gb < math.inf:
            raise ConfigurationError(f"checkpoint_gb: expected gigabytes above 0, such as 10.0; got {limit_gb!r}.")
        self.evaluator, self.seed, self.limit_gb = evaluator, seed, float(limit_gb)
        self.files, base = (filesystem, str(root).rstrip("/")) if filesystem else open_folder(str(root))
        self.folder = f"{base}/{evaluator}/{seed}"
        self._made: set[str] = set()  # candidates whose folder is there
        self._is_plain, self._warned = False, False

    def save(self, key: str, fidelity: int, state: Mapping[str, Any], score: float, durable: bool = False) -> bool:
        """Write the checkpoint of a candidate in place of its former ones, and return whether that succeeded.

        If not, the reason is logged once until a checkpoint can be written again, and the former ones stay.

        Args:
            key: Canonical key of the candidate.
            fidelity: Fidelity that is reached, such as the number of epochs.
            state: `EvaluationSteps.state()`: tensors and plain data.
            score: Score at this fidelity; `trim` deletes the worst first.
            durable: Whether a local file must survive a power cut, and not only the death of this process.
        """
        check_whole_number("fidelity", fidelity)
        try:
            content = self._content(key, fidelity, state)
            folder = self._folder_of(key)
            if key not in self._made:
                self.files.create_dir(folder, recursive=True)
                self._made.add(key)
            path = f"{folder}/{fidelity:08d}~{float(score)!r}~{_checksum(content)}{_SUFFIX}"
            write_atomically(self.files, path, content, durable=durable)
        except (OSError, pa.ArrowException, RunError) as error:
            self._made.discard(key)  # another process may have removed the folder
            if not self._warned:
                self._warned = True
                logger.warning(
                    "checkpoint: cannot write to %s (%s); the evaluation goes on without a checkpoint. Should it be "
                    "stopped, its steps are paid again. Make room there, or choose another storage.",
                    self.folder,
                    first_line(error),
                )
            return False
        self._warned = False
        for other in self._of(key):
            if other.path != path and other.fidelity <= fidelity:
                self._delete(other.path)
        return True

    def load(self, key: str, expected: int = 0) -> tuple[int, dict[str, Any]] | None:
        """Return fidelity and state of the newest checkpoint of a candidate that can be read; None if there is none.

        A line is logged for each that is corrupt or foreign (of another candidate, evaluator or seed), and if the newest is
        missing: it says which steps are paid again.

        Args:
            key: Canonical key of the candidate.
            expected: Fidelity that is known to be paid; 0 if none is.
        """
        for file in sorted(self._of(key), key=lambda each: (each.fidelity, each.written), reverse=True):
            try:
                state = self._read(key, file)
            except (OSError, pa.ArrowException, ValueError) as error:
                logger.warning(
                    "checkpoint: %s cannot be used (%s); the steps of %s up to %d are paid again, unless an older checkpoint is "
                    "there.",
                    file.path,
                    first_line(error),
                    key,
                    file.fidelity,
                )
                continue
            if file.fidelity < expected:
                logger.warning(
                    "checkpoint: the newest of %s is after %d of %d steps; the others are paid again.",
                    key,
                    file.fidelity,
                    expected,
                )
            return file.fidelity, state
        if expected:
            logger.warning("checkpoint: there is none of %s in %s; all its %d steps are paid again.", key, self.folder, expected)
        return None

    def delete(self, key: str) -> None:
        """Delete the checkpoints of a candidate, if there are any."""
        self._made.discard(key)
        with suppress(OSError, pa.ArrowException):
            self.files.delete_dir(self._folder_of(key))

    def trim(self, protected: Collection[str] = ()) -> int:
        """Delete checkpoints until the others fit into `limit_gb`, and return how many were deleted.

        First go those whose places in the order of scores, worst first, and in that of ages, oldest first, have the smallest sum.
        Files that a killed process left unfinished go in any case.

        Args:
            protected: Keys of candidates whose checkpoints stay in any case: the best of a run, and those in evaluation.
        """
        infos = self._listed(self.folder, recursive=True)
        for info in infos:
            if info.base_name.endswith(_UNFINISHED) and time.time() - (info.mtime_ns or 0) / 1e9 > _ABANDONED_SECONDS:
                self._delete(info.path)
        files = [file for file in map(_File.of, infos) if file is not None]
        excess = sum(file.size for file in files) - self.limit_gb * _GIGABYTE
        kept = {_name(key) for key in protected}
        deleted = 0
        for file in _least_wanted_first([file for file in files if file.folder not in kept]):
            if excess <= 0:
                break
            self._delete(file.path)
            excess, deleted = excess - file.size, deleted + 1
        if excess > 0:
            logger.warning(
                "checkpoint: those of the best candidates and of those in evaluation are %.3g GB more than checkpoint_gb, %g; "
                "give more.",
                excess / _GIGABYTE,
                self.limit_gb,
            )
        return deleted

    def size(self) -> int:
        """Return the bytes of all checkpoints of the evaluator and seed."""
        return sum(info.size or 0 for info in self._listed(self.folder, recursive=True) if info.type == pafs.FileType.File)

    def _content(self, key: str, fidelity: int, state: Mapping[str, Any]) -> bytes:
        """Return the bytes of a checkpoint.

        Raises:
            RunError: The state has other objects in it than tensors and plain data, or memory does not suffice.
        """
        import torch  # seconds, and only for those who write or read a checkpoint

        stream = io.BytesIO()
        try:
            plain, tensors = packed(state)
            torch.save({**self._identity(key), "fidelity": fidelity, "state": plain}, stream)
            if not self._is_plain:  # whether it can be read again is found out once
                stream.seek(0)
                torch.load(stream, map_location="cpu", weights_only=True)
                self._is_plain = True
        except Exception as error:  # pickle and torch raise whatever the objects lead them to
            raise RunError(f"the state is not one of tensors and plain data alone: {first_line(error)}") from error
        head = stream.getvalue()
        return b"".join([len(head).to_bytes(_LENGTH, "little"), head, *tensors])

    def _read(self, key: str, file: _File) -> dict[str, Any]:
        """Return the state in a file.

        Raises:
            OSError: It cannot be read.
            ArrowException: As above.
            ValueError: It is corrupt or foreign.
        """
        import torch

        with self.files.open_input_file(file.path) as stream:
            content = stream.read()
        if _checksum(content) != file.checksum:
            raise ValueError("it is corrupt: its content does not match the checksum in its name")
        try:
            end = _LENGTH + int.from_bytes(content[:_LENGTH], "little")
            found = torch.load(io.BytesIO(content[_LENGTH:end]), map_location="cpu", weights_only=True)
        except Exception as error:  # it was written by another program
            raise ValueError(f"it is no checkpoint: {first_line(error)}") from error
        expected = {**self._identity(key), "fidelity": file.fidelity}
        if not isinstance(found, dict) or not isinstance(found.get("state"), dict):
            raise ValueError("it is no checkpoint")
        for name, value in expected.items():
            if found.get(name) != value:
                raise ValueError(f"it is foreign: expected the {name} {value!r}; got {found.get(name)!r}")
        try:
            return unpacked(found["state"], np.frombuffer(content, np.uint8)[end:])
        except (LookupError, TypeError, ValueError, RuntimeError, AttributeError) as error:
            raise ValueError(f"it is no checkpoint: {first_line(error)}") from error

    def _identity(self, key: str) -> dict[str, Any]:
        return {"version": _VERSION, "key": key, "evaluator": self.evaluator, "seed": self.seed}

    def _of(self, key: str) -> list[_File]:
        """Return the checkpoints of a candidate."""
        return [file for file in map(_File.of, self._listed(self._folder_of(key))) if file is not None]

    def _listed(self, folder: str, recursive: bool = False) -> list[pafs.FileInfo]:
        """Return the files in a folder; none if it cannot be read, which is logged."""
        try:
            found: list[pafs.FileInfo] = self.files.get_file_info(
                pafs.FileSelector(folder, allow_not_found=True, recursive=recursive)
            )
        except FileNotFoundError:  # a folder in it was removed meanwhile
            return []
        except (OSError, pa.ArrowException) as error:
            logger.warning("checkpoint: cannot read %s (%s).", folder, first_line(error))
            return []
        return found

    def _folder_of(self, key: str) -> str:
        return f"{self.folder}/{_name(key)}"

    def _delete(self, path: str) -> None:
        with suppress(OSError, pa.ArrowException):  # another process has deleted it, or this one may not
            self.files.delete_file(path)


def _least_wanted_first(files: list[_File]) -> list[_File]:
    """Return the files by the sum of their places among the scores, worst first, and the ages, oldest first."""
    places = dict.fromkeys((file.path for file in files), 0)
    by_score = sorted(files, key=lambda file: (not math.isnan(file.score), file.score, file.path))
    by_age = sorted(files, key=lambda file: (file.written, file.path))
    for order in (by_score, by_age):
        for place, file in enumerate(order):
            places[file.path] += place
    return sorted(by_score, key=lambda file: places[file.path])  # of equals the worst first


def _name(key: str) -> str:
    """Return the name of a candidate's folder; keys may hold any characters."""
    return hashlib.blake2b(key.encode(), digest_size=10).hexdigest()


def _checksum(content: bytes) -> str:
    """Return the CRC-32 of a file's content, which differs for each single wrong bit; a longer digest takes six times as long."""
    return f"{zlib.crc32(content):08x}"
