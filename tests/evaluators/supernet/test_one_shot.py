"""Weights that all candidates share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from archsearch.errors import ConfigurationError
from archsearch.evaluators import OneShot
from archsearch.evaluators.supernet.shared_weights import SharedWeights
from archsearch.spaces import Architecture
from archsearch.spaces.nasbench201 import NASBench201

SPACE = NASBench201()
TINY = {"channels": 4, "cells_per_stage": 1}
CONVOLUTION = SPACE.parse("|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|")
POOLING = SPACE.parse("|avg_pool_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|")


def drawn(number: int, seed: int = 0) -> list[Architecture]:
    rng = np.random.default_rng(seed)
    return [SPACE.sample(rng) for _ in range(number)]


def test_shared_weights_learn_for_all_paths() -> None:
    supernet = OneShot(SPACE, "digits", scale=TINY, learning_rate=0.05)
    candidates = drawn(8, seed=1)
    before = supernet.fit(1).evaluate(candidates)
    after = supernet.fit(60).evaluate(candidates)
    assert np.mean([each.score for each in after]) > np.mean([each.score for each in before]) + 0.1
    assert supernet.steps_done == 60


def test_an_interrupted_fit_continues_from_its_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "one-shot.pt"
    settings = {"scale": TINY, "batch_size": 16, "spec": None}

    class Interrupted(Exception):
        pass

    first = OneShot(SPACE, "digits", **settings)  # type: ignore[arg-type]
    take = first._step

    def step(weights: SharedWeights, number: int, steps: int) -> float:
        if number == 3:
            raise Interrupted
        return take(weights, number, steps)

    first._step = step  # type: ignore[method-assign]
    with pytest.raises(Interrupted):
        first.fit(5, checkpoint=path)
    second = OneShot(SPACE, "digits", **settings).fit(5, checkpoint=path)  # type: ignore[arg-type]
    whole = OneShot(SPACE, "digits", **settings).fit(5)  # type: ignore[arg-type]
    assert second.settings() == whole.settings()
    with pytest.raises(ConfigurationError, match="seed is 1; got 0"):
        OneShot(SPACE, "digits", 1, **settings).fit(6, checkpoint=path)  # type: ignore[arg-type]


def test_calls_before_the_first_fit_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="call fit or load first"):
        OneShot(SPACE, "digits").evaluate([POOLING])
    with pytest.raises(ConfigurationError, match="call fit or load first"):
        OneShot(SPACE, "digits").state()
