"""Searches with a scheduler, from their settings to their report, on a real Ray."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from ray.tune.schedulers import AsyncHyperBandScheduler, PopulationBasedTraining

from archsearch import spaces
from archsearch.errors import ConfigurationError, RunError, TableError
from archsearch.evaluators import Evaluation, EvaluationSteps, Evaluator, StepwiseEvaluator, TrainingEvaluator
from archsearch.platform import compare, finished_run, resume_search, run_search
from archsearch.platform.command_line import main
from archsearch.platform.configuration import from_mapping
from archsearch.platform.result import SearchResult
from archsearch.platform.run_folder import RunFolder
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
    for part in (
        "Candidates that were stopped early",
        "asha stopped ",
        "Score against epochs of each candidate",
        "ranked the next (tau)",
    ):
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


def test_a_finished_run_has_nothing_left_to_do_and_keeps_its_scheduler(result: SearchResult, settings: dict[str, Any]) -> None:
    again: dict[str, Any] = {"searcher": "random", "num_candidates": 12, "name": "asha", "resume": True, **settings}
    found = run_search(scheduler="asha", **again)
    assert found.evaluations.equals(result.evaluations) and found.ending is not None and found.ending.idle
    with pytest.raises(RunError, match="scheduler: the run asha was started with 'asha'; got 'median'"):
        run_search(scheduler="median", **again)
    with pytest.raises(RunError, match="scheduler_options: the run asha was started with {}"):
        run_search(scheduler="asha", scheduler_options={"grace_period": 2}, **again)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"scheduler": "ashaa"}, "Did you mean 'asha'?"),
        ({"scheduler": "asha", "scheduler_options": {"grace_perio": 1}}, "Did you mean 'grace_period'?"),
        ({"scheduler": "asha", "scheduler_options": {"grace_period": 10}}, "expected at most 9"),
        ({"scheduler": "asha", "batch_size": 4}, "batch_size: with a scheduler each candidate is a trial of its own; got 4"),
        ({"scheduler": AsyncHyperBandScheduler(max_t=9), "scheduler_options": {"max_t": 3}}, "is made already; give max_t"),
        ({"scheduler": AsyncHyperBandScheduler(metric="accuracy", mode="max")}, "compares metric='accuracy'"),
        ({"scheduler": PopulationBasedTraining(hyperparam_mutations={"a": [1, 2]})}, "PopulationBasedTraining cannot be used"),
        ({"scheduler": AsyncHyperBandScheduler}, "got the class AsyncHyperBandScheduler: give an instance"),
        ({"scheduler": "asha", "evaluator": "table:digits201", "workers": 2}, "workers are simulated; got workers=2"),
    ],
)
def test_a_scheduler_that_cannot_be_used_is_refused_before_anything_is_made(
    changes: dict[str, Any], words: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(words)):
        run_search(**{**settings, "searcher": "random", "num_candidates": 4, "storage": tmp_path / "runs", **changes})
    assert not (tmp_path / "runs").exists()


class AtOnce(Evaluator):
    """An evaluator that gives one score at the end."""

    @property
    def task(self) -> str:
        return "at-once"

    def settings(self) -> Mapping[str, Any]:
        return {}

    def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        return [Evaluation(each, self.space.key(each), 0.5) for each in architectures]


def test_an_evaluator_that_does_not_report_is_refused(tmp_path: Path) -> None:
    space = spaces.get("nasbench201")
    with pytest.raises(
        ConfigurationError, match="asha needs an evaluator that reports a score as it goes.* Derive it from Stepwise"
    ):
        run_search(space, "random", AtOnce(space), 4, storage=tmp_path / "runs", scheduler="asha", tracking="off")
    assert not (tmp_path / "runs").exists()


def test_a_table_without_learning_curves_is_refused(table: Path, tmp_path: Path) -> None:
    for column, words in (("valid_accuracy", "asha needs a table with learning curves. score: "), ("no_such", "no_such")):
        with pytest.raises(TableError, match=words):
            run_search(evaluator=f"table:{table}#{column}", storage=tmp_path / "runs", scheduler="asha", tracking="off")
    assert not (tmp_path / "runs").exists()


def test_a_run_that_was_started_with_an_object_needs_it_again(tmp_path: Path) -> None:
    kept = {"evaluator": "table:digits201", "searcher": "random", "storage": str(tmp_path), "num_candidates": 3}
    folder = RunFolder.create(from_mapping({**kept, "scheduler": "MedianStoppingRule"}), "r")
    for given, got in ((None, "None"), (AsyncHyperBandScheduler(), "AsyncHyperBandScheduler")):
        with pytest.raises(
            ConfigurationError, match=f"object of the class MedianStoppingRule, .* got {got}. Give one with the same"
        ):
            resume_search(folder.path, scheduler=given)
    other = RunFolder.create(from_mapping({**kept, "scheduler": "asha"}), "s")
    with pytest.raises(ConfigurationError, match="was started with the scheduler asha, which need not be given again"):
        resume_search(other.path, scheduler=AsyncHyperBandScheduler())


@pytest.fixture(scope="module")
def simulated(storage: Path) -> SearchResult:
    return run_search(
        **{"searcher": "evolution", "evaluator": "table:digits201", "num_candidates": 40, "name": "simulated"},
        **{"storage": storage / "runs", "scheduler": "promotion", "simulated_workers": 4, "tracking": "off", "progress": False},
    )


def test_a_table_with_learning_curves_is_searched_on_a_simulated_clock(simulated: SearchResult) -> None:
    rows = simulated.evaluations.to_pylist()
    assert len(rows) == 40 and {row["fidelity"] for row in rows} <= {1, 2, 3, None}
    early = simulated.summary.early_stopping
    assert early is not None and early.max_fidelity == 4 and early.stopped > 20
    assert early.rungs[0].candidates == 40
    assert sum(rung.seconds for rung in early.rungs) == pytest.approx(sum(row["seconds"] for row in rows))
    assert sum(sum(curve.seconds) for curve in early.curves.values()) == pytest.approx(sum(row["seconds"] for row in rows))


def test_a_run_is_shown_and_replayed_from_another_terminal(simulated: SearchResult, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(simulated.folder)]) == 0
    shown = capsys.readouterr().out
    assert " epochs " in shown and "promotion stopped " in shown
    assert main(["status", str(simulated.folder)]) == 0
    assert f"{simulated.summary.early_stopping.stopped} stopped early" in capsys.readouterr().out  # type: ignore[union-attr]
    assert main(["replay", str(simulated.folder), "--scheduler", "asha", "--scheduler-set", "grace_period=2"]) == 0
    replayed = capsys.readouterr().out
    assert "asha (grace_period 2), 4 workers\nSaved:  " in replayed and "of them end earlier" in replayed


@pytest.mark.slow
def test_searches_with_and_without_a_scheduler_are_compared(storage: Path) -> None:
    settings: dict[str, Any] = {"evaluator": "table:digits201", "num_candidates": 60, "storage": str(storage / "compared")}
    comparison = compare(["random"], 2, "early", schedulers=["none", "asha"], tracking="off", progress=False, **settings)
    found = {outcome.searcher: outcome for outcome in comparison.outcomes}
    assert set(found) == {"random", "random + asha"}
    assert {result.name for result in found["random + asha"].results} == {"random-asha-s0-early", "random-asha-s1-early"}
    whole, stopped = (sum(curve.total for curve in found[name].costs) for name in ("random", "random + asha"))
    assert stopped < 0.8 * whole
    assert "random + asha" in comparison.text()
    again = compare(["random"], 2, "early", schedulers=["none", "asha"], tracking="off", progress=False, **settings)
    assert {each.searcher: each.best() for each in again.outcomes} == {name: each.best() for name, each in found.items()}


@pytest.mark.slow
def test_asha_from_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    small = ["--train", "epochs=4", "--train", "scale={channels: 2, cells_per_stage: 1}", "--tracking", "off"]
    run = ["run", "--searcher", "random", "--dataset", "digits", "--candidates", "6", "--name", "r", *small]
    assert main([*run, "--scheduler", "asha", "--scheduler-set", "grace_period=1", "--quiet"]) == 0
    out = capsys.readouterr().out
    assert " epochs " in out and "asha stopped " in out and "% saved" in out
    found = finished_run("runs/r")
    reached = found.evaluations["fidelity"].to_pylist()
    assert None in reached and any(reached)
    # The best goes on from its state: it costs the epochs of one training, and its score is that of one.
    trained = TrainingEvaluator(found.space, "digits", epochs=4, scale={"channels": 2, "cells_per_stage": 1})
    [again] = trained.evaluate([found.best.architecture])
    assert again.score == found.best.score
    assert main(["export", "runs/r", "--rank", "6", "--retrain", "--quiet"]) == 0
    assert "of 4 epochs |" in Path("runs/r/export/rank-6/README.md").read_text()
    assert main(["replay", "runs/r"]) == 0


@pytest.mark.slow
@pytest.mark.parametrize("scheduler", [pytest.param("asha", marks=pytest.mark.long), "promotion"])
def test_a_search_that_ran_out_of_time_goes_on(scheduler: str, settings: dict[str, Any]) -> None:
    more: dict[str, Any] = {"searcher": "random", "num_candidates": 300, "scheduler": scheduler, "workers": 2}
    more = {**settings, **more, "name": f"late-{scheduler}", "tracking": "off"}
    first = run_search(time_budget=6.0, **more)
    assert first.ending is not None and first.ending.reason == "time"
    whole = run_search(resume=True, **more)
    assert whole.ending is not None and whole.ending.reason == "complete"
    assert len(whole.evaluations) == 300 == len(set(whole.evaluations["key"].to_pylist()))
    early = whole.summary.early_stopping
    assert early is not None and early.stopped > 150
    # No step was paid twice: the events of both sessions together have each of them once.
    assert sum(rung.seconds for rung in early.rungs) <= early.paid + 1e-6
