"""The layout of a folder of images: which folders are classes, which are parts of a split, and which are neither.

Recognised are the layouts of torchvision's `ImageFolder` and Keras's `image_dataset_from_directory` (one folder a class), and
folders of parts that have these in them (`train`, `val`, `test`), each also below folders that hold nothing else. Other
common layouts are refused by name: those of Kaggle's competitions (images in one folder, labels in a table), of detection and
segmentation (YOLO, COCO, VOC), and parts within classes.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Container, Iterator
from dataclasses import dataclass
from pathlib import Path

from archsearch.errors import DatasetError

PICTURES = frozenset(
    [
        ".png",
        ".apng",
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".bmp",
        ".dib",
        ".gif",
        ".webp",
        ".tif",
        ".tiff",
        ".ppm",
        ".pgm",
        ".pbm",
        ".pnm",
        ".jp2",
        ".j2k",
        ".avif",
        ".tga",
    ]
)
"""Endings of the files that are read."""
_UNREAD = frozenset(
    [
        ".heic",
        ".heif",
        ".hif",
        ".jxl",
        ".dng",
        ".cr2",
        ".cr3",
        ".nef",
        ".arw",
        ".orf",
        ".rw2",
        ".raf",
        ".psd",
        ".svg",
        ".exr",
        ".hdr",
        ".dcm",
        ".nii",
        ".npy",
    ]
)
"""Endings of pictures that are not read."""

PARTS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""Names of the parts of a split, in lower case."""
_CACHES = frozenset(
    ("__pycache__", "__macosx", "lost+found", "$recycle.bin", "system volume information", "#recycle", "#snapshot")
)
"""Folders that programs and systems leave behind."""
_COPIES = frozenset(("thumbs", "thumbnail", "thumbnails", "cache", "caches", "tmp", "temp"))
_OUTPUTS = frozenset(
    [
        "unlabeled",
        "unlabelled",
        "unsup",
        "predictions",
        "outputs",
        "output",
        "results",
        "runs",
        "logs",
        "checkpoints",
        "backup",
        "backups",
        "bak",
    ]
)
_NAMED_AS_PART = re.compile(
    r"(?:.*[_ -])?(train|training|val|valid|validation|test|testing)(?:[_ -]?(?:set|images|imgs|data|\d+))?"
)
_WRAPPERS = frozenset(("images", "imgs", "img", "jpegimages"))
_ANNOTATIONS = frozenset(("masks", "labels", "annotations", "segmentationclass", "segmentationobject", "ground_truth", "gt"))
_NEVER = _ANNOTATIONS - {"masks", "labels"}
_COPY = re.compile(r"(?P<name>.+?)(?: ?\(\d+\)| - copy.*| copy(?: \d+)?|[_-]copy|[ _-]aug(?:mented)?)", re.IGNORECASE)
_TABLES = ("*.csv", "*.tsv", "*.json", "*.xlsx", "*.txt")
_HOW = "imagefolder expects one folder of images a class, such as photos/cat/1.jpg, or train/cat/1.jpg"


@dataclass(frozen=True)
class Layout:
    """Where the images of each part are.

    Args:
        train: Folder with one folder a class, or the folder of the dataset itself.
        validation: The same for the validation images; None if the source has none.
        test: The same for the test images.
        remarks: What was passed over or decided, one sentence each.
    """

    train: Path
    validation: Path | None = None
    test: Path | None = None
    remarks: tuple[str, ...] = ()


def layout_of(path: Path) -> Layout:
    """Return the layout of a dataset's folder.

    Raises:
        DatasetError: It is no folder, or has a layout that is not read; the message names it.
    """
    if not path.is_dir():
        unpack = " Unpack the archive first." if path.suffix.lower() in (".zip", ".tar", ".gz", ".tgz", ".7z", ".rar") else ""
        raise DatasetError(f"imagefolder: expected a folder; got {path}, which is not one. Check the path.{unpack}")
    remarks: list[str] = []
    root = path
    while (inner := _only_folder(root)) is not None:
        root = inner
    if root != path:
        remarks.append(f"The classes are those of {root}, the only folder with images in {path.name}.")
    parts = _parts(root)
    if parts:
        _check_beside_parts(root, parts, remarks)
        return _with_parts(root, parts, remarks)
    if loose := pictures_in(root):
        remarks.append(
            f"{_number(len(loose), 'image')} in {root} itself, such as {loose[0].name}, in no class folder: passed over."
        )
    return Layout(root, remarks=(*remarks, *_nested(root)))


def class_folders(folder: Path) -> list[Path]:
    """Return the class folders of one part by name: those that hold images, and those that are empty.

    Raises:
        DatasetError: A folder is one that cannot be a class, such as `test` or `masks` beside classes.
    """
    found = [each for each in folders(folder) if has_pictures(each) or not _has_files(each)]
    for each in found:
        _check_class(each, found)
    return found


def folders(folder: Path) -> list[Path]:
    """Return the sub-folders by name, without hidden ones and those that programs leave behind."""
    return sorted(found for found in folder.iterdir() if found.is_dir() and not _is_left_behind(found.name))


