"""Recipes by name: how an architecture that was found is trained in the end.

| name | what for | source |
| --- | --- | --- |
| `short` | minutes on a CPU: twice the epochs of the training that ranks candidates | - |
| `cifar` | the final training of the papers on CIFAR-10: 600 epochs on a GPU | DARTS, section 3.2 |
| `imagenet-mobile` | networks under 600 M MACs at 224 x 224 pixels: 250 epochs on a GPU | DARTS, section 3.2 |

DARTS: H. Liu, K. Simonyan, Y. Yang, "DARTS: Differentiable Architecture Search", ICLR 2019, arXiv 1806.09055, and the published
programs `cnn/train.py` and `cnn/train_imagenet.py` of github.com/quark0/darts. The learning rate falls step by step; in that one
it falls epoch by epoch. The auxiliary classifier stands where `auxiliary.auxiliary_place` says, as spaces differ in their cells.
Left out of `imagenet-mobile`: random changes of the colours.
"""

from __future__ import annotations

from dataclasses import replace

from archsearch.errors import ConfigurationError, unknown_name
from archsearch.evaluators.training.recipe import Recipe, default_recipe

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


def names() -> tuple[str, ...]:
    """Return the names that `get` takes."""
    return ("short", *_FIXED)


def get(recipe: str | Recipe, dataset: str = "") -> Recipe:
    """Return a recipe.

    Args:
        recipe: A name, or a recipe, which is returned as it is.
        dataset: What `datasets.load` takes; `short` depends on it, because mirrored digits are none.

    Raises:
        ConfigurationError: There is none of that name.

    Example:
        >>> get("cifar").with_changes(epochs=100)
    """
    if isinstance(recipe, Recipe):
        return recipe
    if not isinstance(recipe, str) or recipe not in names():
        raise ConfigurationError(unknown_name("recipe", recipe, names()))
    if recipe == "short":
        ranking = default_recipe(dataset)
        return replace(ranking, epochs=2 * ranking.epochs)
    return _FIXED[recipe]
