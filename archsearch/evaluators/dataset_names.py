"""Names of datasets, such as `digits` or `imagefolder:PATH?size=32`, read and checked without torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from archsearch.errors import ConfigurationError, DatasetError, check_kind, unknown_name
from archsearch.evaluators.score_names import CLASSIFICATION, TASKS

NAMED = ("digits", "cifar10", "cifar100")
"""Datasets that have a name of their own."""
OPTIONS = {
    "imagefolder": ("size", "white", "background", "on_error", "jpeg"),
    "parquet": ("image", "label", "task", "separator", "size", "white", "background", "on_error", "jpeg"),
    "csv": ("image", "label", "folder", "part", "task", "separator", "size", "white", "background", "on_error", "jpeg"),
}
"""Options that may follow the path, for the kinds of datasets that have one."""
SEPARATORS = {"bar": "|", "semicolon": ";", "comma": ",", "space": " ", "tab": "\t"}
"""Separators of the labels in a cell, by names for those that are awkward in a command."""
ON_ERROR = ("stop", "skip")
"""What to do about images that cannot be read."""
JPEG = ("exact", "fast")
"""How JPEG files are decoded."""
_WITH_LABELS = ("parquet", "csv")


@dataclass(frozen=True)
class DatasetName:
    """The parts of a name.

    Args:
        kind: One of `NAMED`, `imagefolder`, `parquet` or `csv`.
        path: File or folder of the user; empty for a dataset with a name of its own.
        columns: Names of the columns `image` and `label`, as far as they are given; `label` may name several, as `x,y`.
        size: Height and width that images are brought to, in pixels.
        white: Value of full brightness; None takes that of the files.
        background: Red, green and blue below transparent pixels, 0 to 255.
        task: One of `score_names.TASKS`; None finds it from the labels.
        separator: What separates the labels of a cell; None finds it.
        folder: Folder of the images of a `csv`, from the folder of the file on; empty if it is not given.
        skip: Whether images that cannot be read are left out.
        part: Column of a `csv` that says whether an image is for training, validation or testing; empty if there is none.
        draft: Whether large JPEG files are decoded at a half, a quarter or an eighth of their size, if that is enough.
        sized: Whether the name has the size; without it images of a `parquet` must all have one shape.
    """

    kind: str
    path: str
    columns: dict[str, str]
    size: tuple[int, int] = (32, 32)
    white: float | None = None
    background: tuple[int, int, int] = (255, 255, 255)
    task: str | None = None
    separator: str | None = None
    folder: str = ""
    part: str = ""
    skip: bool = False
    draft: bool = False
    sized: bool = False

    @classmethod
    def parse(cls, name: str) -> DatasetName:
        """Return the parts of a name that `datasets.load` takes; no images are read.

        Raises:
            DatasetError: The name or an option is unknown, or the path is missing.

        Example:
            >>> from archsearch.evaluators.dataset_names import DatasetName
            >>> DatasetName.parse("imagefolder:photos?size=24x96").size
            (24, 96)
        """
        check_kind("dataset", name, str, f"one of {', '.join(names())}")
        if name in NAMED:
            return cls(name, "", {})
        kind, _, location = str(name).partition(":")
        if kind not in OPTIONS:
            raise DatasetError(
                unknown_name("dataset", kind if location and kind not in NAMED else name, names()) + _as_path(name)
            )
        path, _, query = location.partition("?")
        if not path:
            raise DatasetError(f"dataset: expected a path after the colon, as in {kind}:PATH; got {name!r}.")
        options = _options(kind, query)
        columns = {option: value for option, value in options.items() if option in ("image", "label")}
        return cls(
            kind,
            path,
            columns,
            _size(kind, options),
            _white(options),
            _background(options),
            _task(options),
            _separator(options),
            options.get("folder", ""),
            options.get("part", ""),
            _skip(options),
            _draft(options),
            "size" in options,
        )

    @property
    def known_task(self) -> str | None:
        """The task, if it is known without reading labels: images sorted into folders have classes."""
        return self.task if self.kind in _WITH_LABELS else CLASSIFICATION


def names() -> tuple[str, ...]:
    """Return the names that `datasets.load` takes; `PATH` stands for a file or folder of the user."""
    return (*NAMED, *(f"{kind}:PATH" for kind in OPTIONS))


def check_name(name: str) -> None:
    """Raise DatasetError unless the name has a form that `datasets.load` accepts; no images are read.

    Raises:
        DatasetError: The name or an option is unknown, or the path is missing.
    """
    DatasetName.parse(name)


def with_task(name: str, task: str | None) -> str:
    """Return the name of a dataset with its task in it.

    Args:
        name: The name.
        task: The task; None leaves the name as it is.

    Raises:
        DatasetError: The name, or the task, is unknown.
        ConfigurationError: The dataset has another task.

    Example:
        >>> from archsearch.evaluators.dataset_names import with_task
        >>> with_task("csv:ages.csv?label=age", "regression")
        'csv:ages.csv?label=age&task=regression'
    """
    parsed = DatasetName.parse(name)
    if task is None or task == parsed.known_task:
        return name
    if task not in TASKS:
        raise ConfigurationError(unknown_name("task", task, TASKS))
    if parsed.known_task is not None:
        raise ConfigurationError(f"task: expected {parsed.known_task}, which {name} has; got {task}. Leave it out.")
    return f"{name}{'&' if '?' in name else '?'}task={task}"


def with_size(name: str, size: int | str | None) -> str:
    """Return the name of a dataset of the user with the size of its images in it; other names stay as they are.

    Args:
        name: The name.
        size: Side in pixels, or height and width as `24x96`; None leaves the name as it is.

    Raises:
        DatasetError: The name, or the size, is none.

    Example:
        >>> from archsearch.evaluators.dataset_names import with_size
        >>> with_size("imagefolder:photos?size=224&jpeg=fast", 64)
        'imagefolder:photos?jpeg=fast&size=64'
    """
    kind = DatasetName.parse(name).kind
    if size is None or "size" not in OPTIONS.get(kind, ()):
        return name
    parse_size(size, kind)
    path, _, query = name.partition("?")
    others = [item for item in query.split("&") if item and not item.startswith("size=")]
    return f"{path}?{'&'.join([*others, f'size={size}'])}"


def parse_size(size: int | str, kind: str = "a dataset") -> tuple[int, int]:
    """Return height and width in pixels.

    Args:
        size: Side in pixels, or height and width as `24x96`.
        kind: Kind of the dataset, for messages.

    Raises:
        DatasetError: It is none.
    """
    return _size(kind, {"size": str(size)})


def _as_path(name: str) -> str:
    """Return a sentence on how to name a folder or file of the user, if there is one of that name."""
    path = Path(name.partition("?")[0]).expanduser()
    if path.is_dir():
        kind = "parquet" if next(path.glob("*.parquet"), None) else "imagefolder"
    elif path.is_file() and path.suffix in (".parquet", ".csv", ".tsv"):
        kind = "parquet" if path.suffix == ".parquet" else "csv"
    else:
        return ""
    return f" {name} is a {'folder' if path.is_dir() else 'file'}: write {kind}:{name} to read it."


def _options(kind: str, query: str) -> dict[str, str]:
    """Return the options of `key=value&key=value`."""
    options: dict[str, str] = {}
    for item in filter(None, query.split("&")):
        key, _, value = item.partition("=")
        if key not in OPTIONS[kind]:
            raise DatasetError(unknown_name(f"option of {kind}", key, OPTIONS[kind]))
        if not value:
            raise DatasetError(f"option {key} of {kind}: expected {key}=VALUE; got {item!r}.")
        options[key] = unquote(value) if kind == "csv" else value
    return options


def _skip(options: dict[str, str]) -> bool:
    """Return whether images that cannot be read are left out."""
    given = options.get("on_error", ON_ERROR[0])
    if given not in ON_ERROR:
        raise DatasetError(unknown_name("option on_error", given, ON_ERROR))
    return given == "skip"


def _draft(options: dict[str, str]) -> bool:
    """Return whether large JPEG files are decoded at a fraction of their size."""
    given = options.get("jpeg", JPEG[0])
    if given not in JPEG:
        raise DatasetError(unknown_name("option jpeg", given, JPEG))
    return given == "fast"


def _task(options: dict[str, str]) -> str | None:
    """Return the task asked for."""
    task = options.get("task")
    if task is not None and task not in TASKS:
        raise DatasetError(unknown_name("option task", task, TASKS))
    return task


def _separator(options: dict[str, str]) -> str | None:
    """Return the separator of labels asked for: a sign, or the name of one."""
    given = options.get("separator")
    return None if given is None else SEPARATORS.get(given, given)


def _size(kind: str, options: dict[str, str]) -> tuple[int, int]:
    """Return the height and width asked for, in pixels."""
    text = options.get("size", "32")
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(side.isascii() and side.isdigit() and int(side) > 0 for side in sides):
        raise DatasetError(
            f"option size of {kind}: expected a number of pixels, as in size=32, or height and width, as in size=24x96; got "
            f"{text!r}."
        )
    return int(sides[0]), int(sides[-1])


def _white(options: dict[str, str]) -> float | None:
    """Return the value of full brightness that is asked for."""
    white = options.get("white")
    try:
        value = None if white is None else float(white)
    except ValueError:
        value = math.nan
    if value is not None and not 0.0 < value < math.inf:
        raise DatasetError(f"option white: expected the value of full brightness, as in white=4095; got {white!r}.")
    return value


def _background(options: dict[str, str]) -> tuple[int, int, int]:
    """Return the colour below transparent pixels that is asked for."""
    from PIL import ImageColor

    background = options.get("background", "white")
    try:
        red, green, blue, *_ = ImageColor.getrgb(background)
    except ValueError as error:
        raise DatasetError(
            f"option background: expected a colour, as in background=black or background=#808080; got {background!r}."
        ) from error
    return red, green, blue
