"""CRC-32C of many pieces at once, against the vectors of the RFC and a loop over bits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archsearch.evaluators.tables.crc32c import CRC32C

CHECKSUMS = CRC32C(64)


def bit_by_bit(data: bytes) -> int:
    """The slow twin."""
    register = 0xFFFFFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (0x82F63B78 if register & 1 else 0)
    return register ^ 0xFFFFFFFF


def of_one(data: bytes) -> int:
    return int(CHECKSUMS(np.frombuffer(data, np.uint8), np.array([0]), np.array([len(data)]))[0])


ISCSI_READ = bytes.fromhex("01c0000000000000000000000000000014000000000004000000001400000018280000000000000002000000 00000000")


@pytest.mark.parametrize(
    ("data", "sent"),
    [
        (bytes(32), "aa36918a"),
        (b"\xff" * 32, "43aba862"),
        (bytes(range(32)), "4e79dd46"),
        (bytes(range(31, -1, -1)), "5cdb3f11"),
        (ISCSI_READ, "563a96d9"),
    ],
)
def test_vectors_of_rfc_3720_appendix_b4(data: bytes, sent: str) -> None:
    # The RFC lists the bytes in the order in which they are sent, the lowest first.
    assert of_one(data) == int.from_bytes(bytes.fromhex(sent), "little") == bit_by_bit(data)


def test_check_value_of_the_usual_catalogues() -> None:
    assert of_one(b"123456789") == 0xE3069283 == bit_by_bit(b"123456789")


@given(st.lists(st.tuples(st.binary(max_size=64), st.integers(1, 5)), min_size=1, max_size=8), st.integers(0, 4))
def test_pieces_of_a_buffer_are_those_taken_one_at_a_time(pieces: list[tuple[bytes, int]], lead: int) -> None:
    buffer, starts = b"\xa5" * lead, []
    for data, gap in pieces:
        starts.append(len(buffer))
        buffer += data + b"\x5a" * gap
    ends = [start + len(data) for start, (data, _) in zip(starts, pieces, strict=True)]
    found = CHECKSUMS(np.frombuffer(buffer, np.uint8), np.array(starts), np.array(ends))
    assert found.dtype == np.uint32
    assert found.tolist() == [bit_by_bit(data) for data, _ in pieces]
    # The last piece may also end with the buffer.
    whole = CHECKSUMS(np.frombuffer(buffer[: ends[-1]], np.uint8), np.array(starts), np.array(ends))
    assert (whole == found).all()
