"""Recipes, the settings of a training, and the named ones.

| name | purpose | source |
| --- | --- | --- |
| `short` | minutes on a CPU: twice the epochs of the training that ranks candidates | - |
| `cifar` | the final training of the papers on CIFAR-10: 600 epochs on a GPU | DARTS, section 3.2 |
| `imagenet-mobile` | networks under 600 M MACs at 224 x 224 pixels: 250 epochs on a GPU | DARTS, section 3.2 |

DARTS: H. Liu, K. Simonyan, Y. Yang, "DARTS: Differentiable Architecture Search", ICLR 2019, arXiv 1806.09055, and the published
programs `cnn/train.py` and `cnn/train_imagenet.py` of github.com/quark0/darts. There the learning rate falls epoch by epoch, here
step by step. The auxiliary classifier is placed by `auxiliary.auxiliary_place`, as spaces differ in their cells. The random
changes of colours are left out of `imagenet-mobile`.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import asdict, dataclass, fields, replace
from typing import Annotated, Any, Literal

from archsearch.errors import ConfigurationError, unknown_name
from archsearch.evaluators.settings import Between, check_settings, with_changes

SCHEDULES = ("cosine", "exponential")
# Later settings are left out of `settings` while they have their defaults, so that older evaluations keep their fingerprints.
_FIRST = ("epochs", "batch_size", "learning_rate", "momentum", "weight_decay", "label_smoothing", "crop", "flip")


@dataclass(frozen=True)
class Recipe:
    """Settings of a training by stochastic gradient descent with momentum.

    Args:
        epochs: Passes over the training images.
        batch_size: Images in one step.
        learning_rate: Peak learning rate, at the first step.
        momentum: Momentum, 0..1.
        weight_decay: L2 penalty on all parameters.
        label_smoothing: Fraction of the label that is spread over all classes, 0..1; 0 for numbers.
        crop: Random crops after padding by this many pixels; 0 is off.
        flip: Random horizontal flips.
        nesterov: Whether the momentum is Nesterov's.
        schedule: `cosine` lowers the learning rate to zero, step by step; `exponential` multiplies it by `decay` each epoch.
        decay: Factor of the exponential schedule, 0..1.
        gradient_clip: Largest norm of the gradient of all parameters together; 0 is off.
        cutout: Side in pixels of a random square that is set to the mean colour; 0 is off.
        resized_crop: Smallest fraction of the area of random crops that are resized to the image's size, 0..1; 0 is off.
        drop_path: Probability that an input of a sum is left out for an image, in the last epoch; it rises linearly from 0.
        auxiliary: Weight of the loss of a second classifier, at two thirds of the depth, in training only; 0 is off. A network
            with several exits gets none: it has classifiers at several depths already.
        distillation: Share of the loss of each exit but the last that is its distance from the last one's predictions, 0..1; the
            rest is that from the labels. A network with one exit has none. See `training.exit_losses`.
        backbone_first: Share of the epochs, from the first on, in which only the last exit learns, 0..0.95.
        weight_average: Decay of an exponential moving average of the weights, which is scored and kept; 0 is off.
        accumulate: Number of parts that a batch is processed in, to save memory; batch normalisation sees one part at a time.
        channels_last: Whether images are stored with their channels last, which is faster on some devices.
        mixed_precision: Whether a GPU computes in bfloat16 where that is safe.
        compile: Whether the network is compiled (`torch.compile`) before it is trained: about a minute at the start, faster steps
            afterwards. It needs a C++ compiler.
        class_weights: Whether the loss of an image counts by the inverse share of its class among the training images, so that
            all classes count the same: n / (classes * n_of_the_class). Of images with several labels, the loss of a label that an
            image has counts by the number of images without it for each image with it.

    Raises:
        ConfigurationError: A value is out of its range.

    Example:
        >>> from archsearch.evaluators import Recipe
        >>> Recipe(epochs=30, crop=4, flip=True).with_changes(cutout=16).settings()["cutout"]
        16
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
    distillation: Annotated[float, Between(0.0, 1.0)] = 0.0
    backbone_first: Annotated[float, Between(0.0, 0.95)] = 0.0
    weight_average: Annotated[float, Between(0.0, 0.999999)] = 0.0
    accumulate: Annotated[int, Between(1, 10_000)] = 1
    channels_last: bool = False
    mixed_precision: bool = True
    compile: bool = False
    class_weights: bool = False

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
        """Return the settings as plain data for fingerprints, without later ones that have their defaults."""
        defaults = {field.name: field.default for field in fields(self)}
        return {name: value for name, value in asdict(self).items() if name in _FIRST or value != defaults[name]}


