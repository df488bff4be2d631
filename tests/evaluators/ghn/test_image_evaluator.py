"""The base of evaluators that run networks from their plans."""

from __future__ import annotations

import pytest

from archsearch.errors import ConfigurationError
from archsearch.evaluators import SGDSteps
from archsearch.spaces.nasbench201 import NASBench201

SPACE = NASBench201()
TINY = {"channels": 4, "cells_per_stage": 1}
CONVOLUTION = SPACE.parse("|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|")
POOLING = SPACE.parse("|avg_pool_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|")


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="threads"):
        SGDSteps(SPACE, "digits", 1, threads=0)
    with pytest.raises(ConfigurationError, match="replicas"):
        SGDSteps(SPACE, "digits", 1, scale={"replicas": 2})
    with pytest.raises(ConfigurationError, match="device"):
        SGDSteps(SPACE, "digits", 1, device="abacus", scale=TINY).evaluate([POOLING])


def test_a_candidate_that_fails_has_the_kind_of_its_error() -> None:
    evaluator = SGDSteps(SPACE, "digits", 1, scale=TINY)

    def fail() -> list[tuple[float, float]]:
        raise MemoryError("no room\nat all")

    assert evaluator.guarded(POOLING, fail, "unusable").error == "out of memory: no room"
    assert evaluator.guarded(POOLING, lambda: [(0.5, float("nan"))], "a loss of {}").error == "a loss of nan"
    found = evaluator.guarded(POOLING, lambda: [(0.5, 1.0)], "unusable")
    assert (found.score, found.metrics["valid_loss"]) == (0.5, 1.0)
