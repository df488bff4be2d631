"""Evaluators for tests: they write down what they evaluate."""

from __future__ import annotations

import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archsearch.errors import DatasetError
from archsearch.evaluators import Evaluation, EvaluationSteps, Evaluator, StepwiseEvaluator
from archsearch.evaluators.stepwise import STEP_SCORES, STEP_SECONDS
from archsearch.spaces import Architecture, SearchSpace
from archsearch.spaces.nasbench201 import NASBench201


class NotingEvaluator(Evaluator):
    """Scores by the genotype; writes a line to a file for each evaluation.

    Args:
        space: Space of the candidates.
        notes: File of the lines.
        seconds: Time that a candidate takes, by text; others take none.
        kills: Candidates that kill the process, with the number of times that they do so.
        raises: Candidates at which an exception is raised.
        breaks: A candidate from which on nothing can be evaluated.
        dies_after: Candidates after which the process dies, with the seconds until then; the first process only.
    """

    def __init__(
        self,
        space: SearchSpace,
        notes: Path,
        seconds: Mapping[str, float] | None = None,
        kills: Mapping[str, int] | None = None,
        raises: Mapping[str, BaseException] | None = None,
        breaks: str | None = None,
        dies_after: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(space)
        self.notes, self.seconds, self.kills = notes, dict(seconds or {}), dict(kills or {})
        self.raises, self.breaks, self.dies_after = dict(raises or {}), breaks, dict(dies_after or {})

    @property
    def task(self) -> str:
        return "notes"

    def settings(self) -> Mapping[str, Any]:
        return {"notes": "by genotype"}

    def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        return [self._evaluate(architecture) for architecture in architectures]

    def _evaluate(self, architecture: Architecture) -> Evaluation:
        with self.notes.open("a") as file:
            file.write(f"{architecture}\n")
        if self.noted().count(str(architecture)) <= self.kills.get(str(architecture), 0):
            self.die()
        if str(architecture) in self.raises:
            raise self.raises[str(architecture)]
        if str(architecture) == self.breaks:
            raise DatasetError("the disk with the images has gone")
        if str(architecture) in self.dies_after and self.noted().count(str(architecture)) == 1:
            threading.Timer(self.dies_after[str(architecture)], self.die).start()
        time.sleep(self.seconds.get(str(architecture), 0.0))
        score = sum(self.space.genotype(architecture)) / 24
        return Evaluation(
            architecture, self.space.key(architecture), score, {"half": score / 2}, 2.0, None, {"curve": (0.1, score)}
        )

    def die(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def noted(self) -> list[str]:
        """Return the texts of all evaluations so far, in order."""
        return self.notes.read_text().splitlines() if self.notes.exists() else []


@pytest.fixture
def space() -> SearchSpace:
    return NASBench201()


@pytest.fixture
def architectures(space: SearchSpace) -> list[Architecture]:
    """Twelve of distinct structure."""
    rng = np.random.default_rng(0)
    drawn: dict[str, Architecture] = {}
    while len(drawn) < 12:
        architecture = space.sample(rng)
        drawn.setdefault(space.key(architecture), architecture)
    return list(drawn.values())


@pytest.fixture
def make_evaluator(space: SearchSpace, tmp_path: Path) -> Callable[..., NotingEvaluator]:
    """Makes a `NotingEvaluator`; its arguments after the space and the file may be given."""
    return partial(NotingEvaluator, space, tmp_path / "notes")


@pytest.fixture(scope="module")
def ray_cluster(shared_ray: None) -> Iterator[None]:
    """A local Ray of two CPUs whose workers know the evaluators of this file."""
    from ray import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers need not find the tests
    yield
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


class _NotedSteps(EvaluationSteps):
    """Steps of `NotingSteps`."""

    def __init__(self, architecture: Architecture, evaluator: NotingSteps) -> None:
        super().__init__(architecture)
        self._evaluator = evaluator
        self._scores: list[float] = []

    def step(self) -> Evaluation:
        evaluator, text, number = self._evaluator, str(self.architecture), self.fidelity + 1
        evaluator.note(f"begin {os.getpid()} {number} {text}")
        time.sleep(evaluator.seconds)
        if evaluator.deaths and evaluator.count(f" {number} {text}", "begin") <= evaluator.deaths.get((text, number), 0):
            os.kill(os.getpid(), signal.SIGKILL)
        if evaluator.breaks == (text, number):
            raise DatasetError("the disk with the images has gone")
        if evaluator.raises == (text, number):
            raise ValueError("a layer is too large")
        score = math.nan if evaluator.nan == (text, number) else evaluator.score(self.architecture, number)
        self._scores.append(score)
        self.fidelity = number
        evaluator.note(f"end {os.getpid()} {number} {text}")
        return Evaluation(
            *(self.architecture, evaluator.space.key(self.architecture), score, {"half": score / 2}, 2.0 * number),
            curves={STEP_SCORES: tuple(self._scores), STEP_SECONDS: (2.0,) * number},
            fidelity=None if number == evaluator.max_fidelity else number,
        )

    def state(self) -> dict[str, Any]:
        return {"scores": list(self._scores)}

    def load_state(self, state: Mapping[str, Any]) -> None:
        self._scores = list(state["scores"])
        self.fidelity = len(self._scores)


class NotingSteps(StepwiseEvaluator):
    """Scores step by step, by the genotype; writes lines to a file when a step begins and when it is done.

    The order of candidates changes with the number of steps.

    Args:
        space: Space of the candidates.
        notes: File of the lines.
        steps: Number of steps of a complete evaluation.
        seconds: Duration of a step.
        deaths: How often a step of a candidate, by text and number, kills its process.
        nan: A step that gives no score.
        raises: A step that raises an error.
        breaks: A step from which on nothing can be evaluated.
    """

    def __init__(
        self,
        space: SearchSpace,
        notes: Path,
        steps: int = 9,
        seconds: float = 0.0,
        deaths: Mapping[tuple[str, int], int] | None = None,
        nan: tuple[str, int] | None = None,
        raises: tuple[str, int] | None = None,
        breaks: tuple[str, int] | None = None,
    ) -> None:
        super().__init__(space)
        self.notes, self.steps, self.seconds, self.deaths = notes, steps, seconds, dict(deaths or {})
        self.nan, self.raises, self.breaks = nan, raises, breaks

    @property
    def task(self) -> str:
        return "notes"

    @property
    def max_fidelity(self) -> int:
        return self.steps

    @property
    def metric_names(self) -> tuple[str, ...]:
        return ("half",)

    def settings(self) -> Mapping[str, Any]:
        return {"notes": "step by step", "steps": self.steps}

    def begin(self, architecture: Architecture) -> EvaluationSteps:
        return _NotedSteps(architecture, self)

    def score(self, architecture: Architecture, number: int) -> float:
        """Return the score after some steps."""
        genes = self.space.genotype(architecture)
        slow = sum((position + 1) * gene for position, gene in enumerate(genes)) / 84
        return sum(genes) / 24 * (1 - 0.5**number) + 0.3 * slow * number / self.steps

    def note(self, line: str) -> None:
        file = os.open(self.notes, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, f"{line}\n".encode())
        os.close(file)

    def noted(self, what: str = "end") -> list[tuple[str, int]]:
        """Return the steps that have begun or are done, as pairs of text and number."""
        lines = [line.split(" ", 3) for line in self.notes.read_text().splitlines()] if self.notes.exists() else []
        return [(text, int(number)) for kind, _, number, text in lines if kind == what]

    def count(self, ending: str, what: str) -> int:
        """Return how many lines of a kind end so."""
        return sum(line.startswith(what) and line.endswith(ending) for line in self.notes.read_text().splitlines())


@pytest.fixture
def make_steps(space: SearchSpace, tmp_path: Path) -> Callable[..., NotingSteps]:
    """A function that makes step-wise evaluators for tests."""
    return partial(NotingSteps, space, tmp_path / "steps.txt")
