"""A dataset to learn from, named or in memory, loaded and normalised once a process, and what is predicted of its images."""

from __future__ import annotations

from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from archsearch.errors import ConfigurationError, check_kind, check_whole_number
from archsearch.evaluators.dataset_names import with_task
from archsearch.evaluators.datasets.averaged_images import averaged
from archsearch.evaluators.datasets.copies import copies
from archsearch.evaluators.datasets.dataset import Splits
from archsearch.evaluators.datasets.registry import load, task_of
from archsearch.evaluators.datasets.resident import Resident, resident
from archsearch.evaluators.prediction.kinds import fitted_task
from archsearch.evaluators.prediction.task import PredictionTask
from archsearch.evaluators.score_names import TASKS
from archsearch.spaces.operators import Shape

Part = Literal["train", "validation", "test"]


class ImageTask:
    """A dataset to train and score networks on, by name or as splits in memory.

    A named dataset is loaded when it is first needed, once a process, and only its name is pickled. Its normalised parts stay on
    the device.

    Args:
        dataset: Name of a dataset as for `datasets.load`, such as `digits`, or splits in memory.
        root: Folder of downloaded datasets; for a relative path in the name, the folder that it starts from.
        task: `classification`, `multilabel` or `regression`; None finds it from the labels. It becomes a part of the name.
        image_size: Side in pixels to which images are averaged, see `averaged`; None leaves them as they are.

    Attributes:
        name: Name of the dataset in titles.
        recipe_name: Name under which default recipes and network sizes are found: that of the dataset, or `own`.

    Raises:
        ConfigurationError: The dataset is neither a string nor `Splits`, or has labels for another task.
        DatasetError: The name is unknown, or splits in memory have images that are not larger than `image_size`.
    """

    def __init__(
        self, dataset: str | Splits, root: str | None = None, task: str | None = None, image_size: int | None = None
    ) -> None:
        check_kind("dataset", dataset, (str, Splits), "the name of a dataset, such as 'digits', or datasets.Splits")
        check_kind("task", task, (str, type(None)), f"one of {', '.join(TASKS)}, or None")
        if image_size is not None:
            check_whole_number("image_size", image_size)
        dataset = with_task(dataset, task) if isinstance(dataset, str) else dataset
        self.dataset, self.root, self._size = dataset, root, image_size
        self._digests: tuple[str, ...] = ()
        if isinstance(dataset, str):
            self.name = self.recipe_name = dataset
            self._own: _Images | None = None
            if ":" in dataset and not root:
                self.root = str(Path.cwd())  # workers run in other folders, where a relative path would mean another file
        else:
            self.name, self.recipe_name = dataset.train.name.partition("/")[0], "own"
            self._own = _Images(dataset if image_size is None else averaged(dataset, image_size))
            if task not in (None, dataset.train.task):
                raise ConfigurationError(
                    f"task: expected {dataset.train.task}, for which the labels of {self.name} are; got {task!r}. Leave it out."
                )

    @property
    def splits(self) -> Splits:
        """The images; a named dataset is loaded now if no task of this process has loaded it."""
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
        return self.splits.train.shape

    @property
    def num_classes(self) -> int:
        """Number of classes, labels or targets."""
        return self.splits.train.num_classes

    @property
    def digest(self) -> str:
        """Identity of the training and validation images."""
        return "-".join(self._part_digests[:2])

    @property
    def full_digest(self) -> str:
        """Identity of the images, those for testing included."""
        return "-".join(self._part_digests)

    def part(self, name: Part, device: torch.device) -> Resident:
        """Return the images of a part on the device, normalised by the statistics of the training images."""
        return self._images.on_device(name, device)

    def resident(self, device: torch.device) -> tuple[Resident, Resident]:
        """Return training and validation images, normalised, on the device."""
        return self.part("train", device), self.part("validation", device)

    @property
    def _images(self) -> _Images:
        return self._own if self._own is not None else _named(self.name, self.root, self._size)

    @property
    def _part_digests(self) -> tuple[str, ...]:
        if not self._digests:
            self._digests = tuple(part.digest for part in self.splits)
        return self._digests


class _Images:
    """Splits, and their normalised parts on each device where they were needed; only the splits are pickled."""

    def __init__(self, splits: Splits) -> None:
        self.splits = splits
        self._resident: dict[tuple[Part, torch.device], Resident] = {}

    @cached_property
    def statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of each channel of the training images."""
        return self.splits.train.statistics()

    @cached_property
    def prediction(self) -> PredictionTask:
        """What is predicted of an image."""
        return fitted_task(self.splits.train.labels)

    @cached_property
    def copies(self) -> dict[str, int]:
        """Number of images of each other part that are training images too."""
        return copies(self.splits)

    def on_device(self, name: Part, device: torch.device) -> Resident:
        """Return a part on the device."""
        if (name, device) not in self._resident:
            self._resident[name, device] = resident(
                getattr(self.splits, name), *self.statistics, device, prediction=self.prediction
            )
        return self._resident[name, device]

    def __reduce__(self) -> tuple[Any, ...]:
        return _Images, (self.splits,)


@lru_cache(maxsize=4)
def _task_of(name: str, root: str | None) -> str:
    return task_of(name, root)


@lru_cache(maxsize=4)
def _named(name: str, root: str | None, size: int | None) -> _Images:
    return _Images(load(name, root) if size is None else averaged(load(name, root), size))
