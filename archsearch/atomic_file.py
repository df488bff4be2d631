"""Atomic replacement of local files."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def written_atomically(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside `path`; at the end, what was written there replaces `path` in one step.

    Other processes see the old file or the new one, never a part. If the block raises, the old file stays and the temporary one
    is deleted, so that a full disk has room for the next try. Several processes may write the same path at once; the last wins.

    Args:
        path: Local file to create or replace; its folder exists.
        durable: Whether the file must survive a power cut, and not only the death of this process. Costs one or two fsyncs.

    Raises:
        OSError: The file cannot be written.

    Example:
        >>> from pathlib import Path
        >>> with written_atomically(Path("/tmp/archsearch-example.txt")) as temporary:
        ...     _ = temporary.write_text("complete")
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        yield temporary
        if durable:
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    if durable:
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make the rename itself survive a power cut; a no-op where folders cannot be opened (Windows)."""
    with suppress(PermissionError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
