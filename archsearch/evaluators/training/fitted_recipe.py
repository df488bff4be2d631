"""The default recipe, fitted to the images of a user: a batch size for few images, no mirroring where sides may matter."""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Any

from archsearch.evaluators.datasets.dataset import ImageDataset
from archsearch.evaluators.score_names import REGRESSION
from archsearch.evaluators.training.recipe import RECIPES, Recipe

STEPS = 6
"""Steps that an epoch should have."""
_SMALLEST = 8


def fitted_recipe(recipe: Recipe, name: str, images: ImageDataset, given: Container[str] = ()) -> Recipe:
    """Return a default recipe fitted to the images.

    The batch size is halved until an epoch has 6 steps, but not below 8; from 768 images on, 128 stays. Mirroring is turned off
    if two classes are mirror images of each other, which mirroring would label wrongly, and for numbers, which may depend on the
    side, as an angle does.

    Args:
        recipe: Recipe from `default_recipe`, or `short`, with the changes of the user.
        name: Name of the dataset, such as `imagefolder:PATH`, or `own`. Datasets by name, such as `cifar10`, have fixed recipes.
        images: The training images.
        given: Settings that the user chose, which stay as they are.
    """
    if not is_own(name):
        return recipe
    changes: dict[str, Any] = {}
    if "batch_size" not in given:
        changes["batch_size"] = max(fitting_batch_size(recipe.batch_size, len(images)), recipe.accumulate)
    if flips(recipe.flip, name, lambda: images, given) != recipe.flip:
        changes["flip"] = False
    return recipe.with_changes(**changes) if changes else recipe


def flips(flip: bool, name: str, images: Callable[[], ImageDataset], given: Container[str] = ()) -> bool:
    """Return whether images are mirrored in training: as the default says, but not if labels may depend on the side.

    They may if two classes mirror each other, and if they are numbers.

    Args:
        flip: What the default of the dataset, or the user, says.
        name: As for `fitted_recipe`.
        images: Returns the training images; it is called only if the answer depends on them.
        given: As for `fitted_recipe`.
    """
    if not flip or "flip" in given or not is_own(name):
        return flip
    known = images()
    return known.task != REGRESSION and known.mirrored is None


def fitting_batch_size(most: int, images: int) -> int:
    """Return the largest of `most`, `most / 2`, ... that gives an epoch at least 6 steps; at least 8, or `most` if that is less.

    Example:
        >>> from archsearch.evaluators.training.fitted_recipe import fitting_batch_size
        >>> [fitting_batch_size(128, images) for images in (50_000, 768, 240, 20)]
        [128, 128, 32, 8]
    """
    size = most
    while size // 2 >= _SMALLEST and images // size < STEPS:
        size //= 2
    return size


def is_own(name: str) -> bool:
    """Return whether a dataset is one of the user, whose default recipe depends on its images."""
    return name.partition(":")[0] not in RECIPES
