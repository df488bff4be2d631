"""Searches with a scheduler, from their settings to their report, on a real Ray."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from ray.tune.schedulers import AsyncHyperBandScheduler, PopulationBasedTraining

from archsearch import spaces
from archsearch.cluster.ledger.rungs import RungLog
from archsearch.errors import ConfigurationError, RunError
from archsearch.evaluators import Evaluation, EvaluationSteps, StepwiseEvaluator, TrainingEvaluator
from archsearch.platform import compare, finished_run, replay_run, resume_search, run_search
from archsearch.platform.command_line import main
from archsearch.platform.preparation import make_parts
from archsearch.platform.result import SearchResult
from archsearch.spaces import Architecture

pytestmark = pytest.mark.usefixtures("shared_ray")
STEPS = 9


class Rising(StepwiseEvaluator):
    """Scores that rise step by step to a level which depends on the key, and keep the order of candidates."""

    @property
    def max_fidelity(self) -> int:
        return STEPS

    @property
    def task(self) -> str:
        return "rising"

    @property
    def score_is_fraction(self) -> bool:
        return True

    def settings(self) -> Mapping[str, Any]:
        return {"kind": "rising"}

    def begin(self, architecture: Architecture) -> EvaluationSteps:
        return RisingSteps(architecture, self.space.key(architecture))


class RisingSteps(EvaluationSteps):
    def __init__(self, architecture: Architecture, key: str) -> None:
        super().__init__(architecture)
        self.key, self.level = key, int(key[:4], 16) / 65536

    def step(self) -> Evaluation:
        self.fidelity += 1
        scores = tuple(self.level * (1.0 - 0.5**step) for step in range(1, self.fidelity + 1))
        curves = {"step_score": scores, "step_seconds": (0.5,) * self.fidelity}
        reached = None if self.fidelity == STEPS else self.fidelity
        return Evaluation(self.architecture, self.key, scores[-1], {}, 0.5 * self.fidelity, curves=curves, fidelity=reached)

    def state(self) -> dict[str, Any]:
        return {"fidelity": self.fidelity}

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.fidelity = state["fidelity"]


@pytest.fixture(scope="module")
def storage(mlflow_store: Path) -> Path:
    return mlflow_store.parent


@pytest.fixture(scope="module")
def settings(storage: Path) -> dict[str, Any]:
    space = spaces.get("nasbench201")
    tracking = f"sqlite:///{storage}/mlflow.db"
    return {"space": space, "evaluator": Rising(space), "storage": storage / "runs", "tracking": tracking, "progress": False}


@pytest.fixture(scope="module")
def result(settings: dict[str, Any]) -> SearchResult:
    return run_search(searcher="random", num_candidates=12, name="asha", scheduler="asha", workers=2, **settings)


def test_each_candidate_is_one_row_and_those_that_went_farthest_come_first(result: SearchResult) -> None:
    rows = result.evaluations.to_pylist()
    assert [row["candidate"] for row in rows] == list(range(12)) and len({row["key"] for row in rows}) == 12
    stopped = [row for row in rows if row["fidelity"] is not None]
    assert 0 < len(stopped) < 12 and {row["fidelity"] for row in stopped} <= {1, 3}
    complete = [row["score"] for row in rows if row["fidelity"] is None]
    assert result.best.score == max(complete)
    order = [found.origin["scored_after"] for found in result.top(12)]
    assert order == sorted(order, key=lambda text: -int(text.split()[0])) and order[0] == "9 epochs"
    early = result.summary.early_stopping
    assert early is not None and (early.stopped, early.candidates) == (len(stopped), 12)
    assert early.saved == pytest.approx(sum(0.5 * (STEPS - row["fidelity"]) for row in stopped))
    assert {curve.steps[-1] for curve in early.curves.values()} == {row["fidelity"] or STEPS for row in rows}


def test_report_and_mlflow_show_what_was_stopped(result: SearchResult, settings: dict[str, Any]) -> None:
    page = result.report.read_text()
    for part in ("Candidates that were stopped early", "asha stopped ", "Score against epochs of each candidate", "ended here"):
        assert part in page
    client = MlflowClient(settings["tracking"])
    data = client.get_run(str(result.run_id)).data
    assert (data.params["scheduler"], data.metrics["num_stopped_early"]) == ("asha", result.summary.early_stopping.stopped)  # type: ignore[union-attr]
    rungs = {point.step: point.value for point in client.get_metric_history(str(result.run_id), "rungs/candidates")}
    assert list(rungs) == sorted(rungs) and rungs[1] == 12 and max(rungs) == STEPS
    experiment = client.get_run(str(result.run_id)).info.experiment_id
    finalists = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{result.run_id}'")
    best = next(run for run in finalists if run.data.metrics["rank"] == 1)
    course = client.get_metric_history(best.info.run_id, "learning_curve/score")
    assert [point.step for point in course] == list(range(1, STEPS + 1)) and course[-1].value == result.best.score


def test_a_finished_run_is_read_shown_and_replayed(result: SearchResult, settings: dict[str, Any]) -> None:
    again = (
        resume_search(result.folder, settings["space"], progress=False)
        if False
        else run_search(searcher="random", num_candidates=12, name="asha", scheduler="asha", resume=True, **settings)
    )
    assert again.evaluations.equals(result.evaluations)
    assert again.ending is not None and again.ending.idle
    with pytest.raises(RunError, match="scheduler: the run asha was started with 'asha'; got 'median'"):
        run_search(searcher="random", num_candidates=12, name="asha", scheduler="median", resume=True, **settings)
    with pytest.raises(RunError, match="scheduler_options: the run asha was started with {}"):
        run_search(
            searcher="random",
            num_candidates=12,
            name="asha",
            scheduler="asha",
            scheduler_options={"grace_period": 2},
            resume=True,
            **settings,
        )
