"""Recipes by name."""

from __future__ import annotations

import pytest

from archsearch.errors import ConfigurationError
from archsearch.evaluators import Recipe, recipes
from archsearch.evaluators.training.recipe import default_recipe


def test_the_published_settings() -> None:
    cifar, mobile = recipes.get("cifar"), recipes.get("imagenet-mobile")
    assert (cifar.epochs, cifar.batch_size, cifar.learning_rate, cifar.momentum) == (600, 96, 0.025, 0.9)
    assert (cifar.weight_decay, cifar.cutout, cifar.drop_path, cifar.gradient_clip) == (3e-4, 16, 0.2, 5.0)
    assert (mobile.epochs, mobile.learning_rate, mobile.decay, mobile.weight_decay) == (250, 0.1, 0.97, 3e-5)
    assert (mobile.schedule, mobile.label_smoothing) == ("exponential", 0.1)


def test_the_short_one_suits_the_images() -> None:
    assert recipes.get("short", "digits") == default_recipe("digits").with_changes(epochs=2 * default_recipe("digits").epochs)
    assert recipes.get("short", "parquet:images.parquet").flip
    assert not recipes.get("short", "digits").flip


def test_names_and_recipes() -> None:
    own = Recipe(epochs=3)
    assert recipes.get(own, "digits") is own
    assert all(isinstance(recipes.get(name, "digits"), Recipe) for name in recipes.names())
    with pytest.raises(ConfigurationError, match=r"recipe: expected one of cifar, imagenet-mobile, short; got 'cifra'. Did you"):
        recipes.get("cifra")
