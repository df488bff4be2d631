"""A population of paths that NAO renews."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from archsearch import spaces
from archsearch.errors import ConfigurationError, DatasetError
from archsearch.evaluators.datasets.resident import Resident
from archsearch.evaluators.supernet.encoded import DRAWN, IMPROVED, KEPT, EncodedSupernet, Member
from archsearch.evaluators.supernet.shared_weights import SharedWeights
from archsearch.spaces.nasbench201 import NASBench201
from archsearch.spaces.plan import Plan

SPACE = NASBench201()
TINY: dict[str, Any] = {
    "scale": {"channels": 2, "cells_per_stage": 1}, "batch_size": 8, "population": 10, "rounds": 3, "parents": 4,
    "explore": 0.1, "score_batch": 20, "encoder": {"hidden": 16, "steps": 50, "learning_rate": 0.02},
}  # fmt: skip


def made(**changes: Any) -> EncodedSupernet:
    return EncodedSupernet(SPACE, "digits", **{**TINY, **changes})


@pytest.fixture(scope="module")
def trained() -> EncodedSupernet:
    return made().fit(6)


def test_each_round_scores_the_population_and_replaces_its_worst(trained: EncodedSupernet) -> None:
    first = made()
    before = {SPACE.key(each.architecture) for each in first.members}
    assert len(before) == 10 and {each.origin for each in first.members} == {DRAWN}
    supernet = trained
    assert [step for step, _ in supernet.history] == [2, 4, 6], "three equal parts"
    origins = [each.origin for each in supernet.members]
    assert 1 <= origins.count(IMPROVED) <= 5 and origins.count(DRAWN) == 1, "an encoder that knows little finds few"
    assert origins.count(KEPT) == 9 - origins.count(IMPROVED)
    assert len({SPACE.key(each.architecture) for each in supernet.members}) == 10
    assert all(0.0 <= each.figure <= 1.0 and math.isfinite(each.loss) for each in supernet.members)
    scores = {SPACE.key(each.architecture): each.order for each in supernet.members}
    ranked = [scores[SPACE.key(each)] for each in supernet.ranked()]
    assert ranked == sorted(scores.values(), reverse=True)
    assert set(supernet.history[0][1]) == {"best", "mean", DRAWN}
    assert set(supernet.history[-1][1]) == {"best", "mean", KEPT, IMPROVED, DRAWN}


class Rewarded(EncodedSupernet):
    """Trains no weights; the figure of a path is its share of 3x3 convolutions."""

    def train_path(self, *arguments: Any) -> float:
        return 1.0

    def path_figures(self, weights: SharedWeights, plan: Plan, batch: Resident) -> tuple[float, float]:
        sides = [getattr(operator, "kernel", 0) for operator in plan.operators.values()]
        return sides.count(3) / 100, 1.0


def test_the_population_improves_where_figures_say_what_is_good() -> None:
    settings = {**TINY, "population": 40, "parents": 12, "encoder": {"hidden": 16, "steps": 60}}
    history = [means for _, means in Rewarded(SPACE, "digits", **settings).fit(3).history]
    assert min(history[1][IMPROVED], history[2][IMPROVED]) > history[0]["mean"]
    assert history[2]["mean"] > history[1]["mean"] and history[2]["best"] >= history[0]["best"]


def test_an_interrupted_fit_continues_from_its_checkpoint(tmp_path: Path, trained: EncodedSupernet) -> None:
    class Interrupted(Exception):
        pass

    first = made()
    take = first._step

    def step(weights: SharedWeights, number: int, steps: int) -> float:
        if number == 4:
            raise Interrupted
        return take(weights, number, steps)

    first._step = step  # type: ignore[method-assign]
    with pytest.raises(Interrupted):
        first.fit(6, checkpoint=tmp_path / "nao.pt")
    second, whole = made().fit(6, checkpoint=tmp_path / "nao.pt"), trained
    assert second.settings() == whole.settings()
    assert second.history == whole.history and second.members == whole.members
    assert made(seed=1).members != made().members


def test_new_ones_are_improved_first_and_then_random(trained: EncodedSupernet) -> None:
    supernet = trained
    known = {SPACE.key(each) for each in supernet.ranked()}
    found = list(islice(supernet.further(3, known, 0), 40))
    keys = {SPACE.key(each) for each in found}
    assert len(keys) == 40 and not keys & known
    improved = supernet._descendants(3, known)
    assert improved and found[: len(improved)] == improved
    assert found == list(islice(supernet.further(3, known, 0), 40))
    assert next(made().further(3, known, 0)), "before a training they are random"


class TwoOperators(NASBench201):
    @property
    def choices(self) -> Mapping[str, Any]:
        return dict.fromkeys(super().choices, ("none", "skip_connect"))


def test_a_small_space_has_a_small_population_and_an_end() -> None:
    supernet = EncodedSupernet(TwoOperators(), "digits", **{**TINY, "encoder": {"hidden": 4, "steps": 2}}).fit(3)
    keys = {TwoOperators().key(each) for each in supernet.ranked()}
    assert len(keys) == 8 and list(supernet.further(2, keys, 0)) == []


def test_genes_may_restrict_each_other() -> None:
    space = spaces.get("nasbench101")
    scale = {"channels": 4, "stacks": 1, "cells_per_stack": 1}
    supernet = EncodedSupernet(space, "digits", **{**TINY, "scale": scale, "rounds": 2}).fit(2)
    assert len({space.key(each) for each in supernet.ranked()}) == 10


def test_those_whose_loss_is_not_finite_are_the_worst() -> None:
    architecture = SPACE.sample(np.random.default_rng(0))
    broken, poor, good = (Member(architecture, KEPT, *pair) for pair in ((0.9, math.nan), (0.1, 2.0), (0.1, 1.0)))
    assert broken.order < poor.order < good.order


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"population": 1}, "population: expected"),
        ({"rounds": 0}, "rounds: expected"),
        ({"improved": 0.95}, "improved: expected"),
        ({"explore": math.nan}, "explore: expected"),
        ({"score_batch": 1}, "score_batch: expected"),
        ({"encoder": {"hiden": 8}}, "NAO: no setting 'hiden'"),
    ],
)
def test_bad_options_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        made(**changes)


def perceptron(choose: Any) -> nn.Module:
    width = choose.one("width", [4, 8])
    return nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.Linear(width, 10))


def test_too_few_images_and_modules_are_refused() -> None:
    with pytest.raises(DatasetError, match="for the weights and another"):
        made(batch_size=5000).fit(1)
    space = spaces.ModuleSpace(perceptron, torch.zeros(1, 1, 8, 8))
    with pytest.raises(ConfigurationError, match="the modules of perceptron share none"):
        EncodedSupernet(space, "digits")
