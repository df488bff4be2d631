"""The bytes of pickles, read from a stream a block at a time."""

from __future__ import annotations

import zlib
from typing import NoReturn, Protocol
from zipfile import BadZipFile

from archsearch.errors import TableError

_BLOCK = 1 << 20
_LONGEST_LINE = 256


class Readable(Protocol):
    """What bytes can be read from."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes; none at the end."""


class PickleStream:
    """A buffer in front of a stream.

    Args:
        stream: The bytes.
        name: Of the file, for messages.

    Attributes:
        buffer: Bytes that were read.
        place: Byte of the buffer that comes next.
    """

    AHEAD = 16
    """Bytes that are in the buffer after `fetch`, unless the stream ends before."""

    def __init__(self, stream: Readable, name: str) -> None:
        self._stream, self.name = stream, name
        self.buffer, self.place, self._before = b"", 0, 0

    @property
    def offset(self) -> int:
        """Bytes of the stream that were used."""
        return self._before + self.place

    def fetch(self, wanted: int) -> None:
        """See to it that `wanted` bytes are in the buffer, and `AHEAD` if there are as many.

        Raises:
            TableError: The stream ends before, or is damaged.
        """
        parts, size = [self.buffer[self.place :]], len(self.buffer) - self.place
        self._before, self.place = self.offset, 0
        while size < max(wanted, self.AHEAD) and (block := self._read()):
            parts.append(block)
            size += len(block)
        self.buffer = b"".join(parts)
        if size < wanted:
            self.ended()

    def _read(self) -> bytes:
        try:
            return self._stream.read(_BLOCK)
        except EOFError:  # compressed data end too early
            return b""
        except (OSError, zlib.error, BadZipFile) as error:
            raise TableError(
                f"{self.name}: the file is damaged behind byte {self.offset} of its content ({error}). Fetch it again."
            ) from error

    def ended(self) -> NoReturn:
        raise TableError(
            f"{self.name}: the file ends in the middle, behind byte {self.offset} of its content. The download is not complete: "
            "fetch the file again."
        )

    def take(self, size: int) -> bytes:
        """Return the next bytes."""
        end = self.place + size
        if end > len(self.buffer):
            self.fetch(size)
            end = size
        content = self.buffer[self.place : end]
        self.place = end
        return content

    def line(self) -> str:
        """Return the text up to the next end of a line, which is left out."""
        line = bytearray()
        while (byte := self.take(1)) != b"\n":
            line += byte
            if len(line) > _LONGEST_LINE:
                raise ValueError(f"a name of more than {_LONGEST_LINE} bytes")
        return line.decode()
