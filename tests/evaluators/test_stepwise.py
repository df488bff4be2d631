"""Step-wise evaluators: a whole evaluation is that of all steps, and a state goes on where it was saved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from archsearch import spaces
from archsearch.evaluators import Evaluation, EvaluationSteps, StepwiseEvaluator
from archsearch.spaces import Architecture, SearchSpace


class Steps(EvaluationSteps):
    def __init__(self, evaluator: Stepped, architecture: Architecture) -> None:
        super().__init__(architecture)
        self.evaluator = evaluator

    def step(self) -> Evaluation:
        self.fidelity += 1
        key, done = self.evaluator.space.key(self.architecture), self.fidelity == self.evaluator.max_fidelity
        score = 1.0 - 0.5**self.fidelity if self.fidelity != self.evaluator.fails_at else float("nan")
        return Evaluation(self.architecture, key, score, fidelity=None if done else self.fidelity)

    def state(self) -> dict[str, Any]:
        return {"fidelity": self.fidelity}

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.fidelity = state["fidelity"]


class Stepped(StepwiseEvaluator):
    task = "steps"
    max_fidelity = 3

    def __init__(self, space: SearchSpace, fails_at: int = 0) -> None:
        super().__init__(space)
        self.fails_at = fails_at

    def settings(self) -> Mapping[str, Any]:
        return {"space": self.space.name, "fails_at": self.fails_at}

    def begin(self, architecture: Architecture) -> EvaluationSteps:
        return Steps(self, architecture)


def test_whole_evaluation_is_that_of_the_last_step() -> None:
    space = spaces.get("nasbench201")
    [evaluation] = Stepped(space).evaluate([space.sample(np.random.default_rng(0))])
    assert evaluation.score == 1.0 - 0.5**3
    assert not evaluation.is_partial


def test_failed_step_ends_the_evaluation() -> None:
    space = spaces.get("nasbench201")
    [evaluation] = Stepped(space, fails_at=2).evaluate([space.sample(np.random.default_rng(0))])
    assert not evaluation.ok
    assert evaluation.fidelity == 2
    assert "score" in str(evaluation.error)


def test_saved_state_goes_on() -> None:
    space = spaces.get("nasbench201")
    candidate = space.sample(np.random.default_rng(0))
    first, second = Stepped(space).begin(candidate), Stepped(space).begin(candidate)
    first.step()
    second.load_state(first.state())
    assert [second.step().fidelity, second.step().fidelity] == [2, None]
