"""The wire format of protocol buffers, as far as messages of numbers and messages need it.

A message is a row of fields: a tag (number of the field times 8, plus the type of its value), then the value. Source: the
guide "Encoding" of the protocol buffers. The library itself would have to be a dependency, and needs generated code.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_double = struct.Struct("<d")
_float = struct.Struct("<f")


def fields(message: bytes) -> Iterator[tuple[int, int | float | bytes]]:
    """Yield number and value of each field of a message.

    Values of 64 and of 32 bits are taken as floating-point numbers; groups, which are out of use, are refused.

    Raises:
        ValueError, struct.error: The bytes are no message, or end in the middle of a field.
    """
    place, size = 0, len(message)
    while place < size:
        tag, place = (message[place], place + 1) if message[place] < 0x80 else _varint(message, place)
        number, kind = tag >> 3, tag & 7
        if kind == _FIXED64:
            yield number, _double.unpack_from(message, place)[0]
            place += 8
        elif kind == _BYTES:
            length, place = _varint(message, place)
            if place + length > size:
                raise ValueError(f"field {number} takes {length} bytes; {size - place} are there")
            yield number, message[place : place + length]
            place += length
        elif kind == _VARINT:
            value, place = _varint(message, place)
            yield number, value
        elif kind == _FIXED32:
            yield number, _float.unpack_from(message, place)[0]
            place += 4
        else:
            raise ValueError(f"field {number} is of the unknown type {kind}")


def _varint(message: bytes, place: int) -> tuple[int, int]:
    """Return a whole number, seven bits a byte, and where it ends."""
    value = shift = 0
    while place < len(message) and shift < 64:
        byte = message[place]
        value |= (byte & 0x7F) << shift
        place += 1
        if byte < 0x80:
            return value, place
        shift += 7
    raise ValueError("a whole number has no end")
