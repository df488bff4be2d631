"""Loading datasets by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from archsearch.evaluators.dataset_names import DatasetName
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
    parsed = DatasetName.parse(name)
    folder = None if root is None else Path(root).expanduser()
    if parsed.kind in _NAMED:
        return _NAMED[parsed.kind](folder)
    path = (folder or Path()) / Path(parsed.path).expanduser()
    decoder = Decoder(parsed.white, parsed.background)
    if parsed.kind == "imagefolder":
        return load_imagefolder(path, parsed.size, decoder)
    return load_parquet(path, **parsed.columns, decoder=decoder)
