"""Searchers in a user's own `tune.Tuner`: a function that reports a score is enough, and nothing waits for ever."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ray import tune
from ray.tune.schedulers import ASHAScheduler
from ray.util import list_named_actors

from archsearch import searchers, spaces
from archsearch.errors import ConfigurationError, RunError
from archsearch.searchers import ArchitectureSearcher, GaussianProcessSearch, RandomSearch

SPACE = spaces.get("nasbench201")
pytestmark = pytest.mark.usefixtures("idle_ray")


@pytest.fixture(autouse=True)
def _few_files(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
    yield


def convolutions(config: dict[str, Any]) -> None:
    tune.report({"score": config["architecture"].count("nor_conv_3x3") / 6})


def fit(function: Any, searcher: Any, folder: Path, param_space: dict[str, Any] | None = None, **settings: Any) -> Any:
    config = tune.TuneConfig(search_alg=searcher, reuse_actors=True, **settings)
    run = tune.RunConfig(storage_path=str(folder), verbose=0)
    return tune.Tuner(function, param_space=param_space, tune_config=config, run_config=run).fit()


def scores(searcher: ArchitectureSearcher) -> list[float]:
    return [row.evaluation.score for row in searcher.history]


def test_a_function_that_reports_a_score_is_enough(tmp_path: Path) -> None:
    searcher = RandomSearch(SPACE)
    results = fit(convolutions, searcher, tmp_path, metric="score", mode="max", num_samples=2, max_concurrent_trials=1)
    assert results.num_terminated == searcher.num_candidates == len(searcher.history) == 2
    assert results.get_best_result().metrics["score"] == max(scores(searcher))
    assert results.get_best_result().config["architecture"] in [str(row.evaluation.architecture) for row in searcher.history]
    assert searcher.workers == 1


def test_fewer_samples_than_candidates_are_refused_before_any_trial(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigurationError, match="num_samples: Tune ends the experiment after 1 trials of 1, and num_candidates is 40"
    ):
        fit(convolutions, RandomSearch(SPACE, num_candidates=40), tmp_path)


@pytest.mark.parametrize("param_space", [{}, {"epochs": 3}])
def test_another_metric_than_the_searchers_is_refused_before_any_trial(param_space: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="mode: the searcher was made with mode='max', and TuneConfig has mode='min'"):
        fit(convolutions, RandomSearch(SPACE, metric="loss", mode="max"), tmp_path, param_space, metric="loss", mode="min")


def test_a_param_space_that_the_searcher_would_not_sample_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unresolved parameters"):
        fit(convolutions, RandomSearch(SPACE), tmp_path, {"lr": tune.uniform(0.0, 1.0)})


@pytest.mark.slow
def test_metric_and_mode_of_tune_are_obeyed(tmp_path: Path) -> None:
    def loss(config: dict[str, Any]) -> None:
        tune.report({"loss": config["architecture"].count("none"), "epochs": config.get("epochs")})

    for param_space in ({}, {"epochs": 3}):
        searcher = RandomSearch(SPACE, num_candidates=4)
        results = fit(loss, searcher, tmp_path, param_space, metric="loss", mode="min", num_samples=-1, max_concurrent_trials=2)
        assert results.num_terminated == 4, "the searcher ends the experiment"
        assert -max(scores(searcher)) == results.get_best_result().metrics["loss"]
        assert results[0].config.get("epochs") == param_space.get("epochs")


@pytest.mark.slow
def test_a_report_without_the_score_ends_the_experiment_with_an_error_that_names_it(tmp_path: Path) -> None:
    def forgetful(config: dict[str, Any]) -> None:
        tune.report({"accuracy": 0.5})

    for searcher in (RandomSearch(SPACE), GaussianProcessSearch(SPACE)):
        with pytest.raises(
            ConfigurationError, match="score: trial .* did not report it, .* it reported accuracy. Call tune.report"
        ):
            fit(forgetful, searcher, tmp_path, num_samples=8)
        assert not list_named_actors(all_namespaces=True), "the pool has ended too"


def test_an_actor_that_no_node_has_room_for_is_refused_before_any_trial(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="gpus: an actor of the pool asks for 0 CPUs and 1 GPU, but the only node"):
        fit(convolutions, GaussianProcessSearch(SPACE, gpus=1.0), tmp_path, num_samples=4)


@pytest.mark.slow
def test_trials_that_would_wait_for_the_actors_for_ever_are_refused(tmp_path: Path) -> None:
    searcher = GaussianProcessSearch(SPACE)
    searcher.open()  # reserves one of the two CPUs
    wide = tune.with_resources(convolutions, {"cpu": 2})
    with pytest.raises(ConfigurationError, match=r"an actor of the pool \(1 CPU\) and a trial \(2 CPUs\) do not fit at once"):
        fit(wide, searcher, tmp_path, num_samples=4)
    assert not list_named_actors(all_namespaces=True)


@pytest.mark.slow
def test_a_batch_may_be_reported(tmp_path: Path) -> None:
    def batch(config: dict[str, Any]) -> None:
        tune.report({"scores": [text.count("nor_conv_3x3") / 6 for text in config["candidates"]]})

    searcher = RandomSearch(SPACE, batch_size=4)
    fit(batch, searcher, tmp_path, num_samples=3)
    assert len(searcher.history) == searcher.num_candidates == 12
    assert all(row.evaluation.ok for row in searcher.history)


@pytest.mark.slow
def test_a_scheduler_of_tune_may_stop_candidates(tmp_path: Path) -> None:
    def course(config: dict[str, Any]) -> None:
        for epoch in range(1, 10):
            tune.report({"score": config["architecture"].count("nor_conv_3x3") / 6 * epoch / 9})

    searcher = searchers.RegularizedEvolution(SPACE, population_size=5, tournament_size=3)
    asha = ASHAScheduler(metric="score", mode="max", max_t=9, reduction_factor=3)
    results = fit(course, searcher, tmp_path, num_samples=12, scheduler=asha, max_concurrent_trials=2)
    told = {str(row.evaluation.architecture): row.evaluation.fidelity for row in searcher.history}
    reports = {result.config["architecture"]: result.metrics["training_iteration"] for result in results}
    assert told == {text: None if reached == 9 else reached for text, reached in reports.items()}
    assert None in told.values() and len(set(told.values())) > 1, "some are stopped, and some are not"
    assert len(searcher.partial_history) > 0


@pytest.mark.slow
def test_a_pool_ends_with_its_experiment_whatever_trials_take(tmp_path: Path) -> None:
    searcher = GaussianProcessSearch(SPACE, stage_size=4)
    fit(convolutions, searcher, tmp_path, num_samples=12)  # one trial a CPU, and both CPUs
    assert searcher.initial == 6, "half of the samples"
    assert searcher.workers == 2, "the CPUs of the cluster"
    assert searcher.figures["surrogate/stages"] >= 1
    assert not list_named_actors(all_namespaces=True)
    wide = tune.with_resources(convolutions, {"cpu": 2})  # no CPU is left beside a trial
    again = GaussianProcessSearch(SPACE, stage_size=4)
    fit(wide, again, tmp_path, num_samples=8)
    assert len(again.history) == 8 and again.figures["surrogate/stages"] >= 1


@pytest.mark.slow
def test_a_state_that_cannot_be_read_does_not_begin_a_new_search(tmp_path: Path) -> None:
    results = fit(convolutions, RandomSearch(SPACE), tmp_path, num_samples=2)
    [state] = Path(results.experiment_path).glob("searcher-state-*")
    state.write_text("half a st")
    with pytest.raises(RunError, match="cannot read a searcher's state"):
        tune.Tuner.restore(results.experiment_path, trainable=convolutions).fit()


ONE_CPU = """
import os, ray
from ray import tune
from archsearch import searchers, spaces

def convolutions(config):
    tune.report({"score": config["architecture"].count("nor_conv_3x3") / 6})

ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
for kind in (searchers.RandomSearch, searchers.GaussianProcessSearch):
    searcher = kind(spaces.get("nasbench201"))
    config = tune.TuneConfig(search_alg=searcher, reuse_actors=True, num_samples=12)
    tune.Tuner(convolutions, tune_config=config, run_config=tune.RunConfig(storage_path=os.path.abspath("runs"), verbose=0)).fit()
    assert len(searcher.history) == 12 and all(row.evaluation.ok for row in searcher.history)
    assert not ray.util.list_named_actors(all_namespaces=True)
assert searcher.figures["surrogate/stages"] >= 1
"""


@pytest.mark.slow
def test_one_cpu_is_enough(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(searchers.__file__).parents[2])}
    subprocess.run([sys.executable, "-c", ONE_CPU], check=True, cwd=tmp_path, env=environment, timeout=300)
