"""Datasets in Parquet files with a column of encoded images and columns of labels, as of Hugging Face."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from archsearch.errors import DatasetError, first_line
from archsearch.evaluators.datasets.dataset import ImageDataset, Splits
from archsearch.evaluators.datasets.decoding import Decoder
from archsearch.evaluators.datasets.image_files import ImageReader, Size
from archsearch.evaluators.datasets.image_source import EncodedRows, JoinedSources, PackedImages
from archsearch.evaluators.datasets.label_columns import LabelReader, LabelRules, columns_named
from archsearch.evaluators.datasets.packing import packed
from archsearch.evaluators.datasets.remote import is_remote, opened
from archsearch.evaluators.datasets.split import partition
from archsearch.evaluators.datasets.streamed import Loading, streamed_part
from archsearch.evaluators.datasets.unreadable import Unreadable

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow.fs import FileSystem

_ROWS = 1024
"""Rows decoded at a time, to bound the memory."""


@dataclass(frozen=True)
class _Columns:
    """Names of the columns, `label` of one or several as `x,y`, and what decodes the images."""

    image: str
    label: str
    decoder: Decoder
    skip: bool = False


def load_parquet(
    path: Path | str,
    image: str = "image",
    label: str = "label",
    decoder: Decoder | None = None,
    rules: LabelRules | None = None,
    skip: bool = False,
    size: Size | None = None,
    loading: Loading | None = None,
) -> Splits:
    """Return the images of Parquet files. Grey images have one channel, all others three.

    Args:
        path: A file, or a folder with `train*.parquet` and, as available, `validation*.parquet` (or `val*`) and
            `test*.parquet`; or the address of either in a filesystem of pyarrow. For a file with `train` in its name, the one
            beside it with `test` in that place is the test set. A missing part is a tenth of the training images, split off.
        image: Column of PNG or JPEG files as bytes, or of structs with the field `bytes`.
        label: Column of whole numbers or strings, whose sorted distinct values in the training files are the classes; of lists,
            of which these are the labels; or of floating numbers. Several columns, as `x,y`, are of numbers, or of 0 and 1.
        decoder: What decodes the images; None takes one with its defaults.
        rules: Task and separator of labels; None finds them.
        skip: Whether images that cannot be read are left out.
        size: Height and width that images are cut and resized to, in RGB; None takes images that all have one shape.
        loading: Whether images of this size are held in memory; None takes the defaults. Images without it are held.

    Raises:
        DatasetError: A file or a column is missing, a file or an image is corrupt, the images differ in shape, or there are
            too few images or classes.
    """
    columns = _Columns(image, label, decoder or Decoder(), skip)
    files, name = _files(path)
    if size is not None:
        return _sized(files, name, columns, rules or LabelRules(), size, loading or Loading())
    rules = rules or LabelRules()
    pixels, labels, remarks = _read(files["train"], columns, None)
    source = _named(files["train"])
    reader = LabelReader.of(labels, rules, _row, source)
    train = ImageDataset(f"{name}/train", pixels, reader.read(labels, _row, source), reader.classes)
    parts = {"train": train}
    for part in ("validation", "test"):
        if files[part]:
            pixels, labels, more = _read(files[part], columns, train.shape)
            remarks = (*remarks, *more)
            parts[part] = ImageDataset(f"{name}/{part}", pixels, reader.read(labels, _row, _named(files[part])), reader.classes)
    columns.decoder.finish(name)
    parts["train"] = replace(train, remarks=(*filter(None, [reader.remark]), *remarks, *columns.decoder.remarks))
    return partition(name, **parts)


def _sized(
    files: Mapping[str, list[_File]], name: str, columns: _Columns, rules: LabelRules, size: Size, loading: Loading
) -> Splits:
    """Return images that are brought to a size, held in memory or streamed."""
    reader, shape = ImageReader(size, columns.decoder, columns.skip), (3, *size)
    values = {part: _all_labels(found, columns) for part, found in files.items() if found}
    numbers = {part: len(next(iter(found.values()))) for part, found in values.items()}
    images = sum(numbers.values())
    streams = loading.streams(images, shape)
    labels = LabelReader.of(values["train"], rules, _row, _named(files["train"]))
    parts = {}
    for part, found in values.items():
        title, truth = f"{name}/{part}", labels.read(found, _row, _named(files[part]))
        if streams:
            source = JoinedSources([_packed(file, columns) for file in files[part]])
            lacking = 3 - len(values) if part == "train" else 0
            parts[part] = streamed_part(title, source, reader, truth, labels.classes, lacking, loading)
        else:
            pixels, kept, remarks = reader.read(_in_memory(files[part], columns))
            parts[part] = ImageDataset(title, pixels, truth[kept], labels.classes, remarks)
    columns.decoder.finish(name)
    said = (*filter(None, [labels.remark]), *parts["train"].remarks, *columns.decoder.remarks)
    parts["train"] = replace(parts["train"], remarks=(loading.remark(images, shape), *said) if streams else said)
    return partition(name, **parts)


def _all_labels(files: Sequence[_File], columns: _Columns) -> dict[str, list[Any]]:
    read = [_label_values(batch, 0, file) for file in files for _, batch in _batches(file, columns, with_images=False)]
    if not read:
        raise DatasetError(f"parquet: expected rows in {', '.join(map(str, files))}; got none.")
    return _joined(read, files)


def _encoded_of(file: _File, columns: _Columns) -> Iterator[bytes]:
    """Yield the images of a file, encoded; a missing one is empty."""
    for _, batch in _batches(file, columns):
        for image in _encoded(batch.column(0), f"{file}, column {columns.image}"):
            yield image or b""


def _in_memory(files: Sequence[_File], columns: _Columns) -> EncodedRows:
    """Return the encoded images of files, in memory."""
    images, places = list[bytes](), list[str]()
    for file in files:
        before = len(images)
        images += _encoded_of(file, columns)
        places += [f"{file}, row {row}" for row in range(len(images) - before)]
    return EncodedRows(images, places)


def _packed(file: _File, columns: _Columns) -> PackedImages:
    """Return the encoded images of a file, unpacked to the cache folder once."""
    found = file.info()
    identity = f"{file},{columns.image},{found.size},{found.mtime_ns}"
    return packed(identity, str(file), found.size, lambda: _encoded_of(file, columns))


@dataclass(frozen=True)
class _File:
    """A file of a filesystem of pyarrow; `address` is that of the filesystem, empty for this machine."""

    path: str
    address: str = ""

    def __str__(self) -> str:
        return self.path

    @property
    def name(self) -> str:
        return Path(self.path).name

    @property
    def folder(self) -> str:
        return str(Path(self.path).parent)

    @property
    def filesystem(self) -> FileSystem | None:
        return opened(self.address)[0] if self.address else None

    def info(self) -> Any:
        """Return size and time of the file."""
        from pyarrow.fs import LocalFileSystem

        return (self.filesystem or LocalFileSystem()).get_file_info(self.path)


def parquet_task(path: Path | str, image: str = "image", label: str = "label", rules: LabelRules | None = None) -> str:
    """Return the task of a dataset; no images are read.

    Raises:
        DatasetError: As for `load_parquet`, but for the images.
    """
    files = _files(path)[0]["train"]
    return LabelReader.of(_all_labels(files, _Columns(image, label, Decoder())), rules or LabelRules(), _row, _named(files)).task


def _named(files: Sequence[_File]) -> str:
    return files[0].name if len(files) == 1 else files[0].folder


def _row(row: int) -> str:
    return f"row {row}"


def _files(path: Path | str) -> tuple[dict[str, list[_File]], str]:
    """Return the files of each part, and the name of the dataset."""
    if isinstance(path, str) and is_remote(path):
        return _remote_files(path)
    path = Path(path)
    found = _in_folder(path) if path.is_dir() else _beside(path)
    name = path.resolve().name if path.is_dir() else path.stem
    return {part: [_File(str(file)) for file in files] for part, files in found.items()}, name


def _remote_files(address: str) -> tuple[dict[str, list[_File]], str]:
    from pyarrow.fs import FileSelector, FileType

    filesystem, root = opened(address)
    try:
        info = filesystem.get_file_info(root)
        if info.type == FileType.Directory:
            paths = sorted(found.path for found in filesystem.get_file_info(FileSelector(root)))
        else:
            sibling = "test".join(root.rsplit("train", 1)) if "train" in PurePosixPath(root).name else root
            there = sibling != root and filesystem.get_file_info(sibling).type == FileType.File
            train = [_File(root, address)] if info.type == FileType.File else []
            tests = [_File(sibling, address)] if there else []
            found = {"train": train, "validation": [], "test": tests}
            paths = []
    except OSError as error:
        raise DatasetError(f"parquet: expected a file or folder at {address}; got {first_line(error)}.") from error
    if info.type == FileType.Directory:
        names = {part: pattern.removesuffix("*.parquet") for part, pattern in _PATTERNS.items()}
        found = {
            part: [_File(each, address) for each in paths if _is_part(PurePosixPath(each).name, start)]
            for part, start in names.items()
        }
    if not found["train"]:
        raise DatasetError(f"parquet: expected a file, or train*.parquet in a folder, at {address}; got none. Check the address.")
    return found, PurePosixPath(root).stem


def _is_part(name: str, start: str) -> bool:
    return name.startswith(start) and name.endswith(".parquet")


_PATTERNS = {"train": "train*.parquet", "validation": "val*.parquet", "test": "test*.parquet"}
"""Files of each part in a folder."""


def _in_folder(folder: Path) -> dict[str, list[Path]]:
    """Return the files of each part."""
    files = {part: sorted(folder.glob(pattern)) for part, pattern in _PATTERNS.items()}
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


def _read(
    files: Sequence[_File], columns: _Columns, shape: tuple[int, int, int] | None
) -> tuple[torch.Tensor, dict[str, list[Any]], tuple[str, ...]]:
    """Return the images `[images, channels, height, width]` of all files, the columns of their labels, and remarks."""
    pixels: list[NDArray[np.uint8]] = []
    labels: list[dict[str, list[Any]]] = []
    unreadable, rows = Unreadable(columns.skip), 0
    for file in files:
        for first, batch in _batches(file, columns):
            values, kept = _label_values(batch, 1, file), []
            for offset, encoded in enumerate(_encoded(batch.column(0), f"{file}, column {columns.image}")):
                place = f"{file}, row {first + offset}"
                try:
                    array = _channels_first(encoded, place, columns.decoder)
                except DatasetError as error:
                    unreadable.add(place, error)
                    continue
                shape = shape or array.shape
                _check_shape(array.shape, shape, place)
                pixels.append(array)
                kept.append(offset)
            rows += batch.num_rows
            labels.append({name: [column[offset] for offset in kept] for name, column in values.items()})
    if not rows:
        raise DatasetError(f"parquet: expected rows in {', '.join(map(str, files))}; got none.")
    remarks = unreadable.check(rows, len(pixels))
    return torch.from_numpy(np.stack(pixels)), _joined(labels, files), remarks


def _joined(parts: list[dict[str, list[Any]]], files: Sequence[_File]) -> dict[str, list[Any]]:
    """Return the columns of labels of all batches.

    Raises:
        DatasetError: They have not the same columns, or numbers in some files and strings in others.
    """
    if any(each.keys() != parts[0].keys() for each in parts):
        raise DatasetError(f"parquet: expected lists of one length in all files; got several in {files[0].folder}.")
    joined = {name: [value for each in parts for value in each[name]] for name in parts[0]}
    for values in joined.values():
        if len({isinstance(value, str) for value in values if value is not None}) > 1:
            raise DatasetError(f"parquet: expected one type of label in all files; got numbers and strings in {files[0].folder}.")
    return joined


def _batches(file: _File, columns: _Columns, with_images: bool = True) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yield (number of the first row, rows) with the columns of images, if these are wanted, and labels, in this order."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file.path, filesystem=file.filesystem) as source:
            present = source.schema_arrow.names
            labels = columns_named(columns.label, present)
            wanted = [columns.image, *labels] if with_images else list(labels)
            missing = [name for name in (columns.image, *labels) if name not in present]
            if missing:
                raise DatasetError(
                    f"{file}: expected the columns {columns.image} and {' and '.join(labels)}; {' and '.join(missing)} not among "
                    f"those present: {', '.join(present)}. Name them, as in parquet:PATH?image=img&label=fine_label."
                )
            first = 0
            for batch in source.iter_batches(_ROWS, columns=wanted):
                if batch.num_rows:
                    yield first, batch.select(wanted)
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


def _label_values(batch: pa.RecordBatch, first: int, file: _File) -> dict[str, list[Any]]:
    """Return the columns of labels, from the column `first` on, as lists; vectors of numbers become a column for each place."""
    found: dict[str, list[Any]] = {}
    for place in range(first, batch.num_columns):
        name = batch.schema.names[place]
        found |= _values(batch.column(place), name, f"{file}, column {name}")
    return found


def _values(column: pa.Array, name: str, place: str) -> dict[str, list[Any]]:
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    types, kind = pa.types, column.type
    listed = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    item = kind.value_type if listed else kind
    if types.is_dictionary(item):
        item = item.value_type
    numeric = types.is_integer(item) or types.is_floating(item) or types.is_boolean(item) or types.is_decimal(item)
    if not (numeric or types.is_string(item) or types.is_large_string(item)):
        raise DatasetError(f"{place}: expected labels that are numbers, strings, or lists of these; got {kind}.")
    values = column.to_pylist()
    if not (listed and types.is_floating(item)):
        return {name: values}
    lengths = sorted({-1 if value is None else len(value) for value in values})
    if len(lengths) > 1 or lengths[0] < 1:
        raise DatasetError(
            f"{place}: expected a list of as many numbers in each row; got {lengths[0]} and {lengths[-1]} of them."
        )
    return {f"{name}[{at}]": [value[at] for value in values] for at in range(lengths[0])}


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
