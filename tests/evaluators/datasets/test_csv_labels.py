"""CSV files beside images: columns, folders, parts, and what is refused in one line each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from archsearch.errors import DatasetError
from archsearch.evaluators.datasets import load
from archsearch.evaluators.datasets.registry import task_of


def write(folder: Path, text: str | bytes, images: int = 12, ending: str = ".png", inside: str = "photos") -> str:
    """Write images `0.png`, ... of brightness 10 times their number, and the file; return the name of the dataset."""
    (folder / inside).mkdir(parents=True, exist_ok=True)
    for number in range(images):
        Image.fromarray(np.full((6, 6, 3), 10 * number, dtype=np.uint8)).save(folder / inside / f"{number}{ending}")
    path = folder / "labels.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return f"csv:{path}?size=6"


def rows(labels: list[object], header: str = "image,label", name: str = "{}.png") -> str:
    return "\n".join([header, *(f"{name.format(number)},{label}" for number, label in enumerate(labels))]) + "\n"


def test_numbers_belong_to_their_images(tmp_path: Path) -> None:
    splits = load(write(tmp_path, rows([number + 0.5 for number in range(12)])))
    assert [len(part) for part in splits] == [10, 1, 1] and splits.train.task == "regression"
    for part in splits:
        assert part.classes == ("label",)
        assert part.labels[:, 0].tolist() == [int(image[0, 0, 0]) / 10 + 0.5 for image in part.images]
    assert splits.train.remarks[0].startswith("Task: regression, found from the numbers of label")
    assert splits.train.remarks[1] == f"Images are those in {tmp_path / 'photos'}."


def test_classes_sets_of_labels_and_several_numbers(tmp_path: Path) -> None:
    classes = load(write(tmp_path, rows(["cat", "dog"] * 6)))
    assert classes.train.classes == ("cat", "dog") and len(classes.train.remarks) == 1
    sets = load(write(tmp_path, rows(["a|b", "", "b"] * 4)))
    assert sets.train.task == "multilabel" and sorted(map(sum, sets.train.labels.tolist()))[0] == 0
    text = "image,x,y,note\n" + "".join(f"{number}.png,{number},{-number},-\n" for number in range(12))
    name = write(tmp_path, text)
    assert load(f"{name}&label=x,y").train.labels.sum(1).abs().max() == 0
    assert task_of(f"{name}&label=x,y") == "regression"
    assert task_of(f"{name}&label=x") == "classification"
    assert task_of(f"{name}&label=x&task=regression") == "regression"


@pytest.mark.parametrize(
    "text",
    [
        rows([number / 4 for number in range(12)], "file,value"),
        rows([number / 4 for number in range(12)], "file;value")
        .replace(".png,", ".png;")
        .replace(".", ",")
        .replace(",png", ".png"),
        rows([number / 4 for number in range(12)], "file,value").replace(",", "\t").encode("utf-16"),
        ("# made by hand\n\n" + rows([number / 4 for number in range(12)], "file,value"))
        .replace("\n", "\r\n")
        .encode("utf-8-sig"),
        rows([number / 4 for number in range(12)], "file,value", "photos\\{}.png"),
        rows([number / 4 for number in range(12)], "file,value", "{}"),
    ],
)
def test_any_delimiter_encoding_and_way_to_name_files(tmp_path: Path, text: str | bytes) -> None:
    name = write(tmp_path, text)
    splits = load(f"{name}&image=file&label=value")
    found = {
        int(image[0, 0, 0]) // 10: value
        for part in splits
        for image, [value] in zip(part.images, part.labels.tolist(), strict=True)
    }
    assert found == {number: number / 4 for number in range(12)}
    if b"photos\\" not in (tmp_path / "labels.csv").read_bytes() and b"0.png" in (tmp_path / "labels.csv").read_bytes():
        assert load(name).train.digest == splits.train.digest, "the columns are found"


def test_a_column_divides_the_images(tmp_path: Path) -> None:
    parts = ["train"] * 6 + ["Val"] * 3 + ["testing"] * 3
    text = "image,label,split\n" + "".join(f"{n}.png,{n % 2},{part}\n" for n, part in enumerate(parts))
    splits = load(f"{write(tmp_path, text)}&part=split")
    assert [part.labels.tolist() for part in splits] == [[0, 1] * 3, [0, 1, 0], [1, 0, 1]]
    with pytest.raises(
        DatasetError, match="labels of labels.csv: expected those of the training images, such as 0; got 9 in row 13"
    ):
        load(f"{write(tmp_path, text.replace('11.png,1', '11.png,9'))}&part=split")
    with pytest.raises(DatasetError, match="train, validation or test in the column 'split' of labels.csv; got 'tst'"):
        load(f"{write(tmp_path, text.replace('testing', 'tst'))}&part=split")
    with pytest.raises(DatasetError, match="expected training images; got none in the column 'split'"):
        load(f"{write(tmp_path, text.replace('train', 'test'))}&part=split")


def test_a_folder_is_named_from_the_file_on(tmp_path: Path) -> None:
    write(tmp_path, "", inside="a")
    name = write(tmp_path, rows([0, 1] * 6), inside="b/c")
    assert "Images are those" not in "".join(load(f"{name}&folder=b/c").train.remarks)
    with pytest.raises(DatasetError, match=r"there is none at .*/gone"):
        load(f"{name}&folder=gone")


def test_rows_that_repeat_others_are_passed_over(tmp_path: Path) -> None:
    text = rows([0, 1] * 6)
    splits = load(write(tmp_path, text + "3.png,1\n4.png,0\n"))
    assert sum(map(len, splits)) == 12
    assert "2 rows of labels.csv repeat others: passed over." in splits.train.remarks


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (rows([0, 1] * 6), "&label=labl", r"expected the column 'labl' in .*; it has image, label\. Did you mean 'label'"),
        (rows([0, 1] * 6), "&image=file", "expected the column 'file' in .*; it has image, label"),
        (rows([0, 1] * 6), "&part=split", "expected the column 'split'"),
        (rows([0, 1] * 6), "&label=label,x", "expected the column 'x'"),
        (
            rows([0, 1] * 9),
            "",
            r"6 of 18 images of labels.csv are not in .*photos: 12.png, 13.png, 14.png, 15.png, 16.png and 1 others. There is",
        ),
        (
            rows([0, 1] * 6) + "3.png,0\n",
            "",
            r"1 stand in several rows, such as 3.png in row 5 \(1\) and row 14 \(0\)\. .*such as cat\|dog",
        ),
        (
            rows([0, 1] * 6, name="/data/{}.png"),
            "",
            "paths of images within one folder, .* got /data/0.png in row 2 and 11 other rows",
        ),
        (rows([0, 1] * 6, name="../{}.png"), "", r"got \.\./0.png in row 2"),
        (rows([0, 1] * 6, name="C:\\{}.png"), "", "got C:/0.png in row 2"),
        (rows([3.5] * 12), "", "expected numbers that differ; all 12 of 'label' are 3.5"),
        (rows(["a|b"] * 12), "", "all 12 images have the same labels, 2 of 2"),
        (rows(["x"] * 12), "", "at least 2 classes; got 1"),
        (rows([1.5, "abc"] + [2.5] * 10), "", "got both: 'abc' in row 3"),
        (rows([1.5, ""] + [2.5] * 10), "", "expected a number in each row of 'label'; got none in row 3"),
        (rows([0, 1] * 6, name="") + ",1\n", "", "got none in row 2"),
        ("image,label\n", "", "got no rows"),
        (rows([0, 1] * 6).partition("\n")[2], "", r"expected a header in .*labels.csv; got the image 0\.png"),
        ("", "", "Expected a header and one row an image"),
        ("image,label\n0.png,1,2\n", "", "Expected 2 columns, got 3"),
        (b"\x89PNG\x00\x00", "", "csv: "),
        (rows([0, 1] * 6), "&task=multilabel", None),
        (rows(["a", "b"] * 6), "&task=multilabel", "without a separator"),
        (rows(["a", "b"] * 6), "&task=regression", "task=regression needs numbers; got 'a'"),
    ],
)
def test_unsuitable_files_are_one_line_each(tmp_path: Path, text: str | bytes, options: str, message: str | None) -> None:
    name = write(tmp_path, text) + options
    if message is None:
        assert load(name).train.classes == ("label",), "0 and 1 are one label that images have or not"
        return
    with pytest.raises(DatasetError, match=message) as caught:
        load(name)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_spreadsheet(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"csv: expected a CSV file; there is none at .*gone.csv"):
        load(f"csv:{tmp_path / 'gone.csv'}")
    (tmp_path / "a.xlsx").write_bytes(b"PK")
    with pytest.raises(DatasetError, match="Save it as CSV first"):
        load(f"csv:{tmp_path / 'a.xlsx'}")
