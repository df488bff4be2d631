"""The fidelities at which schedulers decide."""

from __future__ import annotations

import pytest
from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, HyperBandScheduler, MedianStoppingRule, TrialScheduler

from archsearch.cluster.schedulers.milestones import milestones
from archsearch.cluster.schedulers.offline import ScheduledTrials
from archsearch.cluster.schedulers.promotion import Promotion
from archsearch.cluster.schedulers.registry import get


class Own(AsyncHyperBandScheduler):
    """May decide at any step."""


@pytest.mark.parametrize(
    ("scheduler", "expected"),
    [
        (get("asha", max_fidelity=108), [12, 36]),
        (get("asha", {"reduction_factor": 2.5, "grace_period": 2}, max_fidelity=20), [2, 5, 13]),  # 2, 5, 12.5
        (get("promotion", max_fidelity=108), [12, 36]),
        (get("hyperband", max_fidelity=27), [1, 3, 9]),
        (HyperBandScheduler(max_t=12), [1, 3, 4, 9]),  # one of its brackets ends at 9
        (Promotion(5, grace_period=5), []),
        (FIFOScheduler(), []),
        (MedianStoppingRule(), None),
        (Own(), None),
    ],
)
def test_milestones(scheduler: TrialScheduler, expected: list[int] | None) -> None:
    assert milestones(scheduler) == expected


@pytest.mark.parametrize("name", ["asha", "hyperband", "promotion"])
@pytest.mark.parametrize("length", [9, 12, 20])
def test_nothing_is_decided_between_them(name: str, length: int) -> None:
    trials = ScheduledTrials(get(name, {"reduction_factor": 2}, max_fidelity=length))
    between = set(range(1, length)) - set(milestones(trials.scheduler) or ())
    decided, reached = set(), dict.fromkeys(range(40), 0)
    for number in reached:
        trials.add(number)
    running = set(reached)
    while running:
        for number in sorted(running):
            reached[number] += 1
            last = reached[number] == length
            decision = trials.result(number, reached[number], 7.0 * number % 40, last=last)
            if decision.action == "CONTINUE":
                assert bool(decision.reason) == (reached[number] not in between)
                continue
            running.discard(number)
            if not last:
                decided.add(reached[number])
        while (promoted := trials.runnable()) is not None:
            trials.resume(promoted)
            running.add(promoted)
        running -= set(trials.stopped())
    assert decided and not decided & between
