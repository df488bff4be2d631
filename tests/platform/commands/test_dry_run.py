"""What a search will take: the arithmetic, and that nothing is left behind."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from archsearch import spaces
from archsearch.errors import ConfigurationError, RunError
from archsearch.evaluators import TrainingEvaluator
from archsearch.platform.command_line import main
from archsearch.platform.commands.calibration import Calibration
from archsearch.platform.commands.dry_run import DryRun, Machines, dry_run, expected_share
from archsearch.platform.configuration import SearchConfiguration

pytestmark = pytest.mark.usefixtures("no_ray")


def reckoned(seconds: float = 9.0, **settings: object) -> DryRun:
    configuration = SearchConfiguration(**{"num_candidates": 40, **settings})  # type: ignore[arg-type]
    calibration = Calibration(seconds, [], 2.0, (3, 20))
    return DryRun(configuration, Machines("here", 4, 1), calibration, 2, 40, 1e6, "/data/runs", "off")


def test_time_and_hours_are_those_of_the_workers() -> None:
    plan = reckoned(cpus_per_worker=2.0, gpus_per_worker=0.5)
    assert plan.worker_seconds == pytest.approx(40 * 9 + 40 * 0.05)
    assert plan.seconds == pytest.approx(362 / 2 + 10)
    assert plan.cpu_hours == pytest.approx(2 * 362 / 3600)
    assert plan.gpu_hours == pytest.approx(0.5 * 362 / 3600)
    text = plan.text()
    assert "Expected:  about 3.2 min, 0.20 CPU-hours, 0.05 GPU-hours" in text
    assert "0.11 candidates per second on one worker, 9 s each" in text
    assert "(trainings of 3 epochs, extrapolated to 20)" in text


def test_a_time_budget_is_a_bound() -> None:
    assert reckoned(time_budget=60.0).worker_seconds == 120.0
    assert reckoned(time_budget=60.0).seconds == 70.0
    assert reckoned(time_budget=1e6).worker_seconds == reckoned().worker_seconds


def test_a_scheduler_shortens_the_search() -> None:
    plan = replace(reckoned(scheduler="asha"), share=0.25)
    assert plan.worker_seconds == pytest.approx(40 * 9 * 0.25 + 40 * 0.05)
    assert "Scheduler: asha leaves out about 75 % of the evaluations" in plan.text()


@pytest.mark.parametrize("scheduler", ["asha", "promotion", "median"])
def test_the_share_that_a_scheduler_leaves_is_that_of_a_replay(scheduler: str) -> None:
    evaluator = TrainingEvaluator(spaces.get("nasbench201"), "digits", epochs=27)
    few, many = (
        expected_share(evaluator, SearchConfiguration(scheduler=scheduler, num_candidates=number), workers=2)
        for number in (1, 60)
    )
    assert few == 1.0 and 0.05 < many < 0.6
    later = SearchConfiguration(scheduler=scheduler, num_candidates=60, scheduler_options={"grace_period": 18})
    assert expected_share(evaluator, later, workers=2) > max(many, 18 / 27)


def test_disk_counts_what_is_written() -> None:
    assert reckoned(tracking="off", report=False).disk_bytes == pytest.approx(1e6 + 40 * 8e3)
    more = [reckoned(tracking="off").disk_bytes, reckoned().disk_bytes]
    assert reckoned(tracking="off", report=False).disk_bytes < more[0] < more[1]


@pytest.mark.usefixtures("no_ray")  # a process that is connected stays so
def test_a_cluster_that_does_not_answer_is_told() -> None:
    with pytest.raises(ConfigurationError, match="address: no Ray cluster answers at 127.0.0.1:9"):
        dry_run(SearchConfiguration(evaluator="table:digits201", tracking="off", address="127.0.0.1:9"), seconds=0.01)


@pytest.mark.usefixtures("shared_ray")
def test_a_dry_run_leaves_nothing(tmp_path: Path, table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    plan = dry_run(SearchConfiguration(evaluator=f"table:{table}#valid_accuracy", num_candidates=5000), seconds=0.1)
    assert not list(tmp_path.iterdir())
    assert (plan.workers, plan.calibration.errors) == (1, [])
    assert plan.ledger_bytes > 5000 * 20  # a key alone is longer
    assert str(tmp_path / "runs") in plan.text()
    assert f"sqlite:///{tmp_path}/runs/mlflow.db" in plan.text()


@pytest.mark.usefixtures("shared_ray")
def test_workers_and_actors_are_those_of_the_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    settings = {"evaluator": "table:digits201", "tracking": "off", "workers": 2, "searcher": "gp", "num_candidates": 20}
    plan = dry_run(SearchConfiguration(**settings), seconds=0.01)  # type: ignore[arg-type]
    assert plan.workers == 1  # the actor of the surrogate takes one of the two CPUs
    assert "Workers:   1, each with 1 CPU" in plan.text()
    assert "; beside them 1 process of the searcher with 1 CPUs" in plan.text()
    assert dry_run(SearchConfiguration(**{**settings, "searcher": "random"}), seconds=0.01).workers == 2  # type: ignore[arg-type]


def test_a_name_that_is_taken_is_refused_as_in_the_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "first").mkdir(parents=True)
    with pytest.raises(RunError, match="name: .*first exists already, and is no run"):
        dry_run(SearchConfiguration(evaluator="table:digits201", tracking="off", name="first"), seconds=0.01)


@pytest.mark.usefixtures("shared_ray")
@pytest.mark.slow
def test_the_command_prints_the_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert main(["run", "--dry-run", "--table", "digits201", "--tracking", "off", "--candidates", "70"]) == 0
    said = capsys.readouterr().out
    assert "nasbench201 with evolution, 70 candidates by table:digits201, seed 0" in said
    assert said.strip().endswith("Nothing was recorded. Run the same command without --dry-run to search.")
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("shared_ray")
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"storage": "/dev/null/runs"}, "storage: /dev/null/runs is not writable"),
        ({"tracking": "http://127.0.0.1:9"}, "tracking: no MLflow server answers at http://127.0.0.1:9"),
        ({"searcher": "evolutoin"}, "searcher: expected one of"),
        ({"searcher_options": {"population": 3}}, "searcher_options: evolution has no option 'population'"),
        ({"cpus_per_worker": 1e6}, "cpus_per_worker: a trial asks for 1e.06 CPUs, but the only node of the cluster"),
    ],
)
def test_what_cannot_work_is_said_before_it_costs(
    settings: dict[str, object], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ray_is_down: None
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    given = {"evaluator": "table:digits201", "tracking": "off", **settings}
    with pytest.raises(ConfigurationError, match=message):
        dry_run(SearchConfiguration(**given), seconds=0.01)  # type: ignore[arg-type]


@pytest.mark.usefixtures("shared_ray")
@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without GPUs")
def test_gpus_that_are_not_there_are_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(ConfigurationError, match=r"gpus_per_worker: a trial asks for .* 0.5 GPUs, but .* 0 GPUs"):
        dry_run(SearchConfiguration(evaluator="table:digits201", tracking="off", gpus_per_worker=0.5), seconds=0.01)
