"""Recipes of evaluators that count their training in steps."""

from __future__ import annotations

from functools import partial
from types import ModuleType
from typing import Any

import pytest
import torch

from archsearch.errors import ConfigurationError
from archsearch.evaluators import OneShot, Recipe, SGDSteps
from archsearch.spaces.nasbench201 import NASBench201

SPACE = NASBench201()
TINY = {"channels": 4, "cells_per_stage": 1}
CONVOLUTION = SPACE.parse("|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|")
POOLING = SPACE.parse("|avg_pool_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|")


def test_batches_and_rates_are_those_of_the_recipe() -> None:
    evaluator = OneShot(SPACE, "digits", scale=TINY, batch_size=5, learning_rate=0.2)
    batch = evaluator.batch(evaluator.training_images(), torch.Generator().manual_seed(0))
    assert batch.images.shape == (5, 1, 8, 8)
    assert [evaluator.learning_rate(step, 4) for step in (0, 2)] == [0.2, pytest.approx(0.1)]
    assert "epochs" not in evaluator.recipe_settings()
    assert OneShot(SPACE, "digits").recipe.batch_size == 64
    with pytest.raises(ConfigurationError, match="no setting 'learning_rat'"):
        OneShot(SPACE, "digits", learning_rat=0.1)


def test_settings_that_a_training_by_steps_does_not_use_are_refused() -> None:
    for name, value in {"epochs": 3, "cutout": 4, "label_smoothing": 0.1}.items():
        with pytest.raises(ConfigurationError, match=f"{name}: SGDSteps does not use it; it has batch_size, learning_rate,"):
            SGDSteps(SPACE, "digits", 1, **{name: value})


@pytest.mark.parametrize("kind", [OneShot, partial(SGDSteps, steps=1)])
def test_mirror_images_are_not_mirrored_unless_the_user_wants_it(kind: Any, skewed: ModuleType) -> None:
    splits = skewed.arrows()
    assert not kind(SPACE, splits).recipe.flip
    assert kind(SPACE, splits, flip=True).recipe.flip
    assert kind(SPACE, splits, recipe=Recipe(flip=True)).recipe.flip
    assert kind(SPACE, splits, flip=True, learning_rate=0.2).recipe.learning_rate == 0.2
    assert kind(SPACE, "cifar10").recipe.flip, "known without its images"


def test_class_weights_give_the_small_class_its_share(skewed: ModuleType) -> None:
    """One step from the same weights: the gradient of a batch of both classes is that of the weighted loss."""
    splits = skewed.arrows(train=(60, 4))
    scores = {}
    for weighted in (False, True):
        evaluator = SGDSteps(SPACE, splits, 12, scale=TINY, class_weights=weighted, learning_rate=0.02, batch_size=64)
        [row] = evaluator.evaluate([CONVOLUTION])
        scores[weighted] = (row.metrics["valid_loss"], evaluator.fingerprint())
    assert scores[True][0] < 0.9 * scores[False][0], "even validation images are classified better"
    assert scores[True][1] != scores[False][1]
    shared = [OneShot(SPACE, splits, scale=TINY, class_weights=weighted).fit(2, report=print) for weighted in (False, True)]
    assert len({evaluator.fingerprint() for evaluator in shared}) == 2, "they learned other weights"


def test_recipes_have_names() -> None:
    assert OneShot(SPACE, "digits", recipe="cifar", batch_size=8).recipe.learning_rate == 0.025
    for wrong in ("shrot", 3, {"epochs": 2}):
        with pytest.raises(ConfigurationError, match="recipe: expected one of cifar, imagenet-mobile, short; got"):
            OneShot(SPACE, "digits", recipe=wrong)
