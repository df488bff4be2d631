"""The images that rows name: in folders of this machine and at addresses of pyarrow, alike."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from archsearch.errors import DatasetError
from archsearch.evaluators.datasets import load
from archsearch.evaluators.datasets.csv_images import is_picture, named_images
from archsearch.evaluators.datasets.encoded import EncodedImages
from archsearch.evaluators.datasets.registry import task_of
from archsearch.evaluators.datasets.streamed import Loading
from tests.evaluators.datasets.photographs import write_photographs


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    """A CSV file beside photographs in the folders `photos/0`, `photos/1`, ...; their folder is the label."""
    write_photographs(tmp_path / "photos")
    (tmp_path / "photos" / ".hidden").mkdir()
    files = sorted((tmp_path / "photos").rglob("*.png"))
    rows = [f"{file.relative_to(tmp_path / 'photos').as_posix()},{file.parent.name}" for file in files]
    (tmp_path / "labels.csv").write_text("\n".join(["file,kind", *rows]) + "\n")
    return tmp_path / "labels.csv"


@pytest.mark.parametrize("loading", [Loading(), Loading(0.0, 1)])
@pytest.mark.parametrize("options", ["", "&folder=photos", "&folder=./photos"])
def test_a_file_at_an_address_is_the_file(labels: Path, loading: Loading, options: str) -> None:
    here = load(f"csv:{labels}?image=file&label=kind&size=16{options}")
    there = load(f"csv:file://{labels}?image=file&label=kind&size=16{options}", None, loading)
    for part, other in zip(here, there, strict=True):
        assert (part.digest, part.classes, part.name) == (other.digest, other.classes, other.name)
        assert torch.equal(part.labels, other.labels)
        assert isinstance(other.images, EncodedImages) == (loading.memory_gb == 0.0)
    assert task_of(f"csv:file://{labels}?image=file&label=kind") == "classification"


def test_labels_of_this_machine_may_have_their_images_at_an_address(labels: Path, tmp_path: Path) -> None:
    here = load(f"csv:{labels}?image=file&label=kind&size=16")
    (tmp_path / "elsewhere").mkdir()
    moved = labels.rename(tmp_path / "elsewhere" / "labels.csv")
    there = load(f"csv:{moved}?image=file&label=kind&size=16&folder=file://{tmp_path}/photos")
    assert [part.digest for part in here] == [part.digest for part in there]


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_what_is_guessed_is_said_alike(labels: Path, scheme: str, tmp_path: Path) -> None:
    text = labels.read_text()
    labels.write_text(text.replace(".png", ""))
    path = f"{scheme}{labels}" if scheme else labels
    images = [line.partition(",")[0] for line in labels.read_text().splitlines()[1:]]
    found = named_images(images, str, path, "")
    assert found.names == tuple(line.partition(",")[0] for line in text.splitlines()[1:])
    assert found.remarks == (f"Images are those in {tmp_path / 'photos'}.", "Images are named without their endings.")


@pytest.mark.parametrize("scheme", ["", "file://"])
@pytest.mark.parametrize(
    ("images", "folder", "message"),
    [
        (["../1.png"], "", r"expected paths of images within one folder, such as photos/1.jpg, in labels.csv; got ../1.png in 0"),
        (["a.png", "b.png"], "none", "expected a folder of images, from the folder of labels.csv on; there is none at .*/none"),
        (
            ["a.png", "b.png"],
            "photos",
            r"2 of 2 images of labels.csv are not in .*/photos: a.png, b.png. There is, for example, ",
        ),
    ],
)
def test_what_is_not_there_is_named(labels: Path, scheme: str, images: list[str], folder: str, message: str) -> None:
    with pytest.raises(DatasetError, match=f"csv: {message}"):
        named_images(images, str, f"{scheme}{labels}" if scheme else labels, folder)


def test_addresses_without_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="csv: expected a file at file://.*/none.csv; got"):
        load(f"csv:file://{tmp_path}/none.csv")
    with pytest.raises(DatasetError, match="expected an address that pyarrow reads"):
        load("csv:nothing://x/labels.csv")


def test_pictures_are_known_by_their_endings() -> None:
    assert is_picture(r"photos\1.JPG") and not is_picture("photos/1") and not is_picture("1.txt")
