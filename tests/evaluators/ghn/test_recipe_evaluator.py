"""Recipes of evaluators that count their training in steps."""

from __future__ import annotations

import pytest
import torch

from archsearch.errors import ConfigurationError
from archsearch.evaluators import OneShot
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
