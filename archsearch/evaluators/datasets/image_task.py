"""A dataset to learn from, named or in memory, loaded once a process, and what is predicted of its images."""

from __future__ import annotations

from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from archsearch.errors import ConfigurationError, check_kind
from archsearch.evaluators.dataset_names import parse_size, with_size, with_task
from archsearch.evaluators.datasets.copies import copies
from archsearch.evaluators.datasets.dataset import Splits
from archsearch.evaluators.datasets.memory_share import memory_limit
from archsearch.evaluators.datasets.reduced import Reduction
from archsearch.evaluators.datasets.registry import load, task_of
from archsearch.evaluators.datasets.resident import ImagePart, resident
from archsearch.evaluators.datasets.streamed import Loading
from archsearch.evaluators.prediction.kinds import fitted_task
from archsearch.evaluators.prediction.task import PredictionTask
from archsearch.evaluators.score_names import TASKS
from archsearch.spaces.operators import Shape

Part = Literal["train", "validation", "test"]


class ImageTask:
    """A dataset to train and score networks on, by name or as splits in memory.

    A named dataset is loaded when it is first needed, once a process, and only its name is pickled. The pixels of
    its parts stay on the device, and are normalised when they are read.

    Args:
        dataset: Name of a dataset as for `datasets.load`, such as `digits`, or splits in memory.
        root: Folder of downloaded datasets; for a relative path in the name, the folder that it starts from.
        task: `classification`, `multilabel` or `regression`; None finds it from the labels. It becomes a part of the name.
        share: Fraction of the training images that are used, above 0 and at most 1; they are normalised as all are.
        size: Side in pixels, or height and width as `24x96`, that images are brought to; None leaves it to the dataset.
        loading: How much memory images of the user may take; None takes the defaults of `Loading`.

    Attributes:
        dataset: The dataset that is loaded: its name, with task and size, or splits in memory.
        original: The same without `size`.
        name: Name of the dataset in titles.
        recipe_name: Name under which default recipes and network sizes are found: that of the dataset, or `own`.

    Raises:
        ConfigurationError: The dataset is neither a string nor `Splits`, or has labels for another task.
        DatasetError: The name is unknown.
    """

    def __init__(
        self,
        dataset: str | Splits,
        root: str | None = None,
        task: str | None = None,
        *,
        share: float = 1.0,
        size: int | str | None = None,
        loading: Loading | None = None,
    ) -> None:
        check_kind("dataset", dataset, (str, Splits), "the name of a dataset, such as 'digits', or datasets.Splits")
        check_kind("task", task, (str, type(None)), f"one of {', '.join(TASKS)}, or None")
        dataset = with_task(dataset, task) if isinstance(dataset, str) else dataset
        self.original = dataset
        dataset = with_size(dataset, size) if isinstance(dataset, str) else dataset
        self.dataset, self.root, self._loading = dataset, root, loading or Loading()
        memory_limit(self._loading.memory_gb)  # raises for a wrong one
        in_memory = None if size is None or (isinstance(dataset, str) and dataset != self.original) else parse_size(size)
        self.reduction = Reduction(share, in_memory)
        self._digests: tuple[str, ...] = ()
        if isinstance(dataset, str):
            self.name = self.recipe_name = dataset
            self._own: _Images | None = None
            if ":" in dataset and not root:
                self.root = str(Path.cwd())  # workers run in other folders, where a relative path would mean another file
        else:
            self.name, self.recipe_name = dataset.train.name.partition("/")[0], "own"
            self._own = _Images(dataset, self.reduction)
            if task not in (None, dataset.train.task):
                raise ConfigurationError(
                    f"task: expected {dataset.train.task}, for which the labels of {self.name} are; got {task!r}. Leave it out."
                )

    @property
    def splits(self) -> Splits:
        """The images that are used; a named dataset is loaded now if no task of this process has loaded it."""
        return self._images.splits

    @property
    def task(self) -> str:
        """What the labels are for: `classification`, `multilabel` or `regression`; no images are loaded for it."""
        return self._own.splits.train.task if self._own is not None else _task_of(self.name, self.root)

    @property
    def prediction(self) -> PredictionTask:
        """What is predicted of an image, fitted to the training images, which are loaded for it."""
        return self._images.prediction

    @property
    def copies(self) -> dict[str, int]:
        """Number of validation and test images that are training images too; see `copies.copies`."""
        return self._images.copies

    @property
    def input_shape(self) -> Shape:
        """Channels, height and width of an image."""
        return self._images.splits.train.shape

    @property
    def num_classes(self) -> int:
        """Number of classes, labels or targets."""
        return self.splits.train.num_classes

    @property
    def digest(self) -> str:
        """Identity of the training and validation images, of which `reduction.share` says how many are used."""
        return "-".join(self._part_digests[:2])

    @property
    def full_digest(self) -> str:
        """Identity of the images, those for testing included; otherwise as `digest`."""
        return "-".join(self._part_digests)

    def part(self, name: Part, device: torch.device) -> ImagePart:
        """Return the images of a part on the device, normalised when they are read, by the statistics of the training images."""
        return self._images.on_device(name, device)

    def resident(self, device: torch.device) -> tuple[ImagePart, ImagePart]:
        """Return training and validation images, normalised, on the device."""
        return self.part("train", device), self.part("validation", device)

    @property
    def _images(self) -> _Images:
        return self._own if self._own is not None else _named(self.name, self.root, self.reduction, self._loading)

    @property
    def _part_digests(self) -> tuple[str, ...]:
        if not self._digests:
            self._digests = tuple(part.digest for part in self._images.whole)
        return self._digests


class _Images:
    """Splits, reduced, and their parts on each device where they were needed; only the splits are pickled."""

    def __init__(self, splits: Splits, reduction: Reduction) -> None:
        self._given, self._reduction = splits, reduction
        self.whole = reduction.resized(splits)
        self.splits = reduction.shared(self.whole)
        self._resident: dict[tuple[Part, torch.device], ImagePart] = {}

    @cached_property
    def statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of each channel of the training images."""
        return self.whole.train.statistics()

    @cached_property
    def prediction(self) -> PredictionTask:
        """What is predicted of an image."""
        return fitted_task(self.whole.train.labels)

    @cached_property
    def copies(self) -> dict[str, int]:
        """Number of images of each other part that are training images too."""
        return copies(self.splits)

    def on_device(self, name: Part, device: torch.device) -> ImagePart:
        """Return a part on the device."""
        if (name, device) not in self._resident:
            self._resident[name, device] = resident(
                getattr(self.splits, name), *self.statistics, device, prediction=self.prediction
            )
        return self._resident[name, device]

    def __reduce__(self) -> tuple[Any, ...]:
        return _Images, (self._given, self._reduction)


@lru_cache(maxsize=4)
def _task_of(name: str, root: str | None) -> str:
    return task_of(name, root)


@lru_cache(maxsize=4)
def _named(name: str, root: str | None, reduction: Reduction, loading: Loading) -> _Images:
    return _Images(load(name, root, loading), reduction)
