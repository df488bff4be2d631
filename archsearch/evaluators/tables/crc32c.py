"""CRC-32C (Castagnoli), of many pieces of a buffer at once.

Polynomial 0x11EDC6F41, bits reflected, register started with ones and complemented at the end: RFC 3720, section 12.1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_REFLECTED = np.uint32(0x82F63B78)
_ONES = np.uint32(0xFFFFFFFF)


class CRC32C:
    """Checksums of pieces of at most `longest` bytes.

    A CRC is linear: the register after a piece is the exclusive or of what each of its bytes alone would leave behind, and of
    what the ones do that it started with. So each byte looks up its share, by its value and its distance from the end.

    Args:
        longest: Bytes in the longest piece; the table of shares takes as many KiB.
    """

    def __init__(self, longest: int) -> None:
        self._shares = np.zeros((longest + 1, 256), dtype=np.uint32)  # the first row is for bytes that belong to no piece
        self._started = np.full(longest + 1, _ONES)
        last = _last_byte()
        for length in range(1, longest + 1):
            self._shares[length] = last if length == 1 else _after_zero(self._shares[length - 1], last)
            self._started[length] = _after_zero(self._started[length - 1], last)

    def __call__(self, buffer: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.uint32]:
        """Return the checksum of each `buffer[start:end]`, `[pieces]`.

        Args:
            buffer: `[bytes]`; fastest below some hundred KiB, which stay in the processor's cache.
            starts: `[pieces]`, at least one, strictly ascending.
            ends: `[pieces]`; none lies beyond the next start.
        """
        first, size = int(starts[0]), int(ends[-1] - starts[0])
        distances = np.repeat((ends - first).astype(np.int32), np.diff(starts, append=ends[-1]))
        distances -= np.arange(size, dtype=np.int32)
        np.maximum(distances, 0, out=distances)
        places = np.zeros(size + 1, dtype=np.int32)  # the last one is for an empty piece at the end
        places[:size] = distances << 8
        places[:size] += buffer[first : first + size]
        shares = np.bitwise_xor.reduceat(self._shares.ravel().take(places), starts - first)
        checksums: NDArray[np.uint32] = ~(self._started[ends - starts] ^ shares)
        return checksums


def _last_byte() -> NDArray[np.uint32]:
    """Return what each value of the last byte leaves in the register, `[256]`."""
    register = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        register = register >> np.uint32(1) ^ (register & np.uint32(1)) * _REFLECTED
    return register


def _after_zero(register: NDArray[np.uint32], last: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Return registers after one more byte of zeros."""
    after: NDArray[np.uint32] = register >> np.uint32(8) ^ last[register & np.uint32(0xFF)]
    return after
