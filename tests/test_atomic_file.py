"""Atomic replacement of local files: all or nothing, and nothing left behind."""

from pathlib import Path

import pytest

from archsearch.atomic_file import written_atomically


@pytest.mark.parametrize("durable", [True, False])
def test_replaces_the_file(tmp_path: Path, durable: bool) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")
    with written_atomically(path, durable=durable) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_keeps_the_old_file_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(OSError, match="full"), written_atomically(path) as temporary:
        temporary.write_text("a part")
        raise OSError("the disk is full")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), written_atomically(tmp_path / "file.txt"):
        pass
    assert not list(tmp_path.iterdir())
