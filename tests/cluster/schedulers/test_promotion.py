"""Promotion: pauses at rungs, promotes the best, and leaves none behind at the end, offline and in Ray Tune."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ray import tune

from archsearch.cluster.schedulers.offline import Decision, ScheduledTrials
from archsearch.cluster.schedulers.promotion import Promotion
from archsearch.errors import ConfigurationError


def started(scores: list[float], **settings: Any) -> tuple[ScheduledTrials, list[Decision]]:
    """Return trials that have come to the first rung one after the other, and the decisions."""
    trials = ScheduledTrials(Promotion(**{"max_fidelity": 9, **settings}))
    decisions = []
    for number, score in enumerate(scores):
        trials.add(number)
        decisions.append(trials.result(number, 1, score))
    return trials, decisions


def test_a_trial_goes_on_at_once_only_if_it_is_among_the_best_of_its_rung() -> None:
    _, decisions = started([0.5, 0.4, 0.6, 0.3, 0.2, 0.7])
    assert [decision.action for decision in decisions] == ["PAUSE", "PAUSE", "CONTINUE", "PAUSE", "PAUSE", "CONTINUE"]
    assert decisions[3].reason == "4th of 4 at 1 epoch; the best goes on"
    assert decisions[5].reason == "1st of 6 at 1 epoch; the best 2 go on"


def test_promotion_is_by_the_highest_rung_first_and_each_trial_goes_on_once() -> None:
    trials, _ = started([0.5, 0.9, 0.6, 0.3, 0.2, 0.8])
    for number, score in ((6, 0.7), (7, 0.1), (8, 0.0)):
        trials.add(number)
        trials.result(number, 1, score)
    assert trials.runnable(new=True) == 1
    assert trials.runnable(new=True) == 1  # until it runs
    for promoted in (1, 5, 6):
        assert trials.runnable(new=True) == promoted
        trials.resume(promoted)
    assert trials.runnable(new=True) is None  # the best three of nine have gone on: a new one starts
    assert trials.result(1, 3, 0.91).action == "PAUSE"
    assert trials.result(5, 3, 0.92).action == "PAUSE"
    assert trials.result(6, 3, 0.90).action == "PAUSE"
    assert trials.runnable(new=True) == 5
    assert trials.reason(5) == "1st of 3 at 3 epochs; the best goes on"


def test_equal_scores_go_on_in_the_order_of_arrival() -> None:
    trials, decisions = started([0.5] * 3)
    assert [decision.action for decision in decisions] == ["PAUSE"] * 3
    assert trials.runnable(new=True) == 0


def test_at_the_end_one_trial_is_complete_and_the_others_are_stopped() -> None:
    trials, decisions = started([0.5, 0.6])
    assert {decision.action for decision in decisions} == {"PAUSE"}
    trials.no_more = True
    assert trials.runnable() == 1 and trials.stopped() == []
    assert trials.reason(1) == "1st of 2 at 1 epoch; goes on, as no candidate is complete yet"
    trials.resume(1)
    assert trials.runnable() is None and trials.stopped() == []  # it runs
    assert trials.result(1, 3, 0.7).action == "PAUSE"
    assert trials.runnable() == 1
    trials.resume(1)
    assert trials.result(1, 9, 0.8, last=True) == Decision("STOP", "complete after 9 epochs")
    assert trials.runnable() is None
    assert trials.stopped() == [0] and trials.stopped() == []
    assert trials.reason(0) == "2nd of 2 at 1 epoch; none goes on yet; the search has ended"
    assert trials.paused() == []


def test_a_searcher_that_waits_for_paused_trials_does_not_stop_the_search() -> None:
    trials, _ = started([0.5, 0.6])
    assert trials.runnable(new=False) == 1
    assert trials.reason(1) == "1st of 2 at 1 epoch; goes on, as nothing else could run"


def test_a_failed_trial_leaves_its_place_to_the_next() -> None:
    trials, _ = started([0.5, 0.9, 0.6, 0.3, 0.2, 0.8])
    assert trials.runnable(new=True) == 1
    trials.ended(1)
    assert trials.runnable(new=True) == 5
    trials.resume(5)
    assert trials.runnable(new=True) is None  # two of six: 1, which has failed, and 5


def test_a_trial_that_starts_again_from_nothing_does_not_come_to_its_rung_twice() -> None:
    trials, _ = started([0.5, 0.4, 0.6])
    trials.add(2)
    assert trials.result(2, 1, 0.6).action == "CONTINUE"
    assert trials.result(2, 3, 0.7).action == "PAUSE"


@pytest.mark.parametrize("seed", range(3))
def test_against_a_sequential_twin(seed: int) -> None:
    """One worker: the decisions are those of algorithm 2 of Li et al., written as `get_job` is there."""
    rng = np.random.default_rng(seed)
    quality = rng.uniform(size=60)
    curves = {rung: quality + rng.normal(0.0, 0.5 / rung, size=60) for rung in (1, 3, 9, 27)}

    def twin() -> list[tuple[int, int]]:
        rungs: dict[int, dict[int, float]] = {1: {}, 3: {}, 9: {}, 27: {}}
        promoted: dict[int, set[int]] = {rung: set() for rung in rungs}
        jobs: list[tuple[int, int]] = []
        while True:
            job = None
            for rung in (9, 3, 1):
                best = sorted(rungs[rung], key=lambda each: -rungs[rung][each])[: len(rungs[rung]) // 3]
                if able := [each for each in best if each not in promoted[rung]]:
                    promoted[rung].add(able[0])
                    job = (able[0], 3 * rung)
                    break
            if job is None:
                if len(rungs[1]) == 60:
                    return jobs
                job = (len(rungs[1]), 1)
            jobs.append(job)
            rungs[job[1]][job[0]] = float(curves[job[1]][job[0]])

    def ours() -> list[tuple[int, int]]:
        trials = ScheduledTrials(Promotion(27))
        jobs, started, reached = list[tuple[int, int]](), 0, dict[int, int]()
        number: int | None = None
        while True:
            if number is None:
                trials.no_more = started == 60
                number = trials.runnable(new=started < 60)
                if number is not None:
                    trials.resume(number)
                elif started == 60:
                    return jobs
                else:
                    number, started = started, started + 1
                    trials.add(number)
            reached[number] = fidelity = 3 * reached[number] if number in reached else 1
            jobs.append((number, fidelity))
            decision = trials.result(number, fidelity, float(curves[fidelity][number]), last=fidelity == 27)
            number = number if decision.action == "CONTINUE" else None

    assert ours() == twin()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"grace_period": 10}, "grace_period: expected at most 9"),
        ({"grace_period": 0}, "grace_period: expected a whole number of at least 1"),
        ({"reduction_factor": 1}, "reduction_factor: expected a number above 1; got 1"),
        ({"reduction_factor": float("nan")}, "reduction_factor: expected a number above 1; got nan"),
        ({"mode": "best"}, "mode: expected max, min or None; got 'best'"),
    ],
)
def test_bad_arguments(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        Promotion(**{"max_fidelity": 9, **settings})


class Curve(tune.Trainable):
    """Trains to a loss that falls with the number of steps."""

    def setup(self, config: dict[str, Any]) -> None:
        self.steps = 0

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.steps = 0
        return True

    def step(self) -> dict[str, Any]:
        self.steps += 1
        return {"loss": self.config["level"] + 1.0 / self.steps, "done": self.steps == 9}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        Path(checkpoint_dir, "steps.json").write_text(json.dumps(self.steps))

    def load_checkpoint(self, checkpoint_dir: str) -> None:  # type: ignore[override]
        self.steps = json.loads(Path(checkpoint_dir, "steps.json").read_text())


@pytest.mark.slow
def test_in_ray_tune(shared_ray: None, tmp_path: Path) -> None:
    scheduler = Promotion(9, metric=None, mode=None, time_attr="training_iteration")
    found = tune.Tuner(
        tune.with_resources(Curve, {"cpu": 1}),
        param_space={"level": tune.grid_search([0.1 * each for each in range(6)])},
        tune_config=tune.TuneConfig(metric="loss", mode="min", scheduler=scheduler, reuse_actors=True),
        run_config=tune.RunConfig(storage_path=str(tmp_path), verbose=0),
    ).fit()
    lengths = {round(10 * result.config["level"]): result.metrics["training_iteration"] for result in found}
    assert not found.errors
    assert lengths[0] == 9  # the best, although it paused: its checkpoint was taken up
    assert sorted(lengths.values()).count(1) >= 3, lengths
    assert {result.metrics["training_iteration"] for result in found} <= {1, 3, 9}
