"""Evaluators for tests: they write down what they evaluate."""

from __future__ import annotations

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
from archsearch.evaluators import Evaluation, Evaluator
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
