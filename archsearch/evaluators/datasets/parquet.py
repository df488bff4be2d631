"""Datasets in Parquet files with a column of encoded images and a column of labels, as of Hugging Face."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from archsearch.errors import DatasetError, first_line
from archsearch.evaluators.datasets.dataset import ImageDataset, Splits
from archsearch.evaluators.datasets.decoding import Decoder
from archsearch.evaluators.datasets.split import partition

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS = 1024
"""Rows decoded at a time, to bound the memory."""


@dataclass(frozen=True)
class _Columns:
    image: str
    label: str
    decoder: Decoder


def load_parquet(path: Path, image: str = "image", label: str = "label", decoder: Decoder | None = None) -> Splits:
    """Return the images of Parquet files. Grey images have one channel, all others three.

    Args:
        path: A file, or a folder with `train*.parquet` and, as available, `validation*.parquet` (or `val*`) and
            `test*.parquet`. For a file with `train` in its name, the one beside it with `test` in that place is the test set.
            A missing part is a tenth of the training images, split off.
        image: Column of PNG or JPEG files as bytes, or of structs with the field `bytes`.
        label: Column of whole numbers or strings; their sorted distinct values in the training files are the classes.
        decoder: What decodes the images; None takes one with its defaults.

    Raises:
        DatasetError: A file or a column is missing, a file or an image is corrupt, the images differ in shape, or there are
            too few images or classes.
    """
    columns = _Columns(image, label, decoder or Decoder())
    files = _in_folder(path) if path.is_dir() else _beside(path)
    name = path.resolve().name if path.is_dir() else path.stem
    pixels, labels = _read(files["train"], columns, None)
    values = np.unique(labels)
    classes = tuple(str(value) for value in values)
    parts = {"train": ImageDataset(f"{name}/train", pixels, _numbers(labels, values, files["train"]), classes)}
    for part in ("validation", "test"):
        if files[part]:
            pixels, labels = _read(files[part], columns, parts["train"].shape)
            parts[part] = ImageDataset(f"{name}/{part}", pixels, _numbers(labels, values, files[part]), classes)
    columns.decoder.finish(name)
    parts["train"] = replace(parts["train"], remarks=columns.decoder.remarks)
    return partition(name, **parts)


def _in_folder(folder: Path) -> dict[str, list[Path]]:
    """Return the files of each part."""
    patterns = {"train": "train*.parquet", "validation": "val*.parquet", "test": "test*.parquet"}
    files = {part: sorted(folder.glob(pattern)) for part, pattern in patterns.items()}
    if not files["train"]:
        present = ", ".join(sorted(found.name for found in folder.iterdir())[:8]) or "an empty folder"
        raise DatasetError(f"parquet: expected train*.parquet in {folder}; got {present}. Give the path of a file instead.")
    return files


def _beside(path: Path) -> dict[str, list[Path]]:
    """Return a file as the training part, and its sibling as the test part."""
    if not path.is_file():
        raise DatasetError(f"parquet: expected a file or folder; got {path}, which does not exist. Check the path.")
    sibling = path.with_name("test".join(path.name.rsplit("train", 1)))
    return {"train": [path], "validation": [], "test": [sibling] if sibling != path and sibling.is_file() else []}


def _read(files: list[Path], columns: _Columns, shape: tuple[int, int, int] | None) -> tuple[torch.Tensor, NDArray[Any]]:
    """Return the images `[images, channels, height, width]` of all files, and their labels as they are stored."""
    pixels: list[NDArray[np.uint8]] = []
    labels: list[NDArray[Any]] = []
    for file in files:
        for first, batch in _batches(file, columns):
            labels.append(_labels(batch.column(1), f"{file}, column {columns.label}"))
            decoded = []
            for offset, encoded in enumerate(_encoded(batch.column(0), f"{file}, column {columns.image}")):
                place = f"{file}, row {first + offset}"
                array = _channels_first(encoded, place, columns.decoder)
                shape = shape or array.shape
                _check_shape(array.shape, shape, place)
                decoded.append(array)
            pixels.append(np.stack(decoded))
    if not pixels:
        raise DatasetError(f"parquet: expected rows in {', '.join(map(str, files))}; got none.")
    if len({array.dtype.kind for array in labels}) > 1:
        raise DatasetError(f"parquet: expected one type of label in all files; got numbers and strings in {files[0].parent}.")
    return torch.from_numpy(np.concatenate(pixels)), np.concatenate(labels)


def _batches(file: Path, columns: _Columns) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yield (number of the first row, rows) with the columns of images and labels, in this order."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file) as source:
            present = source.schema_arrow.names
            missing = [name for name in (columns.image, columns.label) if name not in present]
            if missing:
                raise DatasetError(
                    f"{file}: expected the columns {columns.image} and {columns.label}; {' and '.join(missing)} not among "
                    f"those present: {', '.join(present)}. Name them, as in parquet:PATH?image=img&label=fine_label."
                )
            first = 0
            for batch in source.iter_batches(_ROWS, columns=[columns.image, columns.label]):
                if batch.num_rows:
                    yield first, batch.select([columns.image, columns.label])
                first += batch.num_rows
    except (pa.ArrowException, OSError) as error:
        reason = first_line(error)
        raise DatasetError(
            f"{file}: expected a complete Parquet file; got {type(error).__name__}: {reason} Copy or download it again."
        ) from error


def _encoded(column: pa.Array, place: str) -> list[bytes | None]:
    """Return the content of each image file."""
    import pyarrow as pa

    if pa.types.is_struct(column.type) and column.type.get_field_index("bytes") >= 0:
        column = column.field("bytes")
    if not (pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type)):
        raise DatasetError(f"{place}: expected image files as bytes, or structs with the field bytes; got {column.type}.")
    images: list[bytes | None] = column.to_pylist()
    return images


def _labels(column: pa.Array, place: str) -> NDArray[Any]:
    """Return the labels as int64 or as strings."""
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind = column.type
    if not (pa.types.is_integer(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        raise DatasetError(f"{place}: expected labels that are whole numbers or strings; got {kind}.")
    if column.null_count:
        raise DatasetError(f"{place}: expected a label in each row; got {column.null_count} empty ones. Remove these rows.")
    return np.asarray(column.to_pylist(), dtype=np.int64 if pa.types.is_integer(kind) else np.str_)


def _channels_first(encoded: bytes | None, place: str, decoder: Decoder) -> NDArray[np.uint8]:
    """Return an image as `[channels, height, width]`."""
    if encoded is None:
        raise DatasetError(f"{place}: expected the bytes of an image file; got none. Remove the row.")
    pixels = np.asarray(decoder.decode(encoded, place))
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def _check_shape(given: tuple[int, ...], expected: tuple[int, ...], place: str) -> None:
    if given != expected:
        raise DatasetError(
            f"{place}: expected an image of {list(expected)} (channels, height, width), as the first one; "
            f"got {list(given)}. Bring all images to one shape, or use imagefolder, which does so."
        )


def _numbers(labels: NDArray[Any], values: NDArray[Any], files: list[Path]) -> torch.Tensor:
    """Return the class number of each label."""
    unknown = np.flatnonzero(~np.isin(labels, values)) if labels.dtype.kind == values.dtype.kind else np.zeros(1, int)
    if len(unknown):
        raise DatasetError(
            f"labels of {files[0].name}: expected those of the training images, such as {values[0]!s}; "
            f"got {labels[unknown[0]]!s}. Correct or remove such rows."
        )
    return torch.from_numpy(np.searchsorted(values, labels).astype(np.int64))
