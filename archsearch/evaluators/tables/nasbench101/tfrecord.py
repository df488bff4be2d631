"""Record files of TensorFlow, read without TensorFlow.

A file is a row of records, each a length (64 bits), a checksum of the length (32 bits), the content, and a checksum of the
content, all little-endian. A checksum is CRC-32C, rotated right by 15 bits, plus 0xA282EAD8. Source: TensorFlow's guide "Data
IO (Python functions)", section "TFRecords Format Details", and its tutorial "TFRecord and tf.train.Example".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from archsearch.errors import TableError
from archsearch.evaluators.tables.crc32c import CRC32C
from archsearch.evaluators.tables.draft import Progress

LONGEST = 4096
"""Bytes in the longest record that is read, to bound the table of the checksums; those of NAS-Bench-101 have some 400."""

_LENGTH, _HEADER, _TRAILER = 8, 12, 4
_MASK = np.uint32(0xA282EAD8)
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
    """Yield the records of a file, each after its checksums were found right. Memory stays below a few MB.

    Args:
        path: The file.
        progress: Called now and then with the bytes read and the bytes of the file.

    Raises:
        TableError: The file is missing, is no record file, ends in the middle of a record, or fails a checksum.
    """
    if not path.is_file():
        raise TableError(f"tfrecord: expected a record file; there is none at {path}. Check the path.")
    number, offset, rest, size = 0, 0, b"", path.stat().st_size
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            buffer = rest + block
            starts, ends = _whole_records(buffer)
            _check(path, buffer, starts, ends, number, offset)
            for start, end in zip(starts, ends, strict=True):
                yield Record(number, offset + start - _HEADER, buffer[start:end])
                number += 1
            done = ends[-1] + _TRAILER if ends else 0
            rest, offset = buffer[done:], offset + done
            _check_begun(path, rest, number, offset)
            if progress is not None:
                progress(offset + len(rest), size)
    if rest:
        needed = f" and takes {_needed(rest)} bytes" if len(rest) >= _HEADER else ""
        raise TableError(
            f"{path.name}: the file ends in the middle of record {number}, which begins at byte {offset}{needed}; "
            f"{len(rest)} bytes of it are there. The download is not complete: fetch the file again."
        )


def _needed(record: bytes) -> int:
    """Return how many bytes a record takes, with length and checksums."""
    length: int = _length.unpack_from(record)[0]
    return _HEADER + length + _TRAILER


def _whole_records(buffer: bytes) -> tuple[list[int], list[int]]:
    """Return where the contents of the records begin and end, as far as the records are whole."""
    starts, ends, place, size = [], [], 0, len(buffer)
    while place + _HEADER <= size:
        end = place + _HEADER + _length.unpack_from(buffer, place)[0]
        if end + _TRAILER > size:
            break
        starts.append(place + _HEADER)
        ends.append(end)
        place = end + _TRAILER
    return starts, ends


def _check(path: Path, buffer: bytes, starts: list[int], ends: list[int], number: int, offset: int) -> None:
    """Refuse whole records of which a checksum fails, the first of them having this number."""
    if not starts:
        return
    begin, end = np.array(starts), np.array(ends)
    lengths_right = _right(buffer, begin - _HEADER, begin - _HEADER + _LENGTH)
    short = end - begin <= LONGEST
    # Behind a wrong length, records are not where they seem to be.
    known = len(begin) if (sound := lengths_right & short).all() else int(np.argmin(sound))
    right = _right(buffer, begin[:known], end[:known]) if known else np.ones(0, dtype=bool)
    if right.all() and known == len(begin):
        return
    bad = known if right.all() else int(np.argmin(right))
    place = offset + starts[bad] - _HEADER
    if bad == known and lengths_right[bad]:
        raise TableError(_too_long(path, number + bad, place, ends[bad] - starts[bad]))
    raise TableError(_damaged(path, number + bad, place, "content" if bad < known else "length"))


def _check_begun(path: Path, rest: bytes, number: int, offset: int) -> None:
    """Refuse a record that has begun with a wrong length, before all that it asks for is read."""
    if len(rest) < _HEADER:
        return
    if not _right(rest[:_HEADER], np.array([0]), np.array([_LENGTH]))[0]:
        raise TableError(_damaged(path, number, offset, "length"))
    if (length := _length.unpack_from(rest)[0]) > LONGEST:
        raise TableError(_too_long(path, number, offset, length))


def _right(buffer: bytes, starts: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return whether each piece of at most `LONGEST` bytes is followed by its checksum."""
    values = np.frombuffer(buffer, dtype=np.uint8)
    stored = values[ends[:, None] + np.arange(_TRAILER)].copy().view("<u4")[:, 0]
    plain = _checksums()(values, starts, ends)
    masked = (plain >> np.uint32(15) | plain << np.uint32(17)) + _MASK
    equal: NDArray[np.bool_] = masked == stored
    return equal


@cache
def _checksums() -> CRC32C:
    return CRC32C(LONGEST)


def _damaged(path: Path, number: int, offset: int, part: str) -> str:
    if number == 0 and part == "length":
        return f"{path.name}: expected a TFRecord file; the checksum at its begin is wrong. Give the path of another file."
    return (
        f"{path.name}: record {number}, which begins at byte {offset}, is damaged: its {part} does not fit its checksum. "
        "Fetch the file again."
    )


def _too_long(path: Path, number: int, offset: int, length: int) -> str:
    return (
        f"{path.name}: record {number}, which begins at byte {offset}, has {length} bytes; those of NAS-Bench-101 have at most "
        f"{LONGEST}. Give the path of another file."
    )