CIFAR = Recipe(
    epochs=600,
    batch_size=96,
    learning_rate=0.025,
    momentum=0.9,
    weight_decay=3e-4,
    crop=4,
    flip=True,
    nesterov=False,
    gradient_clip=5.0,
    cutout=16,
    drop_path=0.2,
    auxiliary=0.4,
)

IMAGENET_MOBILE = Recipe(
    epochs=250,
    batch_size=128,
    learning_rate=0.1,
    momentum=0.9,
    weight_decay=3e-5,
    label_smoothing=0.1,
    flip=True,
    nesterov=False,
    schedule="exponential",
    decay=0.97,
    gradient_clip=5.0,
    resized_crop=0.08,
    auxiliary=0.4,
)

_FIXED = {"cifar": CIFAR, "imagenet-mobile": IMAGENET_MOBILE}

_AUGMENTED = Recipe(epochs=12, batch_size=128, crop=4, flip=True)

RECIPES = {"digits": Recipe(epochs=20, batch_size=64), "cifar10": _AUGMENTED, "cifar100": _AUGMENTED}
"""Recipes of the short training that ranks candidates, by dataset."""

SCALES = {"digits": {"channels": 8, "cells_per_stage": 1, "cells_per_stack": 1, "cells": 3, "blocks": 3}}
"""Network sizes for this training, by dataset, for spaces that have these scale settings."""


def default_recipe(dataset: str) -> Recipe:
    """Return the recipe for a dataset name such as `digits` or `parquet:PATH`; natural images are cropped and flipped."""
    name = dataset.partition(":")[0]
    return RECIPES.get(name, _AUGMENTED)


def default_scale(dataset: str, known: Container[str] | None = None) -> dict[str, int]:
    """Return the network size for a dataset; an empty one means the default of the space.

    Args:
        dataset: Name of a dataset.
        known: Scale settings of the space, such as `space.scale_defaults`; others are left out. None keeps all.
    """
    scale = SCALES.get(dataset.partition(":")[0], {})
    return {name: value for name, value in scale.items() if known is None or name in known}


def recipe_names() -> tuple[str, ...]:
    """Return the names that `recipe_named` accepts."""
    return ("short", *_FIXED)


def recipe_named(recipe: str | Recipe, dataset: str = "") -> Recipe:
    """Return the recipe of a name.

    Args:
        recipe: A name, or a recipe, which is returned as it is.
        dataset: Name of a dataset as for `datasets.load`; `short` depends on it, because mirrored digits are no digits.

    Raises:
        ConfigurationError: No recipe has that name.

    Example:
        >>> from archsearch.evaluators.training.recipe import recipe_named
        >>> recipe_named("cifar").with_changes(epochs=100).batch_size
        96
    """
    if isinstance(recipe, Recipe):
        return recipe
    if not isinstance(recipe, str) or recipe not in recipe_names():
        raise ConfigurationError(unknown_name("recipe", recipe, recipe_names()))
    if recipe == "short":
        ranking = default_recipe(dataset)
        return replace(ranking, epochs=2 * ranking.epochs)
    return _FIXED[recipe]
