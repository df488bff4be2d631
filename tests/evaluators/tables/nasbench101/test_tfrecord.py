"""Record files of TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from archsearch.errors import TableError
from archsearch.evaluators.tables.nasbench101.tfrecord import LONGEST, read_records

Writer = Callable[[Path, list[bytes]], Path]
SMALL = [b"first", b"", b"third"]
STARTS = [0, 21, 37, 58]  # each record takes 16 bytes more than its content


def test_a_file_written_out(tmp_path: Path) -> None:
    # Both checksums were taken from the library google-crc32c.
    path = tmp_path / "zeros"
    path.write_bytes((32).to_bytes(8, "little") + bytes.fromhex("29eda950") + bytes(32) + bytes.fromhex("faffd70f"))
    assert [record.data for record in read_records(path)] == [bytes(32)]


def test_records_come_with_number_and_place(tmp_path: Path, write_records: Writer) -> None:
    records = list(read_records(write_records(tmp_path / "small", SMALL)))
    assert [record.data for record in records] == SMALL
    assert [record.number for record in records] == [0, 1, 2]
    assert [record.offset for record in records] == STARTS[:3]


def test_records_reach_over_the_blocks_in_which_a_file_is_read(tmp_path: Path, write_records: Writer) -> None:
    rng = np.random.default_rng(0)
    given = [rng.bytes(int(size)) for size in (*rng.integers(0, 900, 600), LONGEST, 0)]
    path, told = write_records(tmp_path / "large", given), []
    found = list(read_records(path, progress=lambda done, whole: told.append((done, whole))))
    assert [record.data for record in found] == given
    assert [record.offset for record in found] == np.cumsum([0, *(len(data) + 16 for data in given[:-1])]).tolist()
    size = path.stat().st_size
    assert len(told) >= 3
    assert told == sorted(told)
    assert told[-1] == (size, size)


def test_empty_file_has_no_records(tmp_path: Path, write_records: Writer) -> None:
    assert list(read_records(write_records(tmp_path / "empty", []))) == []


def test_a_wrong_length_moves_no_record_unnoticed(tmp_path: Path, write_records: Writer) -> None:
    path = write_records(tmp_path / "small", SMALL)
    whole = path.read_bytes()
    for start in STARTS[:3]:
        for bit in range(64):
            damaged = bytearray(whole)
            damaged[start + bit // 8] ^= 1 << bit % 8
            path.write_bytes(damaged)
            try:
                read = [record.data for record in read_records(path)]
            except TableError as error:
                assert "expected a TFRecord file" in str(error) or "Give the path" in str(error) or "fetch" in str(error)
            else:  # the last record lies in another place, which its content shows
                assert read != SMALL


def test_every_cut_is_found_and_its_record_named(tmp_path: Path, write_records: Writer) -> None:
    path = write_records(tmp_path / "small", SMALL)
    whole = path.read_bytes()
    for size in range(1, len(whole)):
        path.write_bytes(whole[:size])
        if size in STARTS:
            assert [record.data for record in read_records(path)] == SMALL[: STARTS.index(size)]
            continue
        number = max(index for index in range(3) if STARTS[index] < size)
        with pytest.raises(TableError, match=f"ends in the middle of record {number}, which begins at byte {STARTS[number]}"):
            list(read_records(path))


def test_a_cut_says_how_much_is_there(tmp_path: Path, write_records: Writer) -> None:
    path = write_records(tmp_path / "small", SMALL)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(TableError) as caught:
        list(read_records(path))
    assert str(caught.value) == (
        "small: the file ends in the middle of record 2, which begins at byte 37 and takes 21 bytes; 16 bytes of it are there. "
        "The download is not complete: fetch the file again."
    )


def test_a_record_of_another_use_is_refused_before_it_is_read(tmp_path: Path, write_records: Writer) -> None:
    for data in (bytes(LONGEST + 1), bytes(1 << 18)):
        path = write_records(tmp_path / "images", [b"small", data])
        with pytest.raises(TableError, match=f"record 1, which begins at byte 21, has {len(data)} bytes; those of NAS-Bench-101"):
            list(read_records(path))


def test_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text.csv"
    path.write_text("architecture,accuracy\n" * 10_000)
    with pytest.raises(TableError, match="text.csv: expected a TFRecord file"):
        list(read_records(path))


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="there is none at .*nowhere"):
        list(read_records(tmp_path / "nowhere"))
