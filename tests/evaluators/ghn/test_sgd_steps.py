"""Candidates that are trained for a few steps."""

from __future__ import annotations

import numpy as np
import pytest

from archsearch.errors import ArchitectureError, ConfigurationError
from archsearch.evaluators import SGDSteps
from archsearch.spaces.enas import ENAS
from archsearch.spaces.nasbench201 import NASBench201

SPACE = NASBench201()
TINY = {"channels": 4, "cells_per_stage": 1}
CONVOLUTION = SPACE.parse("|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|")
POOLING = SPACE.parse("|avg_pool_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|")


def test_more_steps_of_training_give_more() -> None:
    few, many = (SGDSteps(SPACE, "digits", steps, scale=TINY).evaluate([CONVOLUTION])[0] for steps in (1, 40))
    assert few.score < 0.5 < many.score
    assert many.metrics["valid_loss"] < few.metrics["valid_loss"]
    assert many.seconds > 0


def test_training_that_diverges_fails() -> None:
    wild = SGDSteps(SPACE, "digits", 14, scale=TINY, learning_rate=900.0, weight_decay=9.0)
    [evaluation] = wild.evaluate([CONVOLUTION])
    assert evaluation.error is not None
    assert "lower learning_rate" in evaluation.error


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="steps: expected"):
        SGDSteps(SPACE, "digits", 0)
    with pytest.raises(ArchitectureError, match="enas"):
        SGDSteps(SPACE, "digits", 1, scale=TINY).evaluate([ENAS().sample(np.random.default_rng(0))])
