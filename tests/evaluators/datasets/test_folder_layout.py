"""Folders as people leave them: classes, parts, caches and notes; what cannot be a class is refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from archsearch.errors import DatasetError
from archsearch.evaluators.datasets import Splits, load
from archsearch.evaluators.datasets.folder_layout import picture_paths, pictures


def _tree(root: Path, text: str) -> Splits:
    """Write files by name (images where the name ends in .png), each `*N` in a name as N files, and read the folder."""
    for word in text.split():
        name, _, count = word.partition("*")
        for number in range(int(count or 1)):
            path = root / name.replace("#", str(number))
            if name.endswith("/"):
                path.mkdir(parents=True, exist_ok=True)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix == ".png":
                Image.new("L", (4, 4), number).save(path)
            else:
                path.write_text("notes")
    return load(f"imagefolder:{root}?size=4")


def _sizes(splits: Splits) -> list[int]:
    return [len(part) for part in splits]


CLASSES = "cat/#.png*5 dog/#.png*5"


@pytest.mark.parametrize(
    "beside",
    [
        "__pycache__/#.png*3",
        ".ipynb_checkpoints/#.png*3",
        "@eaDir/#.png*3",
        "__MACOSX/cat/._#.png*3",
        "cat/@eaDir/0.png/SYNOPHOTO_#.png*2",
        "cat/._0.png",
        "cat/.DS_Store cat/Thumbs.db desktop.ini photos.zip README.md",
        "notes/a.txt notes/b.md",
        "labels/0.xml labels/1.xml",
        "lost+found/ $RECYCLE.BIN/#.png*3",
        ".git/objects/0.png",
        "@Recently-Snapshot/x.png",
    ],
)
def test_what_programs_leave_behind_is_no_class(tmp_path: Path, beside: str) -> None:
    splits = _tree(tmp_path, f"{CLASSES} {beside}")
    assert splits.train.classes == ("cat", "dog")
    assert sum(_sizes(splits)) == 10


@pytest.mark.parametrize("train", ["train", "Train", "TRAIN", "training"])
@pytest.mark.parametrize(("validation", "test"), [("val", "test"), ("Valid", "Test"), ("VALIDATION", "testing"), ("dev", "TEST")])
def test_parts_are_known_in_any_case(tmp_path: Path, train: str, validation: str, test: str) -> None:
    splits = _tree(tmp_path, " ".join(f"{part}/{name}/#.png*3" for part in (train, validation, test) for name in ("cat", "dog")))
    assert _sizes(splits) == [6, 6, 6]
    assert splits.train.classes == ("cat", "dog")


@pytest.mark.parametrize("wrapper", ["images", "photos/images", "dataset-master/data", "my pets"])
def test_a_folder_around_all_classes_is_seen_through(tmp_path: Path, wrapper: str) -> None:
    splits = _tree(
        tmp_path, f"{wrapper}/cat/#.png*5 {wrapper}/dog/#.png*5 README.md annotations/a.xml".replace("my pets", "my_pets")
    )
    assert splits.train.classes == ("cat", "dog")
    assert "The classes are those of" in splits.train.remarks[0]


def test_a_folder_around_the_parts_is_seen_through(tmp_path: Path) -> None:
    splits = _tree(tmp_path, "pets/train/cat/#.png*4 pets/train/dog/#.png*4 pets/test/cat/#.png*2 __MACOSX/pets/._train")
    assert _sizes(splits) == [6, 2, 2]


def test_a_folder_around_the_classes_of_a_part_is_seen_through(tmp_path: Path) -> None:
    splits = _tree(tmp_path, "train/images/cat/#.png*4 train/images/dog/#.png*4 val/images/cat/#.png*2 val/images/dog/#.png*1")
    assert splits.train.classes == ("cat", "dog")
    assert _sizes(splits) == [6, 3, 2]


def test_images_may_be_deeper_in_a_class(tmp_path: Path) -> None:
    """As torchvision and Keras read them; tiny ImageNet has a folder images in each class."""
    splits = _tree(tmp_path, "n01/images/#.png*3 n02/images/#.png*3 n02/n02_boxes.txt")
    assert splits.train.classes == ("n01", "n02")
    assert splits.train.remarks == ()


def test_shared_inner_folders_are_remarked(tmp_path: Path) -> None:
    splits = _tree(tmp_path, "2023/cat/#.png*3 2023/dog/#.png*3 2024/cat/#.png*3 2024/dog/#.png*3")
    assert splits.train.classes == ("2023", "2024")
    assert "each has the sub-folders cat, dog" in splits.train.remarks[0]


def test_loose_images_and_unlabelled_parts_are_remarked(tmp_path: Path) -> None:
    splits = _tree(tmp_path, f"{CLASSES} IMG_#.png*2")
    assert "2 images in" in splits.train.remarks[0]
    assert sum(_sizes(splits)) == 10
    other = _tree(tmp_path / "kaggle", "train/cat/#.png*10 train/dog/#.png*10 test/#.png*7 extra/x.png")
    assert _sizes(other) == [16, 2, 2]
    assert "extra (1 image): passed over" in other.train.remarks[0]
    assert "test holds 7 images and no class folders, so it has no labels" in other.train.remarks[1]


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        (
            "train/#.png*5 test/#.png*5 labels.csv",
            r"train holds 5 images and no class folders.*labels\.csv: read it as csv:.*/labels\.csv\?folder=train&image=COLUMN",
        ),
        ("train/#.png*5 train.csv sample_submission.csv", r"train holds 5 images.*labels may be in train\.csv"),
        ("images/train/#.png*5 images/val/#.png*5 labels/train/0.txt", "train holds 5 images and no class folders"),
        ("val/cat/#.png*3 val/dog/#.png*3 test/cat/#.png*3", "expected a folder train beside test, val"),
        (
            f"{CLASSES} test/#.png*4",
            "test: expected a class beside cat, dog; got a folder named as a part of a split|test holds 4",
        ),
        ("train/cat/#.png*3 train/dog/#.png*3 cat/#.png*3 dog/#.png*3", "parts or classes .* got both"),
        (f"{CLASSES} thumbnails/#.png*4", "named as a store of copies"),
        (f"{CLASSES} cache/#.png*4", "named as a store of copies"),
        ("images/#.png*4 masks/#.png*4", "images beside their annotations"),
        ("JPEGImages/#.png*4 SegmentationClass/#.png*4 Annotations/a.xml", "images beside their annotations"),
        (f"{CLASSES} images/#.png*4", "a store of images of all classes"),
        (f"{CLASSES} cat(1)/#.png*4", "named as a copy of cat"),
        (f"{CLASSES} dog_copy/#.png*4", "named as a copy of dog"),
        (f"{CLASSES} dog_aug/#.png*4", "named as a copy of dog"),
        (f"{CLASSES} dog-augmented/#.png*4", "named as a copy of dog"),
        (f"{CLASSES} Cat/#.png*4", "upper and lower case"),
        ("cat/train/#.png*4 cat/test/#.png*4 dog/train/#.png*4", r"as in train/cat; got the parts within the class"),
        ("train/cat/#.png*4 Train/cat/#.png*4 train/dog/#.png*4", "expected one folder of train images"),
        ("train/cat/#.png*3 train/dog/#.png*3 val/cat/#.png*3 valid/dog/#.png*3", "expected one folder of validation images"),
        ("#.png*5 labels.csv", "got 5 images in no class folder, such as .*. Sort them into folders"),
        ("train/images/#.png*5 train/labels/#.txt*5 valid/images/#.png*3 data.yaml", "train/images holds 5 .* for detection"),
        ("train2017/#.png*5 val2017/#.png*3 annotations/a.json", "train2017, val2017 in .* are named as parts of a split"),
        ("seg_train/a/#.png*4 seg_train/b/#.png*4 seg_test/a/#.png*4 seg_pred/x.png", "seg_test, seg_train in .* named as parts"),
        ("Training_set/cat/#.png*4 Test_set/cat/#.png*4", "Test_set, Training_set in"),
        (f"{CLASSES} unlabeled/#.png*4", "images without labels"),
        (f"{CLASSES} runs/s0/report/#.png*4", "the output of a program"),
        (f"{CLASSES} SegmentationClass/#.png*4", "named as annotations"),
    ],
)
def test_layouts_that_are_not_read_are_refused_by_name(tmp_path: Path, tree: str, words: str) -> None:
    with pytest.raises(DatasetError, match=words):
        _tree(tmp_path, tree)


def test_an_archive_is_to_be_unpacked(tmp_path: Path) -> None:
    (tmp_path / "pets.zip").touch()
    with pytest.raises(DatasetError, match="Unpack the archive first"):
        load(f"imagefolder:{tmp_path / 'pets.zip'}")


@pytest.mark.parametrize(
    "name", ["mask", "no_mask", "tests", "Apple 1", "trash", "training set", "temperature", "copy", "masks", "test_strip"]
)
def test_classes_of_unusual_names_stay_classes(tmp_path: Path, name: str) -> None:
    _tree(tmp_path, CLASSES)
    (tmp_path / "cat").rename(tmp_path / name)
    assert name in load(f"imagefolder:{tmp_path}?size=4").train.classes


def test_pictures_come_in_the_order_of_the_parts_of_their_paths(tmp_path: Path) -> None:
    made = [
        "a/1.png",
        "a/b/2.PNG",
        "a/b c/3.jpg",
        "a.png",
        "a-b/4.png",
        "Z.png",
        ".hidden/5.png",
        "a/@eaDir/6.png",
        "a/notes.txt",
    ]
    for name in made:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "a" / "0.png").mkdir()  # a folder with the name of a picture
    (tmp_path / "link.png").symlink_to(tmp_path / "a.png")
    (tmp_path / "linked").symlink_to(tmp_path / "a", target_is_directory=True)
    found = pictures(tmp_path)
    assert found == sorted(tmp_path / name for name in [*made[:6], "link.png"])
    assert list(picture_paths(tmp_path)) == list(map(str, found))
