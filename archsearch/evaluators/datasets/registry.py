"""Datasets by name."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

from archsearch.errors import DatasetError, check_kind, unknown_name
from archsearch.evaluators.datasets.cifar import load_cifar10, load_cifar100
from archsearch.evaluators.datasets.dataset import Splits
from archsearch.evaluators.datasets.decoding import Decoder
from archsearch.evaluators.datasets.digits import load_digits
from archsearch.evaluators.datasets.imagefolder import load_imagefolder
from archsearch.evaluators.datasets.parquet import load_parquet

_NAMED: dict[str, Callable[[Path | None], Splits]] = {
    "digits": lambda root: load_digits(),
    "cifar10": load_cifar10,
    "cifar100": load_cifar100,
}
_OPTIONS = {"imagefolder": ("size", "white", "background"), "parquet": ("image", "label", "white", "background")}
"""Options that may follow the path, for the kinds that have one."""


def names() -> tuple[str, ...]:
    """Return the names that `load` takes; `PATH` stands for a file or folder of the user."""
    return (*_NAMED, *(f"{kind}:PATH" for kind in _OPTIONS))


def load(name: str, root: str | Path | None = None) -> Splits:
    """Return the training, validation and test images of a dataset. The split is the same on every call and machine.

    Args:
        name: `digits`, `cifar10`, `cifar100`, `imagefolder:PATH` or `parquet:PATH`. Options follow the path:
            `imagefolder:PATH?size=32` is the side in pixels that the images are brought to, `size=24x96` height and width;
            `parquet:PATH?image=img&label=fine_label` names the two columns. Both take `white=4095`, the value of full brightness
            in images with more than 8 bits a channel, and `background=black`, the colour below transparent pixels (white if it is
            not given).
        root: Folder that holds CIFAR's files, or that they are downloaded to (the cache folder when None); for a relative
            PATH, the folder that it starts from. `digits` needs none.

    Raises:
        DatasetError: The name is unknown, or the images cannot be read or do not make a classification task.
    """
    kind, text, options = _parse(name)
    folder = None if root is None else Path(root).expanduser()
    if kind in _NAMED:
        return _NAMED[kind](folder)
    path = (folder or Path()) / Path(text).expanduser()
    decoder = _decoder(options)
    if kind == "imagefolder":
        return load_imagefolder(path, _size(options), decoder)
    columns = {option: value for option, value in options.items() if option in ("image", "label")}
    return load_parquet(path, **columns, decoder=decoder)


def check_name(name: str) -> None:
    """Raise DatasetError unless the name has a form that `load` accepts; no images are read.

    Raises:
        DatasetError: The name or an option is unknown, or the path is missing.
    """
    _parse(name)


def _parse(name: str) -> tuple[str, str, dict[str, str]]:
    """Return kind, path and options of a name; the path is empty for those that take none."""
    check_kind("dataset", name, str, f"one of {', '.join(names())}")
    if name in _NAMED:
        return name, "", {}
    kind, _, location = str(name).partition(":")
    if kind not in _OPTIONS:
        raise DatasetError(unknown_name("dataset", kind if location and kind not in _NAMED else name, names()) + _as_path(name))
    path, _, query = location.partition("?")
    if not path:
        raise DatasetError(f"dataset: expected a path after the colon, as in {kind}:PATH; got {name!r}.")
    options = _options(kind, query)
    _size(options)
    _decoder(options)
    return kind, path, options


def _as_path(name: str) -> str:
    """Return a sentence on how to name a folder or file of the user, if there is one of that name."""
    path = Path(name.partition("?")[0]).expanduser()
    if path.is_dir():
        kind = "parquet" if next(path.glob("*.parquet"), None) else "imagefolder"
    elif path.is_file() and path.suffix == ".parquet":
        kind = "parquet"
    else:
        return ""
    return f" {name} is a {'folder' if path.is_dir() else 'file'}: write {kind}:{name} to read it."


def _options(kind: str, query: str) -> dict[str, str]:
    """Return the options of `key=value&key=value`."""
    options: dict[str, str] = {}
    for item in filter(None, query.split("&")):
        key, _, value = item.partition("=")
        if key not in _OPTIONS[kind]:
            raise DatasetError(unknown_name(f"option of {kind}", key, _OPTIONS[kind]))
        if not value:
            raise DatasetError(f"option {key} of {kind}: expected {key}=VALUE; got {item!r}.")
        options[key] = value
    return options


def _size(options: dict[str, str]) -> tuple[int, int]:
    """Return the height and width asked for, in pixels."""
    text = options.get("size", "32")
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(side.isascii() and side.isdigit() and int(side) > 0 for side in sides):
        raise DatasetError(
            "option size of imagefolder: expected a number of pixels, as in size=32, or height and width, as in size=24x96; got "
            f"{text!r}."
        )
    return int(sides[0]), int(sides[-1])


def _decoder(options: dict[str, str]) -> Decoder:
    """Return the decoder of image files that the options ask for."""
    from PIL import ImageColor

    white, background = options.get("white"), options.get("background", "white")
    try:
        value = None if white is None else float(white)
    except ValueError:
        value = math.nan
    if value is not None and not 0.0 < value < math.inf:
        raise DatasetError(f"option white: expected the value of full brightness, as in white=4095; got {white!r}.")
    try:
        colour = ImageColor.getrgb(background)
    except ValueError as error:
        raise DatasetError(
            f"option background: expected a colour, as in background=black or background=#808080; got {background!r}."
        ) from error
    return Decoder(value, (colour[0], colour[1], colour[2]))
