"""Paths that a controller draws."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archsearch.errors import ConfigurationError
from archsearch.evaluators.datasets.resident import Resident
from archsearch.evaluators.supernet.controlled import ControlledSupernet
from archsearch.evaluators.supernet.shared_weights import SharedWeights
from archsearch.spaces.nasbench201 import NASBench201

SPACE = NASBench201()
TINY: dict[str, Any] = {
    "scale": {"channels": 2, "cells_per_stage": 1}, "batch_size": 8, "policy_every": 2, "paths": 3, "warmup": 0.0
}  # fmt: skip


def made(**changes: Any) -> ControlledSupernet:
    return ControlledSupernet(SPACE, "digits", **{**TINY, **changes})


def test_an_interrupted_fit_continues_from_its_checkpoint(tmp_path: Path) -> None:
    class Interrupted(Exception):
        pass

    first = made()
    take = first._step

    def step(weights: SharedWeights, number: int, steps: int) -> float:
        if number == 3:
            raise Interrupted
        return take(weights, number, steps)

    first._step = step  # type: ignore[method-assign]
    with pytest.raises(Interrupted):
        first.fit(6, checkpoint=tmp_path / "enas.pt")
    second, whole = made().fit(6, checkpoint=tmp_path / "enas.pt"), made().fit(6)
    assert second.settings() == whole.settings()
    assert second.history == whole.history
    assert second.draw(5, 0) == whole.draw(5, 0) != whole.draw(5, 1)


class OnlyPolicy(ControlledSupernet):
    """Trains no weights; a path is rewarded for its convolutions."""

    convolution = SPACE.operators.index("nor_conv_3x3")

    def train_path(self, *arguments: Any) -> float:
        return 1.0

    def _reward(self, weights: SharedWeights, genotype: list[int], batch: Resident) -> float:
        return genotype.count(self.convolution) / 6


def test_the_controller_learns_what_is_rewarded() -> None:
    supernet = OnlyPolicy(SPACE, "digits", **{**TINY, "policy_learning_rate": 0.05, "paths": 8, "policy_every": 1}).fit(60)
    shares = [SPACE.genotype(each).count(OnlyPolicy.convolution) / 6 for each in supernet.draw(50, seed=0)]
    assert np.mean(shares) > 0.5
    steps, rewards, _, entropies = zip(*supernet.history, strict=True)
    assert steps[-1] == 60 and rewards[-1] > rewards[0] and entropies[-1] < entropies[0]


@pytest.mark.parametrize(("option", "value"), [("paths", 0), ("entropy_weight", -1.0), ("baseline_decay", 1.5)])
def test_bad_options_are_refused(option: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=option):
        made(**{option: value})
