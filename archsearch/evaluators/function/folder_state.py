"""The files of a folder as tensors, and tensors as files: the checkpoint of a function as the state of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import torch
from torch import Tensor

from archsearch.errors import ConfigurationError


def files_of(folder: Path) -> dict[str, Tensor]:
    """Return the content of each file in a folder and its sub-folders, `[bytes]` uint8, by its path in the folder."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return {path.relative_to(folder).as_posix(): _tensor(path.read_bytes()) for path in paths}


def write_files(files: Mapping[str, Tensor], folder: Path) -> None:
    """Write what `files_of` returned into an empty folder.

    Raises:
        ConfigurationError: A path leads out of the folder, or the content is not `[bytes]` uint8.
    """
    for name, content in files.items():
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise ConfigurationError(f"state: expected files in the checkpoint folder; got the path {name!r}.")
        if not isinstance(content, Tensor) or content.dtype != torch.uint8 or content.ndim != 1:
            raise ConfigurationError(f"state: expected the bytes of the file {name!r} as a uint8 tensor.")
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.cpu().numpy().tobytes())


def _tensor(content: bytes) -> Tensor:
    # A buffer of a bytearray can be written to, which torch asks for; an empty one it does not take.
    return torch.frombuffer(bytearray(content), dtype=torch.uint8) if content else torch.zeros(0, dtype=torch.uint8)
