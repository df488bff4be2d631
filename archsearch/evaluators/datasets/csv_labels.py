"""Datasets of image files whose labels stand in a CSV file beside them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

from archsearch.errors import DatasetError, TableError, did_you_mean
from archsearch.evaluators.dataset_names import DatasetName
from archsearch.evaluators.datasets.csv_images import is_picture, named_images
from archsearch.evaluators.datasets.dataset import ImageDataset, Splits
from archsearch.evaluators.datasets.decoding import Decoder
from archsearch.evaluators.datasets.folder_layout import PARTS
from archsearch.evaluators.datasets.image_files import ImageReader
from archsearch.evaluators.datasets.label_columns import LabelReader, LabelRules, columns_named
from archsearch.evaluators.datasets.remote import content_of, is_remote
from archsearch.evaluators.datasets.split import partition
from archsearch.evaluators.datasets.streamed import Loading, streamed_part
from archsearch.evaluators.tables.csv_file import read_csv


@dataclass(frozen=True)
class _Rows:
    """The rows of a CSV file, one an image.

    Args:
        images: Path of each image as the file has it.
        columns: The columns of labels by name.
        parts: Part of each image; empty if the file has no column for it.
        places: Row of the file of each, from 1.
        remarks: What was found or left out.
    """

    images: tuple[str, ...]
    columns: Mapping[str, tuple[Any, ...]]
    parts: tuple[str, ...]
    places: tuple[int, ...]
    remarks: tuple[str, ...]

    def take(self, rows: Sequence[int]) -> _Rows:
        return _Rows(
            tuple(self.images[row] for row in rows),
            {name: tuple(values[row] for row in rows) for name, values in self.columns.items()},
            tuple(self.parts[row] for row in rows) if self.parts else (),
            tuple(self.places[row] for row in rows),
            self.remarks,
        )

    def of(self, part: str) -> _Rows:
        return self.take([row for row, each in enumerate(self.parts) if each == part]) if self.parts else self

    def place(self, row: int) -> str:
        """Return the name of a row in messages."""
        return f"row {self.places[row]}"


def load_csv(path: Path | str, name: DatasetName, decoder: Decoder | None = None, loading: Loading | None = None) -> Splits:
    """Return the images that a CSV file names, brought to RGB and one size, with the labels that it has for them.

    Args:
        path: The file, or its address in a filesystem of pyarrow, with a header; its delimiter and encoding are found as by
            `read_csv`.
        name: The parts of the dataset's name: columns, folder of the images, task and size. Without a folder the paths in the
            file start from the folder of the file, or from the one sub-folder that has these images.
        decoder: What decodes the files; None takes one with its defaults.
        loading: Whether the images are held in memory; None takes the defaults.

    Raises:
        DatasetError: The file, a column or an image is missing or cannot be read, the labels do not suit the task, or an image
            has several rows with different labels.
    """
    file = _path(path)
    rows = _unique(_read(path, name), file)
    labels = _labels(rows, name, file)
    named = named_images(rows.images, rows.place, path, name.folder)
    reader, title = ImageReader(name.size, decoder or Decoder(), name.skip), file.stem
    where, loading = dict(zip(rows.images, named.names, strict=True)), loading or Loading()
    images, shape = len(rows.images), (3, *reader.size)
    streams = loading.streams(images, shape)
    chosen = {part: rows.of(part) for part in (("train", "validation", "test") if rows.parts else ("train",))}
    chosen = {part: found for part, found in chosen.items() if part == "train" or found.images}
    parts = {}
    for part, found in chosen.items():
        truth = labels.read(found.columns, found.place, file.name)
        source = named.folder.source([where[image] for image in found.images])
        if streams:
            lacking = 3 - len(chosen) if part == "train" else 0
            parts[part] = streamed_part(f"{title}/{part}", source, reader, truth, labels.classes, lacking, loading)
        else:
            pixels, kept, cut = reader.read(source)
            parts[part] = ImageDataset(f"{title}/{part}", pixels, truth[kept], labels.classes, cut)
    reader.decoder.finish(title)
    said = (*filter(None, [labels.remark]), *rows.remarks, *named.remarks, *parts["train"].remarks, *reader.decoder.remarks)
    parts["train"] = replace(parts["train"], remarks=(loading.remark(images, shape), *said) if streams else said)
    return partition(title, **parts)


def csv_task(path: Path | str, name: DatasetName) -> str:
    """Return the task of a dataset; no images are read.

    Raises:
        DatasetError: As for `load_csv`, but for the images.
    """
    return _labels(_read(path, name), name, _path(path)).task


def _path(path: Path | str) -> PurePath:
    """Return the path of the file in its filesystem, for messages."""
    return PurePosixPath(path.partition("://")[2]) if isinstance(path, str) and is_remote(path) else PurePath(path)


def _labels(rows: _Rows, name: DatasetName, path: PurePath) -> LabelReader:
    """Return how the labels are read, by those of the training images."""
    train = rows.of("train")
    if not train.images:
        raise DatasetError(f"{path.name}: expected training images; got none in the column {name.part!r}.")
    return LabelReader.of(train.columns, LabelRules(name.task, name.separator), train.place, path.name)


def _read(file: Path | str, name: DatasetName) -> _Rows:
    """Return the rows, with the columns of images, labels and parts."""
    wanted, given, path = name.columns.get("image", "image"), name.columns.get("label", "label"), _path(file)
    content = content_of(file, "csv") if isinstance(file, str) and is_remote(file) else None
    try:
        found = read_csv(path, wanted, (given, *given.split(","), *([name.part] if name.part else [])), content)
    except TableError as error:
        reason = str(error).removeprefix("table: ").replace("one row an architecture", "one row an image")
        raise DatasetError(f"csv: {reason}") from error
    cells = {column: found.rows.column(column).to_pylist() for column in found.rows.column_names}
    if not found.rows.num_rows:
        raise DatasetError(f"csv: expected a header and one row an image in {path}; got no rows.")
    remarks = list(found.notes)
    image = _image_column(wanted, cells, "image" in name.columns, path, remarks)
    others = [column for column in cells if column not in (image, name.part)]
    if "label" not in name.columns and "label" not in cells and len(others) == 1:
        given = others[0]
    columns = columns_named(given, list(cells))
    lacking = [column for column in columns if column not in cells]
    if name.part and name.part not in cells:
        lacking.append(name.part)
    if lacking:
        raise DatasetError(
            f"csv: expected the column {lacking[0]!r} in {path}; it has {', '.join(cells)}.{did_you_mean(lacking[0], cells)} "
            f"Name them, as in csv:{path.name}?image=file&label=value."
        )
    images = tuple(str(cell).replace("\\", "/") for cell in cells[image])
    if empty := [row for row, cell in enumerate(images) if not cell]:
        raise DatasetError(f"csv: expected an image in each row of {path.name}; got none in row {found.places[empty[0]]}.")
    labels = {column: tuple(_values(cells[column], found.delimiter)) for column in columns}
    parts = tuple(_part(cell, name.part, path) for cell in cells[name.part]) if name.part else ()
    return _Rows(images, labels, parts, found.places, tuple(remarks))


def _image_column(wanted: str, cells: Mapping[str, Sequence[str]], given: bool, path: PurePath, remarks: list[str]) -> str:
    """Return the column of image files: the one that is named, else the only one that holds names of pictures."""
    if wanted in cells:
        return wanted
    named = [column for column, values in cells.items() if all(map(is_picture, values))]
    if not given and len(named) == 1 and is_picture(named[0]):
        raise DatasetError(
            f"csv: expected a header in {path}; got the image {named[0]}. Write the names of the columns above it."
        )
    if not given and len(named) == 1:
        remarks.append(f"Images are those of the column {named[0]!r}.")
        return named[0]
    raise DatasetError(
        f"csv: expected the column {wanted!r} in {path}; it has {', '.join(cells)}.{did_you_mean(wanted, cells)} Name the "
        f"columns, as in csv:{path.name}?image=file&label=value."
    )


def _values(cells: Sequence[str], delimiter: str) -> list[Any]:
    """Return the cells of a column of labels: whole numbers as such, decimal commas as points where they are not delimiters."""
    if cells and all(cell.isascii() and cell.isdigit() and str(int(cell)) == cell for cell in cells):
        return list(map(int, cells))
    if delimiter != "," and all("." not in cell for cell in cells):
        points = [cell.replace(",", ".") if cell.count(",") == 1 else cell for cell in cells]
        if any("," in cell for cell in cells) and all(_is_number(cell) for cell in points if cell):
            return points
    return list(cells)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _part(cell: str, column: str, path: PurePath) -> str:
    part = PARTS.get(cell.strip().lower())
    if part is None:
        raise DatasetError(
            f"csv: expected train, validation or test in the column {column!r} of {path.name}; got {cell!r}. Correct it, or "
            "leave out part, and the images are divided."
        )
    return part


def _unique(rows: _Rows, path: PurePath) -> _Rows:
    """Return the rows without repetitions.

    Raises:
        DatasetError: An image has several rows with different labels, or in different parts.
    """
    counts = Counter(rows.images)
    if len(counts) == len(rows.images):
        return rows
    first: dict[str, int] = {}
    contents = list(zip(*rows.columns.values(), rows.parts or rows.images, strict=True))
    for row, image in enumerate(rows.images):
        before = first.setdefault(image, row)
        if contents[before] != contents[row]:
            texts = [", ".join(map(str, contents[each][:-1])) for each in (before, row)]
            other = "; for several labels write them into one cell, such as cat|dog" if texts[0] != texts[1] else ""
            twice = sum(count > 1 for count in counts.values())
            raise DatasetError(
                f"csv: expected each image once in {path.name}; {twice:,} stand in several rows, such as {image} in "
                f"{rows.place(before)} ({texts[0]}) and {rows.place(row)} ({texts[1]}). Keep one row{other}."
            )
    remark = f"{len(rows.images) - len(first):,} rows of {path.name} repeat others: passed over."
    return replace(rows.take(sorted(first.values())), remarks=(*rows.remarks, remark))
