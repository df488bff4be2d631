"""The experiment of Ray Tune that calls a searcher: its settings, and hooks at its steps and its end.

Tune tells a searcher neither when an experiment ends nor, without a `param_space`, its metric and mode. Both can be read where
the searcher is called from: `ray.tune.run` is then on the stack.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ray import tune
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from archsearch.cluster.placement import Request

if TYPE_CHECKING:
    from ray.tune.execution.tune_controller import TuneController

_CONTROLLER = "ray.tune.execution.tune_controller"
_RUN = "ray.tune.tune", "run"
_DEEPEST = 24  # calls between `ray.tune.run` and a searcher, its wrappers included
STEPS = "training_iteration"
"""Name of the number of reports of a trial in its results, from 1."""


@dataclass(frozen=True)
class RunningExperiment:
    """What a searcher needs to know of the experiment that calls it.

    Args:
        controller: The loop of the experiment.
        metric: `TuneConfig.metric`; None if it was not given.
        mode: `TuneConfig.mode`; None if it was not given.
    """

    controller: TuneController
    metric: str | None
    mode: str | None

    @property
    def num_samples(self) -> int | None:
        """Number of trials after which Tune ends the experiment; None if it does not, or if that is not known yet."""
        search: Any = self.controller.search_alg
        return search.total_samples if 0 < search.total_samples < sys.maxsize else None

    @property
    def scheduler(self) -> TrialScheduler | None:
        """The scheduler if it may stop trials, which the default one does not."""
        found: TrialScheduler = self.controller.scheduler_alg
        return None if type(found) is FIFOScheduler else found

    def follow(self, step: Callable[[Sequence[Trial]], None], end: Callable[[], None]) -> None:
        """Have functions called after each step of the experiment, with its trials, and when it ends, also if it fails."""
        callbacks: Any = self.controller._callbacks
        callbacks._callbacks = [_Follower(step, end), *callbacks._callbacks]  # not into the list of the user


class _Follower(tune.Callback):
    def __init__(self, step: Callable[[Sequence[Trial]], None], end: Callable[[], None]) -> None:
        self._step, self._end = step, end

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        self._step(trials)

    def on_experiment_end(self, trials: list[Any], **info: Any) -> None:
        self._end()


def request_of(trial: Trial) -> Request:
    """Return what a trial reserves, the processes that it may start included."""
    needs: Any = trial.placement_group_factory
    needs = needs.required_resources
    cpus, gpus = (float(needs.get(name, 0.0)) for name in ("CPU", "GPU"))
    return Request("a trial", cpus, gpus, "tune.with_resources", "tune.with_resources")


def running_experiment(searcher: Searcher) -> RunningExperiment | None:
    """Return the experiment that is calling a searcher, or None.

    None is also returned if Tune was given another searcher, which has asked this one, as in a search of the platform. Tune's
    wrappers, such as `ConcurrencyLimiter`, do not count.
    """
    frame, controller = sys._getframe(1), None
    for _ in range(_DEEPEST):
        module = frame.f_globals.get("__name__")
        if module == _CONTROLLER and controller is None:
            controller = frame.f_locals.get("self")
            if controller is None or _innermost(controller.search_alg) is not searcher:
                return None
        elif (module, frame.f_code.co_name) == _RUN:
            return None if controller is None else RunningExperiment(controller, frame.f_locals["metric"], frame.f_locals["mode"])
        if frame.f_back is None:
            break
        frame = frame.f_back
    return None


def _innermost(search: Any) -> Any:
    """Return the searcher in Tune's wrappers, each of which has the attribute `searcher`."""
    while hasattr(search, "searcher"):
        search = search.searcher
    return search


def steps_if_stopped(scheduler: TrialScheduler | None, result: Mapping[str, Any], last: int) -> int | None:
    """Return the number of reports after which a scheduler has stopped a trial, or None if the trial had ended.

    Args:
        scheduler: The scheduler, None if it stops no trial.
        result: The last report of the trial, flat.
        last: Number of reports that the searcher was shown as they came. Tune does not show it the one at which a scheduler stops
            the trial; a function that returns has its last report repeated.
    """
    steps = result.get(STEPS)
    if scheduler is None or type(steps) is not int or steps <= last:
        return None
    # At the scheduler's last step, `max_t` of ASHA, candidates are complete.
    reached = result.get(getattr(scheduler, "_time_attr", STEPS), steps)
    return None if reached >= getattr(scheduler, "_max_t", math.inf) else steps
