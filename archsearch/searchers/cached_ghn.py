"""A graph hypernetwork in an actor, trained once for all searches with the same recipe."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from archsearch.cluster.ghn_training import train_ghn
from archsearch.errors import ConfigurationError, RunError
from archsearch.evaluators.cache import cache_folder
from archsearch.evaluators.ghn.ghn import GHN
from archsearch.evaluators.ghn.surrogate import GHNSurrogate
from archsearch.evaluators.saved_state import read_state
from archsearch.searchers.pretrained_ghn import STATE
from archsearch.spaces import SearchSpace

logger = logging.getLogger(__name__)
_SAVE_EVERY = 10.0  # seconds of training that the death of an actor may lose


class CachedGHN(GHNSurrogate):
    """A `Surrogate` whose fit reads the trained hypernetwork from a file, continues an interrupted training, or starts one.

    Args:
        space: Space of the architectures.
        dataset: Name of a dataset for `datasets.load`, such as `digits`. Its images are read at once, so that errors show early.
        cache: Folder of trained hypernetworks; None takes `ghn` in the cache folder of this machine.
        pretrained: Folder that `archsearch ghn train` made, whose hypernetwork is used in place of a training.
        **arguments: Further arguments of `GHN`, without the seed.

    Raises:
        ConfigurationError: A setting is unknown or out of range; or the pretrained hypernetwork is corrupt, or made for another
            space, size of networks, shape of images or number of classes.
        DatasetError: The images cannot be loaded.
    """

    def __init__(
        self, space: SearchSpace, dataset: str, *, cache: str | None = None, pretrained: str | None = None, **arguments: Any
    ) -> None:
        super().__init__(space, dataset, **arguments)
        self._folder, self._pretrained = _folder(cache), None if pretrained is None else Path(pretrained)
        self.ghn.recipe()
        if self._pretrained is not None:
            self.load(self._pretrained_state())

    def fit(
        self, rows: object = None, *, seed: int = 0, steps: int | None = None, epochs: float | None = None, **_: Any
    ) -> dict[str, Any]:
        """Return the state of a hypernetwork that was trained, from the file of its recipe if it exists.

        Args:
            rows: Not used: a graph hypernetwork learns from images, not from scores.
            seed: Seed of the training.
            steps: Number of training steps.
            epochs: Instead, their number of passes over the training images.
        """
        if self._pretrained is not None:
            return self._pretrained_state()
        ghn = GHN(**{**self._arguments, "seed": seed})
        steps = num_steps(ghn, steps, epochs)
        try:
            ghn.fit(steps, checkpoint=self._file(ghn.recipe(), steps), checkpoint_seconds=_SAVE_EVERY)
        except RunError as error:  # such as a full disk; the weights so far are in memory
            logger.warning("ghn: the training continues but is not saved: %s", error)
            ghn.fit(steps)
        return ghn.state()

    def load(self, state: Mapping[str, Any]) -> None:
        try:
            super().load(state)
        except ConfigurationError as error:
            if self._pretrained is None:
                raise
            space, dataset = self.ghn.space.name, self.ghn.task
            raise ConfigurationError(
                f"hypernetwork: that in {self._pretrained} cannot be used for {space} and {dataset}. {error} Or train one: "
                f"archsearch ghn train {space} {dataset} --hours 2"
            ) from error

    def _pretrained_state(self) -> dict[str, Any]:
        assert self._pretrained is not None
        return read_state(self._pretrained / STATE)

    def _file(self, recipe: Mapping[str, Any], steps: int) -> Path | None:
        """Return the file of a training, after deleting a corrupt one; None if the folder cannot be written."""
        path = self._folder / file_name(recipe, steps)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            _readable_state(path)
        except OSError as error:
            logger.warning("ghn: the training is not saved (%s); set ARCHSEARCH_CACHE to a folder that can be written", error)
            return None
        return path


def train_together(
    space: SearchSpace,
    cache: str | None,
    seed: int,
    length: Mapping[str, Any],
    trainers: int,
    resources: Mapping[str, float],
    **arguments: Any,
) -> dict[str, Any]:
    """Return the state of a hypernetwork that several processes train, from the file of its recipe if that is complete.

    Args:
        space: Space of the architectures.
        cache: Folder of trained hypernetworks that all nodes share; None takes `ghn` in the cache folder of this machine.
        seed: Seed of the training.
        length: Number of training steps, as `{"steps": 500}`, or of passes over the training images, as `{"epochs": 10.0}`.
        trainers: Number of processes.
        resources: Resources of each process, as keyword arguments of `train_ghn`.
        **arguments: Further arguments of `GHN`.
    """
    ghn = GHN(space, seed=seed, **arguments)
    steps = num_steps(ghn, **length)
    path = _folder(cache) / file_name({**ghn.recipe(), "trainers": trainers}, steps)
    if (state := _readable_state(path)) is not None and state["steps"] >= steps:
        return state
    how: dict[str, Any] = {"workers": trainers, "checkpoint_seconds": _SAVE_EVERY, **resources}
    return train_ghn(space, steps=steps, checkpoint=path, seed=seed, **how, **arguments)


def num_steps(ghn: GHN, steps: int | None = None, epochs: float | None = None) -> int:
    """Return the number of training steps, which may be given as passes over the training images."""
    if steps is None:
        assert epochs is not None
        return ghn.steps_for(epochs)
    return steps


def _readable_state(path: Path) -> dict[str, Any] | None:
    """Return the state in a file, or None if there is no file or it is corrupt; a corrupt one is deleted."""
    if not path.exists():
        return None
    try:
        return read_state(path)
    except ConfigurationError as error:
        logger.warning("ghn: training again, because of the file in the cache: %s", error)
        path.unlink(missing_ok=True)
        return None


def _folder(cache: str | None) -> Path:
    return cache_folder() / "ghn" if cache is None else Path(cache)


def file_name(recipe: Mapping[str, Any], steps: int) -> str:
    """Return the file name of a training, a hash of its recipe and number of steps, on which the learning rates depend."""
    text = json.dumps({**recipe, "steps": steps}, sort_keys=True)
    return f"{hashlib.blake2b(text.encode(), digest_size=16).hexdigest()}.pt"
