"""Recipes: ranges, changes, defaults of datasets, names."""

from __future__ import annotations

from typing import Any

import pytest

from archsearch import spaces
from archsearch.errors import ConfigurationError
from archsearch.evaluators import Recipe
from archsearch.evaluators.training.recipe import RECIPES, SCALES, default_recipe, default_scale, recipe_named, recipe_names


@pytest.mark.parametrize(
    ("setting", "value", "expected"),
    [
        ("epochs", 0, "a whole number from 1 to 100000"),
        ("epochs", 2.0, "a whole number from 1"),
        ("epochs", True, "a whole number from 1"),
        ("batch_size", -4, "a whole number from 1"),
        ("batch_size", "64", "a whole number from 1"),
        ("learning_rate", -0.1, "a number from 0.0 to 1000.0"),
        ("learning_rate", 1e6, "a number from 0.0 to 1000.0"),
        ("learning_rate", float("nan"), "a number from 0.0"),
        ("learning_rate", None, "a number from 0.0"),
        ("momentum", 1.5, "a number from 0.0 to 1.0"),
        ("weight_decay", float("inf"), "a number from 0.0 to 10.0"),
        ("label_smoothing", -1, "a number from 0.0 to 1.0"),
        ("crop", 1.5, "a whole number from 0"),
        ("flip", "yes", "True or False"),
        ("flip", 1, "True or False"),
        ("nesterov", None, "True or False"),
        ("channels_last", 1, "True or False"),
        ("mixed_precision", "bf16", "True or False"),
        ("schedule", "step", "one of cosine, exponential"),
        ("decay", 1.1, "a number from 0.0 to 1.0"),
        ("gradient_clip", -1, "a number from 0.0"),
        ("cutout", 1.5, "a whole number from 0"),
        ("resized_crop", 2, "a number from 0.0 to 1.0"),
        ("drop_path", 1.0, "a number from 0.0 to 0.99"),
        ("weight_average", 1.0, "a number from 0.0"),
        ("accumulate", 0, "a whole number from 1"),
        ("accumulate", 65, "at most the batch size 64"),
    ],
)
def test_values_out_of_range_are_refused(setting: str, value: Any, expected: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{setting}: expected {expected}.*; got "):
        Recipe(**{setting: value})
    with pytest.raises(ConfigurationError, match=f"^{setting}: expected"):
        Recipe().with_changes(**{setting: value})


def test_changes_leave_the_rest() -> None:
    base = Recipe(epochs=3, crop=2)
    changed = base.with_changes(epochs=7, learning_rate=1)
    assert (changed.epochs, changed.learning_rate, changed.crop, changed.batch_size) == (7, 1, 2, base.batch_size)
    assert base.epochs == 3
    assert base.with_changes() == base


def test_unknown_setting_is_refused_with_a_hint() -> None:
    with pytest.raises(ConfigurationError, match=r"recipe: no setting 'epoch'. Did you mean 'epochs'\? Settings: epochs, "):
        Recipe().with_changes(epoch=3)


def test_datasets_have_recipes_and_scales_of_their_own() -> None:
    assert default_recipe("digits") == RECIPES["digits"]
    assert not default_recipe("digits").flip, "a mirrored digit is none"
    for dataset in ("cifar10", "cifar100", "parquet:images/train.parquet", "imagefolder:photos?size=32"):
        assert default_recipe(dataset).flip
        assert default_recipe(dataset).crop > 0
    settings = {name for space in spaces.names() for name in spaces.get(space).scale_defaults}
    assert set(default_scale("digits")) <= settings
    assert default_scale("cifar10") == {}


def test_default_scale_has_the_settings_that_a_space_knows() -> None:
    assert default_scale("digits", {"channels", "nodes"}) == {"channels": 8}
    assert default_scale("cifar10", {"channels"}) == {}


def test_default_scale_is_a_copy() -> None:
    default_scale("digits")["channels"] = 999
    assert default_scale("digits") == SCALES["digits"]


def test_later_settings_count_only_where_they_do_something() -> None:
    """So that what was measured before they were there is still found in ledgers."""
    first = ["epochs", "batch_size", "learning_rate", "momentum", "weight_decay", "label_smoothing", "crop", "flip"]
    assert list(Recipe().settings()) == first
    assert Recipe().settings()["epochs"] == Recipe().epochs
    changed = Recipe(cutout=8, nesterov=False).settings()
    assert {name: changed[name] for name in changed if name not in first} == {"cutout": 8, "nesterov": False}
    assert Recipe(**changed) == Recipe(cutout=8, nesterov=False)


def test_the_published_settings() -> None:
    cifar, mobile = recipe_named("cifar"), recipe_named("imagenet-mobile")
    assert (cifar.epochs, cifar.batch_size, cifar.learning_rate, cifar.momentum) == (600, 96, 0.025, 0.9)
    assert (cifar.weight_decay, cifar.cutout, cifar.drop_path, cifar.gradient_clip) == (3e-4, 16, 0.2, 5.0)
    assert (mobile.epochs, mobile.learning_rate, mobile.decay, mobile.weight_decay) == (250, 0.1, 0.97, 3e-5)
    assert (mobile.schedule, mobile.label_smoothing) == ("exponential", 0.1)


def test_the_short_one_suits_the_images() -> None:
    assert recipe_named("short", "digits") == default_recipe("digits").with_changes(epochs=2 * default_recipe("digits").epochs)
    assert recipe_named("short", "parquet:images.parquet").flip
    assert not recipe_named("short", "digits").flip


def test_names_and_recipes() -> None:
    own = Recipe(epochs=3)
    assert recipe_named(own, "digits") is own
    assert all(isinstance(recipe_named(name, "digits"), Recipe) for name in recipe_names())
    with pytest.raises(ConfigurationError, match=r"recipe: expected one of cifar, imagenet-mobile, short; got 'cifra'. Did you"):
        recipe_named("cifra")
