"""Observations survive the way through JSON."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from archsearch import spaces
from archsearch.evaluators import Evaluation
from archsearch.searchers.observation import Observation, observation_from_row, observation_to_row

SPACE = spaces.get("nasbench201")
ARCHITECTURE = SPACE.sample(np.random.default_rng(0))
KEY = SPACE.key(ARCHITECTURE)


def through_json(observation: Observation) -> Observation:
    return observation_from_row(json.loads(json.dumps(observation_to_row(observation), allow_nan=False)), SPACE)


@pytest.mark.parametrize("reused", [False, True])
def test_a_success_comes_back(reused: bool) -> None:
    observation = Observation(3, 1, Evaluation(ARCHITECTURE, KEY, 0.75, {"macs": 2.0}, 1.5), reused)
    assert through_json(observation) == observation


def test_a_failure_has_no_score_and_keeps_its_error() -> None:
    failed = Evaluation(ARCHITECTURE, KEY, math.nan, {"macs": math.inf}, 1.5, "diverged")
    again = through_json(Observation(0, 0, failed, False)).evaluation
    assert math.isnan(again.score)
    assert (again.error, again.metrics, again.key) == ("diverged", {}, KEY)


def test_curves_are_not_part_of_the_state() -> None:
    observation = Observation(0, 0, Evaluation(ARCHITECTURE, KEY, 0.5, curves={"loss": (1.0, 0.5)}), False)
    assert through_json(observation).evaluation.curves == {}
