"""The files of the images that the rows of a CSV file name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from archsearch.errors import DatasetError
from archsearch.evaluators.datasets.folder_layout import PICTURES
from archsearch.evaluators.datasets.picture_folder import PictureFolder

_TRIED = 50
"""Images that a folder is judged by."""


@dataclass(frozen=True)
class NamedImages:
    """The images of the rows.

    Args:
        folder: The folder that has them.
        names: Path of each in the folder.
        remarks: What was guessed.
    """

    folder: PictureFolder
    names: tuple[str, ...]
    remarks: tuple[str, ...]


def named_images(images: Sequence[str], place: Callable[[int], str], path: Path | str, folder: str) -> NamedImages:
    """Return the files of the images of a CSV file.

    Args:
        images: The cells of the rows: paths from the folder on, with or without endings.
        place: Returns the name of a row in messages.
        path: The CSV file, or its address in a filesystem of pyarrow.
        folder: Folder of the images, from that of the file on, or an address. Empty for the folder of the file, or the one
            sub-folder of it that has these images.

    Raises:
        DatasetError: A path leads out of the folder, or an image does not exist.
    """
    title = PurePosixPath(path).name
    outside = [
        row
        for row, image in enumerate(images)
        if PurePosixPath(image).is_absolute() or ".." in PurePosixPath(image).parts or image[1:2] == ":"
    ]
    if outside:
        raise DatasetError(
            f"csv: expected paths of images within one folder, such as photos/1.jpg, in {title}; got "
            f"{images[outside[0]]} in {place(outside[0])}{_more(outside)}. "
            f"Write them from the folder on, and name it, as in csv:{title}?folder=photos."
        )
    start = PictureFolder.beside(path, folder)
    if folder and not start.exists():
        raise DatasetError(f"csv: expected a folder of images, from the folder of {title} on; there is none at {start}.")
    remarks: list[str] = []
    if not folder:
        start = _folder_with(images[:_TRIED], start, remarks)
    names = list(images)
    missing = [row for row, name in enumerate(names) if not start.has(name)]
    if missing and not any(is_picture(images[row]) for row in missing):
        names = _with_endings(names, start, remarks)
        missing = [row for row, name in enumerate(names) if not start.has(name)]
    if missing:
        named = ", ".join(images[row] for row in missing[:5])
        near = next(iter(start.pictures()), None)
        example = f" There is, for example, {near}." if near else " There are no images in it."
        rest = f" and {len(missing) - 5:,} others" if len(missing) > 5 else ""
        raise DatasetError(
            f"csv: {len(missing):,} of {len(names):,} images of {title} are not in {start}: {named}{rest}.{example} "
            f"Name their folder, as in csv:{title}?folder=photos, or remove these rows."
        )
    return NamedImages(start, tuple(names), tuple(remarks))


def is_picture(text: str) -> bool:
    """Return whether a text ends as the names of pictures do."""
    return PurePosixPath(text.replace("\\", "/")).suffix.lower() in PICTURES


def _folder_with(images: Sequence[str], start: PictureFolder, remarks: list[str]) -> PictureFolder:
    """Return the folder of the file if it has the images, else the sub-folder that has most of them."""

    def has(folder: PictureFolder, image: str) -> bool:
        return folder.has(image) or (not is_picture(image) and folder.has_stem(image))

    def held(folder: PictureFolder) -> int:
        return sum(has(folder, image) for image in images)

    best = max([start, *start.folders()], key=held)
    if best is not start:
        remarks.append(f"Images are those in {best}.")
    return best


def _with_endings(names: Sequence[str], start: PictureFolder, remarks: list[str]) -> list[str]:
    """Return the paths, those without ending with that of the picture, where there is one of that name."""
    known: dict[PurePosixPath, list[str]] = {}
    for picture in start.pictures():
        known.setdefault(PurePosixPath(picture).with_suffix(""), []).append(picture)
    found = [pictures[0] if len(pictures := known.get(PurePosixPath(name), [])) == 1 else name for name in names]
    if found != list(names):
        remarks.append("Images are named without their endings.")
    return found


def _more(rows: Sequence[int]) -> str:
    return f" and {len(rows) - 1:,} other rows" if len(rows) > 1 else ""
