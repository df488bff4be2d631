"""Folders of this machine and of pyarrow's filesystems answer alike."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from archsearch.evaluators.datasets.picture_folder import PictureFolder


@pytest.fixture(params=["path", "address"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> PictureFolder:
    for name in ("a/1.png", "a/deep/2.jpg", "b[1]/3.png", ".hidden/4.png", "5.png", "notes.txt"):
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / name).write_bytes(name.encode())
    file = tmp_path / "labels.csv"
    return PictureFolder.beside(f"file://{file}" if request.param == "address" else file, "photos")


def test_what_a_folder_has(folder: PictureFolder, tmp_path: Path) -> None:
    assert str(folder) == str(tmp_path / "photos") and folder.exists()
    assert folder.has("a/1.png") and folder.has("./a//deep/2.jpg")
    assert not folder.has("a/2.jpg") and not folder.has("a")
    assert folder.has_stem("a/1") and folder.has_stem("b[1]/3") and not folder.has_stem("a/9") and not folder.has_stem("a/1.png")
    assert folder.pictures() == ["5.png", "a/1.png", "a/deep/2.jpg", "b[1]/3.png"]


def test_sub_folders_have_what_is_below_them(folder: PictureFolder) -> None:
    first, second = folder.folders()
    assert [str(first)[-2:], str(second)[-5:]] == ["/a", "/b[1]"]
    assert first.pictures() == ["1.png", "deep/2.jpg"] and second.has("3.png") and not second.has("1.png")


def test_files_are_read_in_the_order_asked_for(folder: PictureFolder) -> None:
    source = pickle.loads(pickle.dumps(folder.source(["b[1]/3.png", "a/1.png"])))
    contents = [content.read_bytes() if isinstance(content := source.open(number), Path) else content for number in range(2)]
    assert contents == [b"b[1]/3.png", b"a/1.png"]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    for file in (tmp_path / "labels.csv", f"file://{tmp_path}/labels.csv"):
        assert not PictureFolder.beside(file, "none").exists()
