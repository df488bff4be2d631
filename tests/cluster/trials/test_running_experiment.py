"""A searcher finds the experiment of Tune that calls it, and hears of its steps and its end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ray import tune
from ray.tune.schedulers import ASHAScheduler, MedianStoppingRule, TrialScheduler
from ray.tune.search import ConcurrencyLimiter, Searcher

from archsearch.cluster.trials.running_experiment import RunningExperiment, running_experiment, steps_if_stopped

pytestmark = pytest.mark.usefixtures("shared_ray")


class Asking(Searcher):
    """Looks for its experiment, and proposes nothing."""

    def __init__(self, fails: bool = False) -> None:
        super().__init__()
        self.fails, self.found, self.heard = fails, list[RunningExperiment | None](), list[str]()
        self.settings: tuple[Any, ...] = ()

    def suggest(self, trial_id: str) -> Any:
        experiment = running_experiment(self)
        self.found.append(experiment)
        if experiment is not None:
            experiment.follow(lambda trials: self.heard.append("step"), lambda: self.heard.append("end"))
            self.settings = experiment.metric, experiment.mode, experiment.num_samples, experiment.scheduler
        if self.fails:
            raise ValueError("no proposal")
        return Searcher.FINISHED

    def save(self, checkpoint_path: str) -> None:
        pass


class Outer(Searcher):
    """Asks another searcher, as the platform does."""

    def __init__(self, inner: Asking) -> None:
        super().__init__()
        self.inner = inner

    def suggest(self, trial_id: str) -> Any:
        return self.inner.suggest(trial_id)

    def save(self, checkpoint_path: str) -> None:
        pass


def fit(searcher: Searcher, folder: Path, **settings: Any) -> None:
    config = tune.TuneConfig(search_alg=searcher, **settings)
    tune.Tuner(print, tune_config=config, run_config=tune.RunConfig(storage_path=str(folder), verbose=0)).fit()


def test_settings_are_those_of_the_experiment(tmp_path: Path) -> None:
    asha = ASHAScheduler()
    limited = Asking()
    fit(limited, tmp_path, metric="loss", mode="min", num_samples=7, scheduler=asha, max_concurrent_trials=2)
    assert limited.settings == ("loss", "min", 7, asha)
    assert limited.heard == ["step", "end"]
    alone = Asking()
    fit(alone, tmp_path, num_samples=-1)
    assert alone.settings == (None, None, None, None)
    assert running_experiment(alone) is None, "the experiment is over"


def test_the_end_is_heard_of_when_the_experiment_fails(tmp_path: Path) -> None:
    callbacks: list[tune.Callback] = []
    failing = Asking(fails=True)
    config = tune.RunConfig(storage_path=str(tmp_path), verbose=0, callbacks=callbacks)
    with pytest.raises(ValueError, match="no proposal"):
        tune.Tuner(print, tune_config=tune.TuneConfig(search_alg=ConcurrencyLimiter(failing, 1)), run_config=config).fit()
    assert failing.heard == ["end"]
    assert not any("archsearch" in type(callback).__module__ for callback in callbacks), "the user's list is left alone"


def test_a_searcher_that_another_one_asks_has_no_experiment(tmp_path: Path) -> None:
    inner = Asking()
    fit(Outer(inner), tmp_path)
    assert inner.found == [None]


@pytest.mark.parametrize(
    ("scheduler", "iteration", "last", "expected"),
    [
        (None, 3, 2, None),  # nothing stops trials
        (ASHAScheduler(max_t=9), 3, 2, 3),  # the searcher was not shown the report at which the trial was stopped
        (ASHAScheduler(max_t=9), 3, 3, None),  # the function has returned after it
        (ASHAScheduler(max_t=9), 9, 8, None),  # the scheduler lets no trial go on
        (ASHAScheduler(max_t=60.0, time_attr="time_total_s"), 9, 8, 9),
        (MedianStoppingRule(), 1, 0, 1),
        (MedianStoppingRule(), None, 0, None),
    ],
)
def test_steps_are_told_of_stopped_trials_only(
    scheduler: TrialScheduler | None, iteration: int | None, last: int, expected: int | None
) -> None:
    assert steps_if_stopped(scheduler, {"training_iteration": iteration, "time_total_s": 30.0}, last) == expected
