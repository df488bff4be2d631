"""Search by a controller: rewards, updates, draws of what is new, refusals."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import torch

from archsearch.errors import ConfigurationError
from archsearch.evaluators import Evaluation
from archsearch.searchers import ArchitectureSearcher, ControllerSearch, Goals, Objective, Observation
from archsearch.searchers.conformance import Loop, SearcherConformance
from archsearch.spaces import SearchSpace
from archsearch.spaces.nasbench201 import NASBench201

SPACE = NASBench201()
SMALL: dict[str, Any] = {"update_size": 5, "model": {"hidden": 8, "epochs": 2}}


class TestControllerSearch(SearcherConformance):
    alternatives = 2
    num_candidates = 30

    def make_searcher(self, space: SearchSpace, seed: int, **settings: Any) -> ArchitectureSearcher:
        return ControllerSearch(space, seed, **SMALL, **settings)


def evaluations(scores: list[float], fidelities: list[int | None] | None = None) -> list[Evaluation]:
    rng = np.random.default_rng(0)
    found = []
    for score, fidelity in zip(scores, fidelities or [None] * len(scores), strict=True):
        architecture = SPACE.sample(rng)
        error = "failed" if math.isnan(score) else None
        found.append(Evaluation(architecture, SPACE.key(architecture), score, error=error, fidelity=fidelity))
    return found


def test_rewards_are_ranks_and_failures_have_the_lowest() -> None:
    searcher = ControllerSearch(SPACE)
    known = evaluations([0.7, 0.9, math.nan, 0.8, 0.7])
    assert searcher._rewards(known).tolist() == [0.0, 1.0, 0.0, 0.5, 0.0]
    stopped = evaluations([0.7, 0.9, 0.8], [None, 1, 3])
    assert searcher._rewards(stopped).tolist() == [1.0, 0.0, 0.5], "more steps are better than a higher score"
    assert searcher._rewards(evaluations([math.nan])).tolist() == [0.0]


def test_rewards_may_be_scores() -> None:
    known = evaluations([0.7, 0.9, math.nan])
    assert ControllerSearch(SPACE, rewards="scores")._rewards(known).tolist() == [0.7, 0.9, 0.7]
    assert ControllerSearch(SPACE, rewards="standardised")._rewards(known).tolist() == pytest.approx([-1.0, 1.0, -1.0])
    several = ControllerSearch(SPACE, rewards="scores", goals=Goals((Objective("score"), Objective("score", False))))
    assert set(several._rewards(known).tolist()) <= {0.0, 0.5, 1.0}, "several objectives are ranked"


def test_it_finds_more_than_random_draws_do() -> None:
    suite = SearcherConformance()
    searcher = ControllerSearch(SPACE, 0, num_candidates=120, batch_size=10, learning_rate=0.02, model={"hidden": 16})
    Loop(searcher, lambda architecture: suite.objective(SPACE, architecture)).run()
    scores = [row.evaluation.score for row in searcher.history]
    assert np.mean(scores[-40:]) > np.mean(scores[:40]) + 0.1


def test_updates_do_not_depend_on_how_outcomes_are_grouped() -> None:
    rows = [Observation(number, 0, each, False) for number, each in enumerate(evaluations([0.1 * n for n in range(12)]))]
    whole, apart = ControllerSearch(SPACE, **SMALL), ControllerSearch(SPACE, **SMALL)
    whole.observe(rows)
    for row in rows:
        apart.observe([row])
    assert [str(each) for each in whole.controller.sample(9, 0)] == [str(each) for each in apart.controller.sample(9, 0)]
    assert whole.details["updates"]["candidates"].tolist() == apart.details["updates"]["candidates"].tolist() == [5.0, 10.0]
    assert set(whole.figures) == {"controller/reward", "controller/entropy"}


def test_a_policy_that_writes_nothing_new_is_told_and_draws_go_on(caplog: pytest.LogCaptureFixture) -> None:
    searcher = ControllerSearch(SPACE, batch_size=1, num_candidates=8, **SMALL)
    fixed = SPACE.from_genotype((3, 3, 3, 3, 3, 3))
    with torch.no_grad():
        searcher.controller.policy.bias[3::5] = 1000.0  # of the 3x3 convolution in each gene
    with caplog.at_level(logging.WARNING, logger="archsearch"):
        loop = Loop(searcher, lambda architecture: 0.5).run()
    assert loop.candidates[0] == str(fixed)
    assert len(set(loop.candidates)) == 8
    assert sum("a larger entropy_weight keeps it exploring" in message for message in caplog.messages) == 1


class OneOperator(NASBench201):
    @property
    def choices(self) -> Mapping[str, Sequence[str]]:
        return dict.fromkeys(super().choices, ("nor_conv_3x3",))


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="every gene of nasbench201 has one, such as a single operator"):
        ControllerSearch(OneOperator())
    with pytest.raises(ConfigurationError, match="method"):
        ControllerSearch(SPACE, method="sarsa")
    with pytest.raises(ConfigurationError, match="learning_rate"):
        ControllerSearch(SPACE, learning_rate=-1.0)
    with pytest.raises(ConfigurationError, match="preset"):
        ControllerSearch(SPACE, preset="authors")
    with pytest.raises(ConfigurationError, match="initial: the new policy has an entropy of"):
        ControllerSearch(SPACE, model={"initial": 1000.0}).suggest("trial")


def test_presets_set_the_model() -> None:
    assert ControllerSearch(SPACE, preset="paper").largest_batch == 20
    assert ControllerSearch(SPACE, preset="reinforce").controller.settings.method == "reinforce"
    assert ControllerSearch(SPACE, preset="paper", update_size=7).largest_batch == 7