def pictures(folder: Path) -> list[Path]:
    """Return the images at any depth by name, without hidden ones and those in folders that programs leave behind."""
    return [Path(file) for file in picture_paths(folder)]


def picture_paths(folder: Path) -> Iterator[str]:
    """Yield the paths of `pictures` in their order; as texts, since a million objects would take hundreds of megabytes."""
    return _files_below(os.fspath(folder), PICTURES)


def _files_below(folder: str, endings: Container[str]) -> Iterator[str]:
    """Yield the files with these endings in the order of the parts of their paths; links to folders are not followed."""
    try:
        with os.scandir(folder) as found:
            entries = sorted((entry for entry in found if not _is_left_behind(entry.name)), key=lambda entry: entry.name)
    except PermissionError:
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _files_below(entry.path, endings)
        elif f".{entry.name.rpartition('.')[2].lower()}" in endings and entry.is_file():
            yield entry.path


def has_pictures(folder: Path) -> bool:
    """Return whether a folder holds images at any depth, as `pictures` counts them; the search ends at the first one."""
    return next(picture_paths(folder), None) is not None


def pictures_in(folder: Path) -> list[Path]:
    """Return the images in a folder itself."""
    return sorted(
        file for file in folder.iterdir() if file.suffix.lower() in PICTURES and not _is_left_behind(file.name) and file.is_file()
    )


def unread_pictures(folder: Path) -> list[Path]:
    """Return the files at any depth that are pictures by their names, but of formats that are not read."""
    return [Path(file) for file in _files_below(os.fspath(folder), _UNREAD)]


def _is_left_behind(name: str) -> bool:
    return name.startswith((".", "@")) or name.lower() in _CACHES


def _has_files(folder: Path) -> bool:
    return any(file.is_file() and not _is_left_behind(file.name) for file in folder.rglob("*"))


def _only_folder(root: Path) -> Path | None:
    """Return the only folder with images in `root`, if it holds folders and no images: so it is no class itself."""
    inner = [each for each in folders(root) if has_pictures(each)]
    if len(inner) != 1 or pictures_in(root) or pictures_in(inner[0]) or inner[0].name.lower() in PARTS:
        return None
    empty = [each for each in folders(root) if each != inner[0] and not _has_files(each)]
    return None if empty or not folders(inner[0]) else inner[0]


def _parts(root: Path) -> dict[str, Path]:
    """Return the folders that are parts of a split, by part; an empty mapping if there are none."""
    named: dict[str, list[Path]] = {}
    for each in folders(root):
        if each.name.lower() in PARTS:
            named.setdefault(PARTS[each.name.lower()], []).append(each)
    if not named:
        _check_named_as_parts(root)
        return {}
    for part, found in named.items():
        if len(found) > 1:
            names = ", ".join(each.name for each in found)
            raise DatasetError(f"imagefolder: expected one folder of {part} images in {root}; got {names}.")
    parts = {part: found[0] for part, found in named.items()}
    sorted_ones = {part for part, each in parts.items() if any(has_pictures(inner) for inner in folders(each))}
    others = [each for each in folders(root) if each.name.lower() not in PARTS and has_pictures(each)]
    if "train" in sorted_ones:
        return parts
    if sorted_ones:
        raise DatasetError(
            f"imagefolder: expected a folder train beside {', '.join(parts[part].name for part in sorted(sorted_ones))} in "
            f"{root}; got none with class folders. {_HOW}."
        )
    if others and set(parts) == {"train"} and pictures_in(parts["train"]):
        return {}  # a class may be called train
    flat = [parts[part] for part in sorted(parts, key=lambda part: part != "train") if pictures_in(parts[part])]
    if not flat:
        return parts if "train" in parts else {}
    raise DatasetError(
        f"imagefolder: {flat[0]} holds {_number(len(pictures_in(flat[0])), 'image')} and no class folders, so nothing says what "
        f"they show.{_table_beside(root, flat[0])} {_HOW}."
    )


def _check_named_as_parts(root: Path) -> None:
    """Raise DatasetError if folders are named as several parts in another way, such as `train2017` and `val2017`."""
    found: dict[str, str] = {}
    for each in folders(root):
        if (match := _NAMED_AS_PART.fullmatch(each.name.lower())) and has_pictures(each):
            found.setdefault(PARTS[match[1]], each.name)
    if len(found) > 1:
        names = ", ".join(sorted(found.values()))
        raise DatasetError(
            f"imagefolder: {names} in {root} are named as parts of a split. Rename them train, val and test, each with one "
            "folder a class."
        )


