"""Loading datasets by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from archsearch.errors import DatasetError
from archsearch.evaluators.dataset_names import DatasetName
from archsearch.evaluators.datasets.cifar import cifar_folder, load_cifar10, load_cifar100
from archsearch.evaluators.datasets.csv_labels import csv_task, load_csv
from archsearch.evaluators.datasets.dataset import Splits
from archsearch.evaluators.datasets.decoding import Decoder
from archsearch.evaluators.datasets.digits import load_digits
from archsearch.evaluators.datasets.imagefolder import load_imagefolder
from archsearch.evaluators.datasets.label_columns import LabelRules
from archsearch.evaluators.datasets.memory_share import memory_limit
from archsearch.evaluators.datasets.parquet import load_parquet, parquet_task
from archsearch.evaluators.datasets.remote import is_remote
from archsearch.evaluators.datasets.shared_pixels import files_identity, shared
from archsearch.evaluators.datasets.streamed import Loading

_NAMED: dict[str, Callable[[Path | None], Splits]] = {
    "digits": lambda root: load_digits(),
    "cifar10": load_cifar10,
    "cifar100": load_cifar100,
}


def load(name: str, root: str | Path | None = None, loading: Loading | None = None) -> Splits:
    """Return the training, validation and test images of a dataset. The split is the same on every call and machine.

    Args:
        name: `digits`, `cifar10`, `cifar100`, `imagefolder:PATH`, `parquet:PATH` or `csv:PATH`. Options follow the path:
            `imagefolder:PATH?size=32` is the side in pixels that the images are brought to, `size=24x96` height and width;
            `parquet:PATH?image=img&label=fine_label` names the two columns, and `label=x,y` several ones. All take `white=4095`,
            the value of full brightness in images with more than 8 bits a channel, `background=black`, the colour below
            transparent pixels (white if it is not given), `on_error=skip`, which leaves out images that cannot be read, and
            `jpeg=fast`, which decodes large JPEG files at a fraction of their size. Images of a `parquet` without `size` must
            have one shape. PATH may be an address that pyarrow reads, such as `s3://BUCKET/FOLDER`.
            `parquet` and `csv` take `task=regression`, and `separator=;` between the labels of a cell; `csv` also
            `folder=photos`, where the images are, a path or an address, and `part=split`, a column that says which are for
            training, validation and testing.
        root: Folder that holds CIFAR's files, or that they are downloaded to (the cache folder when None); for a relative
            PATH, the folder that it starts from. `digits` needs none.
        loading: How much memory the images of a user may take, beyond which they are decoded when they are read; None takes
            the defaults of `Loading`.

    Raises:
        DatasetError: The name is unknown, or the images or labels cannot be read or there is nothing to learn.
    """
    parsed = DatasetName.parse(name)
    folder = None if root is None else Path(root).expanduser()
    return shared(name, _identity(parsed, folder, loading or Loading()), lambda: _loaded(parsed, folder, loading))


def _identity(parsed: DatasetName, folder: Path | None, loading: Loading) -> str | None:
    """Return what changes with the files of a dataset; None for one that is not shared by processes."""
    if parsed.kind in ("cifar10", "cifar100"):
        where = cifar_folder(parsed.kind, folder)
        return files_identity(where) if where.is_dir() else None
    if parsed.kind not in ("imagefolder", "parquet") or is_remote(parsed.path) or loading.memory_gb == 0:
        return None
    found = files_identity(_path(parsed, folder))
    return None if found is None else f"{found} {_path(parsed, folder).resolve()} {memory_limit(loading.memory_gb)}"


def _loaded(parsed: DatasetName, folder: Path | None, loading: Loading | None) -> Splits:
    if parsed.kind in _NAMED:
        return _NAMED[parsed.kind](folder)
    if parsed.draft and parsed.kind == "parquet" and not parsed.sized:
        raise DatasetError("option jpeg of parquet: expected the size of the images too, as in size=64&jpeg=fast; got none.")
    draft = max(parsed.size) if parsed.draft else None
    path, decoder = _path(parsed, folder), Decoder(parsed.white, parsed.background, draft)
    if parsed.kind == "imagefolder":
        return load_imagefolder(path, parsed.size, decoder, parsed.skip, loading)
    if parsed.kind == "csv":
        return load_csv(path, parsed, decoder, loading)
    rules, size = LabelRules(parsed.task, parsed.separator), parsed.size if parsed.sized else None
    return load_parquet(path, **parsed.columns, decoder=decoder, rules=rules, skip=parsed.skip, size=size, loading=loading)


def task_of(name: str, root: str | Path | None = None) -> str:
    """Return the task of a dataset: `classification`, `multilabel` or `regression`. Labels are read if they decide, no images.

    Args:
        name: As for `load`.
        root: As for `load`.

    Raises:
        DatasetError: The name is unknown, or the labels cannot be read.
    """
    parsed = DatasetName.parse(name)
    if parsed.known_task is not None:
        return parsed.known_task
    path = _path(parsed, None if root is None else Path(root).expanduser())
    if parsed.kind == "csv":
        return csv_task(path, parsed)
    return parquet_task(path, **parsed.columns, rules=LabelRules(parsed.task, parsed.separator))


def _path(parsed: DatasetName, folder: Path | None) -> Any:
    """Return the path of a file or folder; the address of one in another filesystem as it is."""
    if is_remote(parsed.path):
        return parsed.path
    return (folder or Path()) / Path(parsed.path).expanduser()
