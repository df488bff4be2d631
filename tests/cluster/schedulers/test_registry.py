"""Schedulers by name, by class and as objects: what is taken, set right, and refused."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from ray.tune.schedulers import (
    ASHAScheduler,
    HyperBandForBOHB,
    HyperBandScheduler,
    MedianStoppingRule,
    PopulationBasedTraining,
    ResourceChangingScheduler,
    TrialScheduler,
)

from archsearch.cluster.schedulers import registry
from archsearch.cluster.schedulers.offline import ScheduledTrials
from archsearch.errors import ConfigurationError


@pytest.mark.parametrize("name", registry.names())
@pytest.mark.parametrize("max_fidelity", [1, 2, 12, 40])
def test_each_decides_about_a_search(name: str, max_fidelity: int) -> None:
    scheduler = registry.get(name, max_fidelity=max_fidelity)
    assert registry.describe(name).description.endswith(".") and scheduler.metric == "score"
    trials, complete = ScheduledTrials(scheduler), set[int]()
    running: dict[int, int] = {}
    reached: dict[int, int] = {}
    while True:
        while len(running) < 3:
            trials.no_more = len(reached) == 20
            number = trials.runnable(new=not trials.no_more)
            if number is None:
                if trials.no_more:
                    break
                number = len(reached)
                trials.add(number)
                reached[number] = 0
            else:
                trials.resume(number)
            running[number] = reached[number]
        if not running:
            break
        number = next(iter(running))
        reached[number] += 1
        last = reached[number] == max_fidelity
        decision = trials.result(number, reached[number], 7 * number % 20 - 0.5 ** reached[number], last=last)
        if decision.action != "CONTINUE":
            del running[number]
            complete |= {number} if last else set()
    assert len(reached) == 20 and not trials.paused()
    assert complete and (17 in complete or name == "hyperband")  # the best; a bracket of HyperBand compares among its own
    if max_fidelity >= 12 and name != "hyperband":
        assert sum(reached.values()) < 20 * max_fidelity


def test_options_reach_the_scheduler() -> None:
    asha: Any = registry.get("asha", {"grace_period": 2, "reduction_factor": 4}, max_fidelity=32)
    assert [rung for rung, _ in asha._brackets[0]._rungs] == [32, 8, 2]
    median: Any = registry.get("median", {"grace_period": 3, "min_samples_required": 7}, max_fidelity=32)
    assert (median._grace_period, median._min_samples_required, median._time_attr) == (3, 7, "fidelity")


@pytest.mark.parametrize(
    ("given", "options", "words"),
    [
        ("asah", {}, "expected one of asha, .* got 'asah'. Did you mean 'asha'?"),
        ("async_hyperband", {}, "Did you mean 'asha'?"),
        ("fifo", {}, "every candidate is trained to the end: leave it out"),
        ("pbt", {}, "PopulationBasedTraining cannot be used: it changes the settings of trials"),
        ("PB2", {}, "PB2 cannot be used"),
        ("asha", {"grace": 3}, "no setting 'grace'. Did you mean 'grace_period'. Settings: grace_period, reduction_factor"),
        ("hyperband", {"grace_period": 3}, "no setting 'grace_period'. .*Settings: reduction_factor"),
        ("asha", {"grace_period": 13}, "expected at most 12, the epochs of a complete evaluation; got 13"),
        (
            "promotion",
            {"grace_period": 0},
            "scheduler_options: grace_period: expected a whole number of at least 1, or None; got 0",
        ),
        ("promotion", {"grace_period": 1.5}, "scheduler_options: grace_period: expected a whole number"),
        ("asha", {"reduction_factor": 1}, "scheduler_options: reduction_factor: expected a number above 1; got 1"),
        ("asha", {"reduction_factor": True}, "scheduler_options: reduction_factor: expected a number above 1; got True"),
        (3, {}, "expected one of asha, .*; got 3, of the type int"),
        (None, {}, "expected one of asha, .*; got None"),
        (ASHAScheduler, {}, "got the class AsyncHyperBandScheduler: give an instance"),
        (ASHAScheduler(metric="loss", mode="min"), {}, "compares metric='loss', mode='min', but candidates report .*'score'"),
        (ASHAScheduler(metric="score", mode="min"), {}, "Leave metric and mode out"),
        (ASHAScheduler(time_attr="time_total_s"), {}, "measures time by time_attr='time_total_s'"),
        (MedianStoppingRule(), {}, "Give time_attr='fidelity' and periods in epochs"),
        (MedianStoppingRule("fidelity", grace_period=60), {}, "grace_period: expected at most 12, .* got 60"),
        (ASHAScheduler(grace_period=20), {}, "grace_period: expected at most 12, .* got 20"),
        (ASHAScheduler(max_t=10), {}, "stops every candidate at 10 epochs, before the 12 of a complete evaluation"),
        (ASHAScheduler(max_t=12), {"grace_period": 1}, "is made already; give grace_period to its class"),
        (HyperBandForBOHB(), {}, "HyperBandForBOHB cannot be used: it works with Tune's searcher TuneBOHB alone"),
        (PopulationBasedTraining(hyperparam_mutations={"a": [1, 2]}), {}, "PopulationBasedTraining cannot be used"),
        (ResourceChangingScheduler(), {}, "ResourceChangingScheduler cannot be used"),
        (
            "ray.tune:Tuner",
            {},
            "expected a class derived from ray.tune.schedulers.TrialScheduler; ray.tune:Tuner is the class Tuner",
        ),
        ("ray.tune.schedulers:ASHAScheduler", {"grace": 1}, "has no option 'grace'; it takes grace_period"),
        ("ray.tune.schedulers:ASHAScheduler", {"grace_period": 0}, "cannot be made from .* grace_period must be positive"),
        ("ray.tune.schedulers:create_scheduler", {}, "got the function create_scheduler"),
        ("nowhere:Mine", {}, "scheduler: cannot import the module 'nowhere'"),
    ],
)
def test_what_cannot_be_used(given: Any, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as raised:
        registry.get(given, options, max_fidelity=12)
    assert "\n" not in str(raised.value)


def test_an_object_gets_metric_and_mode_and_is_copied(caplog: pytest.LogCaptureFixture) -> None:
    given: Any = ASHAScheduler(max_t=12)
    made: Any = registry.get(given, max_fidelity=12)
    assert (made._metric, made._mode, given._metric, given._mode) == ("score", "max", None, None)
    assert made._brackets[0] is not given._brackets[0] and not caplog.records
    with caplog.at_level(logging.WARNING):
        registry.get(ASHAScheduler(), max_fidelity=12)
    assert "expects 100 epochs, but evaluations have 12" in caplog.text


def test_hyperband_trains_its_best_to_the_end(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        made: Any = registry.get(HyperBandScheduler(max_t=12), max_fidelity=12)
    assert not made._stop_last_trials and "are trained to the end" in caplog.text


def test_a_class_of_the_user_by_its_name() -> None:
    made: Any = registry.get("ray.tune.schedulers:ASHAScheduler", {"max_t": 12, "grace_period": 2}, max_fidelity=12)
    assert (made._metric, made._mode, made._time_attr, made._max_t) == ("score", "max", "fidelity", 12)


def test_a_scheduler_that_refuses_the_metric() -> None:
    class Deaf(TrialScheduler):
        def set_search_properties(self, metric: Any, mode: Any, **spec: Any) -> bool:
            return False

    with pytest.raises(ConfigurationError, match="Deaf refuses metric='score'"):
        registry.get(Deaf(), max_fidelity=12)
