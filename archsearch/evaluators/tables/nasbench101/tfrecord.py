"""Record files of TensorFlow, read without TensorFlow.

A file is a sequence of records, each a length (64 bits), a checksum of the length (32 bits), the content, and a checksum of the
content, all little-endian. Source: TensorFlow's tutorial "TFRecord and tf.train.Example", section "TFRecords format details".

The checksums (CRC-32C) are not compared: the reader of NAS-Bench-101 compares the SHA-256 of the official files instead. What is
checked here are the lengths, so that a file of another kind, or one that is cut short, is refused.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from archsearch.errors import TableError
from archsearch.evaluators.tables.draft import Progress

LONGEST = 4096
"""Bytes in the longest record that is read; those of NAS-Bench-101 have some 400."""

_HEADER, _TRAILER = 12, 4
_BLOCK = 1 << 17
_length = struct.Struct("<Q")


class Record(NamedTuple):
    """A record of a file.

    Attributes:
        number: Its place in the file, from 0.
        offset: Byte of the file at which it begins.
        data: Its content.
    """

    number: int
    offset: int
    data: bytes


def read_records(path: Path, *, progress: Progress | None = None) -> Iterator[Record]:
    """Yield the records of a file. Memory stays below a few MB.

    Args:
        path: The file.
        progress: Called repeatedly with the bytes read and the bytes of the file.

    Raises:
        TableError: The file is missing, is no record file, ends in the middle of a record, or has one that is too long.
    """
    if not path.is_file():
        raise TableError(f"tfrecord: expected a record file; there is none at {path}. Check the path.")
    number, offset, rest, size = 0, 0, b"", path.stat().st_size
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            buffer, place = rest + block, 0
            while place + _HEADER <= len(buffer):
                begin = place + _HEADER
                end = begin + _length.unpack_from(buffer, place)[0]
                if end - begin > LONGEST:
                    raise TableError(_too_long(path, number, offset + place, end - begin))
                if end + _TRAILER > len(buffer):
                    break
                yield Record(number, offset + place, buffer[begin:end])
                number, place = number + 1, end + _TRAILER
            rest, offset = buffer[place:], offset + place
            if progress is not None:
                progress(offset + len(rest), size)
    if rest:
        needed = f" and takes {_HEADER + _length.unpack_from(rest)[0] + _TRAILER} bytes" if len(rest) >= _HEADER else ""
        raise TableError(
            f"{path.name}: the file ends in the middle of record {number}, which begins at byte {offset}{needed}; "
            f"{len(rest)} bytes of it are there. The download is not complete: fetch the file again."
        )


def _too_long(path: Path, number: int, offset: int, length: int) -> str:
    if number == 0:
        return (
            f"{path.name}: expected a TFRecord file of NAS-Bench-101; its first record would have {length} bytes, and theirs "
            f"have at most {LONGEST}. Give the path of another file."
        )
    return (
        f"{path.name}: record {number}, which begins at byte {offset}, has {length} bytes; those of NAS-Bench-101 have at most "
        f"{LONGEST}. The file is corrupt or of another kind: fetch it again, or give the path of another file."
    )
