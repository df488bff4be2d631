"""Settings by name."""

from __future__ import annotations

from dataclasses import replace

from archsearch.errors import ConfigurationError, unknown_name
from archsearch.evaluators.ghn.settings import Settings
from archsearch.evaluators.training.recipe import default_recipe

NAMES = ("default", "paper")


def settings_of(preset: str, dataset: str) -> Settings:
    """Return the settings of a preset for a dataset.

    `paper` is the published configuration (section 5.1; batch size, learning rate and its halvings are recollected from the
    appendix), without the features and scales of its successors. `default` is made for short trainings.

    Args:
        preset: `default` or `paper`.
        dataset: A dataset text such as `digits`; natural images are cropped and flipped.

    Raises:
        ConfigurationError: There is no preset of that name.
    """
    if preset not in NAMES:
        raise ConfigurationError(unknown_name("preset", preset, NAMES))
    recipe = default_recipe(dataset)
    settings = Settings(propagations=1, tile=8, learning_rate=1e-2, schedule="cosine", affine="fixed")
    if preset == "paper":
        settings = Settings(positions=False, normalised_states=False, fan_in=False)
    return replace(settings, crop=recipe.crop, flip=recipe.flip)
