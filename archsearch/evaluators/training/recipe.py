"""How a candidate is trained."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Annotated, Any, Literal

from archsearch.errors import ConfigurationError
from archsearch.evaluators.settings import Between, check_settings, with_changes

# Settings that came later are left out of `settings` while they do nothing, so that evaluations made before them still count.
_FIRST = ("epochs", "batch_size", "learning_rate", "momentum", "weight_decay", "label_smoothing", "crop", "flip")


@dataclass(frozen=True)
class Recipe:
    """Stochastic gradient descent with momentum, and what goes with it.

    Args:
        epochs: Passes over the training images.
        batch_size: Images in one step.
        learning_rate: Peak learning rate, at the first step.
        momentum: Momentum, 0..1.
        weight_decay: L2 penalty on all parameters.
        label_smoothing: Share of the label that is spread over all classes, 0..1.
        crop: Random crops after padding by this many pixels; 0 is off.
        flip: Random horizontal flips.
        nesterov: Whether the momentum is Nesterov's.
        schedule: `cosine` lowers the learning rate to zero, step by step; `exponential` multiplies it by `decay` each epoch.
        decay: Factor of the exponential schedule, 0..1.
        gradient_clip: Largest norm of the gradient of all parameters together; 0 is off.
        cutout: Side in pixels of a random square that is set to the mean colour; 0 is off.
        resized_crop: Smallest share of the area of random crops that are resized to the image's size, 0..1; 0 is off.
        drop_path: Chance that an input of a sum is left out for an image, towards the end; it rises linearly from 0.
        auxiliary: Weight of the loss of a second classifier, two thirds of the way up, that is there in training only; 0 is off.
            A network with several exits gets none: it has them already.
        weight_average: Decay of an exponential moving average of the weights, which is what is scored and kept; 0 is off.
        accumulate: Parts that a batch is worked off in, to save memory; normalisation then sees one part at a time.
        channels_last: Whether images are stored with their channels last, which is faster on some devices.
        mixed_precision: Whether a GPU computes in bfloat16 where that is safe.
        compile: Whether the network is compiled (`torch.compile`) before it is trained: a minute or so at the start, faster steps
            from then on. It needs a C++ compiler.

    Raises:
        ConfigurationError: A value is out of its range.
    """

    epochs: Annotated[int, Between(1, 100_000)] = 12
    batch_size: Annotated[int, Between(1, 1_000_000)] = 64
    learning_rate: Annotated[float, Between(0.0, 1_000.0)] = 0.1
    momentum: Annotated[float, Between(0.0, 1.0)] = 0.9
    weight_decay: Annotated[float, Between(0.0, 10.0)] = 5e-4
    label_smoothing: Annotated[float, Between(0.0, 1.0)] = 0.0
    crop: Annotated[int, Between(0, 1_000)] = 0
    flip: bool = False
    nesterov: bool = True
    schedule: Literal["cosine", "exponential"] = "cosine"
    decay: Annotated[float, Between(0.0, 1.0)] = 0.97
    gradient_clip: Annotated[float, Between(0.0, 1e6)] = 0.0
    cutout: Annotated[int, Between(0, 10_000)] = 0
    resized_crop: Annotated[float, Between(0.0, 1.0)] = 0.0
    drop_path: Annotated[float, Between(0.0, 0.99)] = 0.0
    auxiliary: Annotated[float, Between(0.0, 10.0)] = 0.0
    weight_average: Annotated[float, Between(0.0, 0.999999)] = 0.0
    accumulate: Annotated[int, Between(1, 10_000)] = 1
    channels_last: bool = False
    mixed_precision: bool = True
    compile: bool = False

    def __post_init__(self) -> None:
        check_settings(self)
        if self.accumulate > self.batch_size:
            raise ConfigurationError(
                f"accumulate: expected at most the batch size {self.batch_size}, so that no part is empty; got {self.accumulate}."
            )

    def with_changes(self, **changes: Any) -> Recipe:
        """Return a copy with some settings changed.

        Raises:
            ConfigurationError: A setting is unknown or out of its range.
        """
        return with_changes(self, "recipe", changes)

    def settings(self) -> dict[str, Any]:
        """Return the settings as plain data, without those of the later ones that have their defaults: for fingerprints."""
        defaults = {field.name: field.default for field in fields(self)}
        return {name: value for name, value in asdict(self).items() if name in _FIRST or value != defaults[name]}


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