def _table_beside(root: Path, images: Path) -> str:
    """Return a sentence on a table of labels, as Kaggle's competitions have, or an empty string if there is none.

    Args:
        root: Folder of the dataset.
        images: Folder of the images that the table may be of.
    """
    tables = sorted(file for pattern in _TABLES for file in (*root.glob(pattern), *root.parent.glob(pattern)))
    labels = [file for file in tables if re.search(r"label|train|annot|class", file.name, re.IGNORECASE)]
    if not labels:
        return ""
    if labels[0].suffix in (".csv", ".tsv", ".txt"):
        folder = os.path.relpath(images, labels[0].parent)
        return f" The labels may be in {labels[0].name}: read it as csv:{labels[0]}?folder={folder}&image=COLUMN&label=COLUMN."
    return f" The labels may be in {labels[0].name}: sort the images into folders by it."


def _check_beside_parts(root: Path, parts: dict[str, Path], remarks: list[str]) -> None:
    """Refuse class folders beside a folder train with classes; remark on other folders with images beside parts."""
    others = [each for each in folders(root) if each not in parts.values() and has_pictures(each)]
    if not others:
        return
    if set(parts) == {"train"}:
        raise DatasetError(
            f"imagefolder: expected parts or classes in {root}; got both: {parts['train'].name} has class folders, and "
            f"{', '.join(each.name for each in others[:5])} beside it has images. Move either elsewhere."
        )
    named = ", ".join(f"{each.name} ({_number(len(pictures(each)), 'image')})" for each in others[:5])
    remarks.append(f"Beside the parts in {root} there are {named}: passed over.")


def _with_parts(root: Path, parts: dict[str, Path], remarks: list[str]) -> Layout:
    """Return the layout of parts; one without class folders has no labels and is passed over."""
    kept = {}
    for part, folder in parts.items():
        if part != "train" and pictures_in(folder) and not any(has_pictures(each) for each in folders(folder)):
            remarks.append(
                f"{folder} holds {_number(len(pictures_in(folder)), 'image')} and no class folders, so it has no labels: passed "
                "over."
            )
        else:
            kept[part] = _classes_of_part(folder)
    remarks += _nested(kept["train"])
    return Layout(kept["train"], kept.get("validation"), kept.get("test"), tuple(remarks))


def _classes_of_part(folder: Path) -> Path:
    """Return the folder with the classes of a part: the part's own, or the only one with images in it, if it is no class.

    Raises:
        DatasetError: That holds images and no class folders, as for detection.
    """
    while (inner := _only_folder(folder)) is not None:
        folder = inner
    found = [each for each in folders(folder) if has_pictures(each)]
    if len(found) == 1 and found[0].name.lower() in _WRAPPERS:
        raise DatasetError(
            f"imagefolder: {found[0]} holds {_number(len(pictures(found[0])), 'image')} and no class folders, so nothing says "
            f"what they show; with boxes or masks they are for detection or segmentation. {_HOW}."
        )
    return folder


def _nested(folder: Path) -> list[str]:
    """Return a remark if all class folders have the same sub-folders, which might be the classes.

    Raises:
        DatasetError: These are parts of a split.
    """
    found = [each for each in folders(folder) if has_pictures(each)]
    inner = [{each.name for each in folders(outer) if has_pictures(each)} for outer in found]
    for outer, names in zip(found, inner, strict=True):
        within = {PARTS.get(name.lower(), "") for name in names} - {""}
        if len(within) > 1:
            raise DatasetError(
                f"imagefolder: expected the classes within the parts, as in train/{outer.name}; got the parts within the class "
                f"{outer}: {', '.join(sorted(names))}. Swap the two levels."
            )
    if len(found) < 2 or any(map(pictures_in, found)):
        return []
    shared = set.intersection(*inner) - _WRAPPERS
    if len(shared) < 2:
        return []
    return [
        f"The classes are the outer folders, {', '.join(each.name for each in found[:5])}; each has the sub-folders "
        f"{', '.join(sorted(shared)[:5])}. If these are the classes, merge the outer folders."
    ]


def _check_class(folder: Path, beside: list[Path]) -> None:
    """Raise DatasetError if a folder beside others cannot be a class."""
    name, others = folder.name.lower(), [each.name for each in beside if each != folder]
    if not has_pictures(folder) or not others:
        return
    reason = ""
    if name in PARTS and name != "train":
        reason = "named as a part of a split; parts stand beside a folder train, which holds the classes"
    elif name in _COPIES:
        reason = "named as a store of copies"
    elif name in _OUTPUTS:
        reason = "named as images without labels, or as the output of a program"
    elif name in _NEVER:
        reason = "named as annotations"
    elif name in _WRAPPERS and any(each.lower() in _ANNOTATIONS for each in others):
        reason = "images beside their annotations, as for detection or segmentation; archsearch classifies whole images"
    elif name in _WRAPPERS:
        reason = "named as a store of images of all classes"
    elif (match := _COPY.fullmatch(folder.name)) and match["name"] in others:
        reason = f"named as a copy of {match['name']}"
    elif Counter(each.name.lower() for each in beside)[name] > 1:
        reason = "named as another class but for upper and lower case"
    if reason:
        raise DatasetError(
            f"class folder {folder}: expected a class beside {', '.join(others[:3])}; got a folder {reason}. Remove, "
            "move or rename it."
        )


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
