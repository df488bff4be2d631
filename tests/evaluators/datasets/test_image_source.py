"""Where encoded images are: names of files in one piece of memory, images in one file, and several sources as one."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np

from archsearch.evaluators.datasets.image_source import FileList, JoinedSources, PackedImages


def test_names_of_any_bytes_come_back(tmp_path: Path) -> None:
    names = ["a.png", "ä ö/ü.png", "x" * 200, os.fsdecode(b"\xff\xfe.png")]
    files = FileList(tmp_path / name for name in names[:2])
    files.extend(tmp_path / name for name in names[2:])
    assert len(files) == 4
    assert [files.open(number) for number in range(4)] == [tmp_path / name for name in names]
    assert files.place(0) == f"image {tmp_path / 'a.png'}"
    again = pickle.loads(pickle.dumps(files))
    assert [again.open(number) for number in range(4)] == [files.open(number) for number in range(4)]


def test_an_identity_changes_with_each_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "b").write_bytes(b"2")
    files = FileList([tmp_path / "a", tmp_path / "b"])
    first = files.identity()
    assert files.identity() == first != FileList([tmp_path / "b", tmp_path / "a"]).identity()
    os.utime(tmp_path / "b", ns=(1, 1))
    assert files.identity() != first


def test_packed_and_joined_images(tmp_path: Path) -> None:
    path = tmp_path / "images.bin"
    path.write_bytes(b"onetwothree")
    packed = PackedImages(path, np.array([3, 6, 11]), "train.parquet")
    assert [packed.open(number) for number in range(len(packed))] == [b"one", b"two", b"three"]
    assert packed.place(2) == "train.parquet, row 2"
    joined = JoinedSources([FileList([tmp_path / "a"]), packed])
    assert len(joined) == 4
    assert (joined.open(0), joined.open(1), joined.open(3)) == (tmp_path / "a", b"one", b"three")
    assert joined.place(3) == "train.parquet, row 2"
