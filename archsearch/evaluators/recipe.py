"""How a candidate is trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from archsearch.errors import ConfigurationError
from archsearch.evaluators.checked_settings import check_ranges, with_changes


@dataclass(frozen=True)
class Recipe:
    """Stochastic gradient descent with Nesterov momentum and cosine decay to zero.

    Args:
        epochs: Passes over the training images.
        batch_size: Images in one step.
        learning_rate: Peak learning rate, at the first step.
        momentum: Momentum, 0..1.
        weight_decay: L2 penalty on all parameters.
        label_smoothing: Share of the label that is spread over all classes, 0..1.
        crop: Random crops after padding by this many pixels; 0 is off.
        flip: Random horizontal flips.

    Raises:
        ConfigurationError: A value is out of its range.
    """

    epochs: int = 12
    batch_size: int = 64
    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    label_smoothing: float = 0.0
    crop: int = 0
    flip: bool = False

    def __post_init__(self) -> None:
        ranges: dict[str, tuple[float, float]] = {
            "epochs": (1, 100_000),
            "batch_size": (1, 1_000_000),
            "learning_rate": (0.0, 1_000.0),
            "momentum": (0.0, 1.0),
            "weight_decay": (0.0, 10.0),
            "label_smoothing": (0.0, 1.0),
            "crop": (0, 1_000),
        }
        check_ranges(self, ranges)
        if not isinstance(self.flip, bool):
            raise ConfigurationError(f"flip: expected True or False; got {self.flip!r}.")

    def with_changes(self, **changes: Any) -> Recipe:
        """Return a copy with some settings changed.

        Raises:
            ConfigurationError: A setting is unknown or out of its range.
        """
        return with_changes(self, "recipe", changes)


_AUGMENTED = Recipe(epochs=12, batch_size=128, crop=4, flip=True)

RECIPES = {"digits": Recipe(epochs=20, batch_size=64), "cifar10": _AUGMENTED, "cifar100": _AUGMENTED}
"""The short training that ranks candidates on a dataset, where one was tried."""

SCALES = {"digits": {"channels": 8, "cells_per_stage": 1, "cells_per_stack": 1, "cells": 3, "blocks": 3}}
"""The network size to go with it, for spaces that have these settings."""


def default_recipe(dataset: str) -> Recipe:
    """Return the recipe for a dataset text such as `digits` or `parquet:PATH`; natural images are cropped and flipped."""
    name = dataset.partition(":")[0]
    return RECIPES.get(name, _AUGMENTED)


def default_scale(dataset: str) -> dict[str, int]:
    """Return the network size for a dataset; empty means that of the space."""
    return dict(SCALES.get(dataset.partition(":")[0], {}))
