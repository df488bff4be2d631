"""The images that generated networks are trained and scored on."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from archsearch.errors import check_kind
from archsearch.evaluators import datasets
from archsearch.evaluators.datasets import Splits
from archsearch.evaluators.datasets.resident import Resident
from archsearch.spaces.operators import Shape


class ImageTask:
    """A dataset by name or at hand. Images are loaded once a process, when they are first needed, and stay on the device.

    Args:
        dataset: What `datasets.load` takes, such as `digits`, or splits at hand.
        root: Folder of downloaded datasets.
    """

    def __init__(self, dataset: str | Splits, root: str | None = None) -> None:
        check_kind("dataset", dataset, (str, Splits), "the name of a dataset, such as 'digits', or Splits")
        name = dataset if isinstance(dataset, str) else "own"
        if isinstance(dataset, str):
            datasets.check_name(dataset)
        # Workers run in other folders: what a relative path starts from is settled here.
        self.dataset, self.root = dataset, root or (str(Path.cwd()) if ":" in name else None)
        self._digest: str | None = None
        self._own: dict[torch.device, tuple[Resident, Resident]] = {}

    @property
    def recipe_name(self) -> str:
        """The text under which recipes and sizes for the dataset are found."""
        return self.dataset if isinstance(self.dataset, str) else "own"

    @property
    def name(self) -> str:
        """What titles call the dataset."""
        return self.dataset if isinstance(self.dataset, str) else self.dataset.train.name.partition("/")[0]

    @property
    def splits(self) -> Splits:
        """The images."""
        return _load(self.dataset, self.root) if isinstance(self.dataset, str) else self.dataset

    @property
    def input_shape(self) -> Shape:
        """Channels, height and width of an image."""
        return self.splits.train.shape

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return self.splits.train.num_classes

    @property
    def digest(self) -> str:
        """Identity of the training and validation images."""
        if self._digest is None:
            self._digest = "-".join(part.digest for part in self.splits[:2])
        return self._digest

    def resident(self, device: torch.device) -> tuple[Resident, Resident]:
        """Return training and validation images, normalised, on the device."""
        if isinstance(self.dataset, str):
            return _resident(self.dataset, self.root, device)
        if device not in self._own:
            self._own[device] = _normalised(self.dataset, device)
        return self._own[device]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_own": {}}


def _normalised(splits: Splits, device: torch.device) -> tuple[Resident, Resident]:
    mean, std = splits.train.statistics()
    train, validation = (datasets.resident(part, mean, std, device) for part in splits[:2])
    return train, validation


@lru_cache(maxsize=4)
def _load(dataset: str, root: str | None) -> Splits:
    return datasets.load(dataset, root)


@lru_cache(maxsize=4)
def _resident(dataset: str, root: str | None, device: torch.device) -> tuple[Resident, Resident]:
    return _normalised(_load(dataset, root), device)
