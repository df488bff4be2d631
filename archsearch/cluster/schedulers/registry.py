"""Schedulers by name, and schedulers of Ray Tune as objects, made fit for the evaluations of archsearch."""

from __future__ import annotations

import copy
import inspect
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from ray.tune.schedulers import (
    AsyncHyperBandScheduler,
    HyperBandForBOHB,
    HyperBandScheduler,
    MedianStoppingRule,
    PopulationBasedTraining,
    PopulationBasedTrainingReplay,
    ResourceChangingScheduler,
    TrialScheduler,
)

from archsearch.cluster.schedulers.promotion import Promotion
from archsearch.cluster.schedulers.wording import amount
from archsearch.errors import (
    ConfigurationError,
    check_kind,
    check_whole_number,
    did_you_mean,
    message_in_one_line,
    nearest_first,
    one_line,
    wrong_kind,
)
from archsearch.evaluators.settings import AtLeast, Between, MoreThan, check_settings, with_changes
from archsearch.named_object import named_object

logger = logging.getLogger(__name__)

METRIC, MODE, TIME_ATTR = "score", "max", "fidelity"
"""What all schedulers compare: the score, higher is better, at a fidelity."""
_TIMES = (TIME_ATTR, "training_iteration")  # Tune's own name of the number of steps


@dataclass(frozen=True)
class HalvingOptions:
    """Options of `asha` and `promotion`.

    Args:
        grace_period: Fidelity of the first rung: no candidate is stopped or paused before it. None takes the largest fidelity
            divided by `reduction_factor`^2, rounded, at least 1: a candidate is judged after about a ninth of a training.
        reduction_factor: Ratio of the fidelities of successive rungs; the share of candidates that goes on from each is about its
            inverse.
    """

    grace_period: Annotated[int | None, AtLeast(1)] = None
    reduction_factor: Annotated[float, MoreThan(1)] = 3.0


@dataclass(frozen=True)
class HyperBandOptions:
    """Options of `hyperband`.

    Args:
        reduction_factor: Ratio of the fidelities of successive rungs of a bracket; the share of candidates that goes on from each
            is its inverse.
    """

    reduction_factor: Annotated[float, MoreThan(1)] = 3.0


@dataclass(frozen=True)
class MedianOptions:
    """Options of `median`.

    Args:
        grace_period: Fidelity before which no candidate is stopped. None takes a ninth of the largest one, at least 1.
        min_samples_required: Number of other candidates that must have come as far.
    """

    grace_period: Annotated[int | None, AtLeast(1)] = None
    min_samples_required: Annotated[int, Between(1, 1_000_000)] = 3


@dataclass(frozen=True)
class SchedulerRecord:
    """What is known of a scheduler that has a name.

    Args:
        name: The name.
        description: What it does, in a sentence or two.
        options: Dataclass of its options.
        pauses: Whether it pauses candidates, so that their checkpoints are needed.
        make: Makes one from options, the largest fidelity and the name of fidelities.
    """

    name: str
    description: str
    options: type[Any]
    pauses: bool
    make: Callable[[Any, int, str], TrialScheduler]


def _halving(options: HalvingOptions, max_fidelity: int) -> dict[str, Any]:
    grace = options.grace_period
    if grace is None:
        grace = max(1, round(max_fidelity / options.reduction_factor**2))
    return {"grace_period": grace, "reduction_factor": options.reduction_factor}


def _asha(options: HalvingOptions, max_fidelity: int, fidelity_name: str) -> TrialScheduler:
    return AsyncHyperBandScheduler(TIME_ATTR, METRIC, MODE, max_t=max_fidelity, **_halving(options, max_fidelity))


def _promotion(options: HalvingOptions, max_fidelity: int, fidelity_name: str) -> TrialScheduler:
    return Promotion(max_fidelity, **_halving(options, max_fidelity), fidelity_name=fidelity_name)


def _hyperband(options: HyperBandOptions, max_fidelity: int, fidelity_name: str) -> TrialScheduler:
    # Of 12 epochs, a bracket's rungs are 1, 3 and 9: with stop_last_trials=True its best candidates would be stopped at 9.
    return HyperBandScheduler(
        TIME_ATTR, METRIC, MODE, max_t=max_fidelity, reduction_factor=options.reduction_factor, stop_last_trials=False
    )


def _median(options: MedianOptions, max_fidelity: int, fidelity_name: str) -> TrialScheduler:
    grace = max(1, round(max_fidelity / 9)) if options.grace_period is None else options.grace_period
    return MedianStoppingRule(
        TIME_ATTR, METRIC, MODE, grace_period=grace, min_samples_required=options.min_samples_required, hard_stop=True
    )


_RECORDS = {
    record.name: record
    for record in (
        SchedulerRecord(
            "asha",
            "Tune's asynchronous successive halving: at each rung, a candidate is stopped at once unless it is among the best "
            "1/reduction_factor of those that came there before it.",
            HalvingOptions,
            False,
            _asha,
        ),
        SchedulerRecord(
            "hyperband",
            "Tune's HyperBand: brackets of candidates with different first rungs; at each rung the whole bracket pauses, and its "
            "best 1/reduction_factor go on.",
            HyperBandOptions,
            True,
            _hyperband,
        ),
        SchedulerRecord(
            "median",
            "Tune's median stopping rule: a candidate is stopped if its best score is below the median of the mean scores of the "
            "others up to the same fidelity.",
            MedianOptions,
            False,
            _median,
        ),
        SchedulerRecord(
            "promotion",
            "Asynchronous successive halving with promotions: all candidates pause at each rung, and a free worker goes on with "
            "the best one that is among the best 1/reduction_factor of its rung, from its checkpoint; no training is wasted.",
            HalvingOptions,
            True,
            _promotion,
        ),
    )
}

_CHANGES = "it changes the settings of trials while they train, and a candidate here is one architecture"
_REFUSED: Mapping[str, tuple[tuple[str, ...], str]] = {
    "PopulationBasedTraining": (("pbt",), _CHANGES),
    "PopulationBasedTrainingReplay": (("pbt_replay",), _CHANGES),
    "PB2": (("pb2",), _CHANGES),
    "ResourceChangingScheduler": (
        ("resource_changing",),
        "it changes the resources of trials while they train, which a training here cannot follow",
    ),
    "HyperBandForBOHB": (("hb_bohb", "bohb"), "it works with Tune's searcher TuneBOHB alone; take hyperband"),
}
_SYNONYMS = {
    "async_hyperband": "asha",
    "asynchyperband": "asha",
    "ashascheduler": "asha",
    "asynchyperbandscheduler": "asha",
    "hyperbandscheduler": "hyperband",
    "median_stopping_rule": "median",
    "medianstopping": "median",
    "medianstoppingrule": "median",
    "successive_halving": "promotion",
}
_FORMS = "module:Class, or a scheduler of ray.tune.schedulers"


def names() -> list[str]:
    """Return the names that `get` knows."""
    return sorted(_RECORDS)


def describe(name: str) -> SchedulerRecord:
    """Return what is known of the scheduler called `name`.

    Raises:
        ConfigurationError: No scheduler has this name.

    Example:
        >>> from archsearch.cluster.schedulers import registry
        >>> registry.describe("promotion").pauses
        True
    """
    check_kind("scheduler", name, str, f"one of {', '.join(names())}")
    if name not in _RECORDS:
        raise _unknown(name)
    return _RECORDS[name]


def get(
    scheduler: str | TrialScheduler,
    options: Mapping[str, Any] | None = None,
    *,
    max_fidelity: int,
    fidelity_name: str = "epochs",
) -> TrialScheduler:
    """Return a new scheduler, which compares `score`, higher is better, at `fidelity`.

    Args:
        scheduler: One of `names()`; `module:Class`; or a scheduler of Ray Tune, which is copied. Where it has no metric and mode,
            it gets these.
        options: Options of a scheduler that is given by name, such as `{"grace_period": 4}`.
        max_fidelity: Fidelity of a complete evaluation.
        fidelity_name: What the fidelity counts, in the plural.

    Raises:
        ConfigurationError: There is no such scheduler, an option is unknown or out of range, or the object compares something
            else, or changes trials while they train.

    Example:
        >>> from archsearch.cluster.schedulers import registry
        >>> registry.get("asha", {"grace_period": 2}, max_fidelity=12, fidelity_name="epochs").metric
        'score'
    """
    check_whole_number("max_fidelity", max_fidelity)
    given = dict(options or {})
    if isinstance(scheduler, str) and ":" not in scheduler:
        return _named(describe(scheduler), given, max_fidelity, fidelity_name)
    if isinstance(scheduler, str):
        found = named_object("scheduler", scheduler, "a scheduler class")
        made = _of_class(scheduler, found, given) if isinstance(found, type) else _object(scheduler, found, given)
    else:
        made = _object("scheduler", scheduler, given)
    _check_refused(made)
    _settle(made, max_fidelity, fidelity_name)
    return made


def _named(record: SchedulerRecord, given: dict[str, Any], max_fidelity: int, fidelity_name: str) -> TrialScheduler:
    options = with_changes(record.options(), f"scheduler_options: {record.name}", given)
    try:
        check_settings(options)
    except ConfigurationError as error:
        raise ConfigurationError(f"scheduler_options: {error}") from error
    grace = getattr(options, "grace_period", None)
    if grace is not None and grace > max_fidelity:
        raise _late(grace, max_fidelity, fidelity_name)
    return record.make(options, max_fidelity, fidelity_name)


def _late(grace: float, max_fidelity: int, fidelity_name: str) -> ConfigurationError:
    return ConfigurationError(
        f"scheduler_options: grace_period: expected at most {max_fidelity}, the {fidelity_name} of a complete evaluation; got "
        f"{grace:g}: no candidate would ever be stopped."
    )


def _of_class(name: str, kind: type[Any], given: dict[str, Any]) -> TrialScheduler:
    """Return a scheduler of a user's class."""
    if not issubclass(kind, TrialScheduler):
        raise ConfigurationError(
            f"scheduler: expected a class derived from ray.tune.schedulers.TrialScheduler; {name} is the class {kind.__name__}."
        )
    parameters = inspect.signature(kind).parameters
    if not any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters.values()):
        for option in given:
            if option not in parameters:
                known = nearest_first(option, parameters)
                raise ConfigurationError(
                    f"scheduler_options: {name} has no option {option!r}; it takes {', '.join(known) or 'none'}."
                    f"{did_you_mean(option, known)}"
                )
    fixed = {"metric": METRIC, "mode": MODE, "time_attr": TIME_ATTR}
    settings = {option: value for option, value in fixed.items() if option in parameters} | given
    try:
        made: TrialScheduler = kind(**settings)
    except Exception as error:  # the constructor of a user's class may raise anything
        raise ConfigurationError(
            f"scheduler: {name} cannot be made from scheduler_options={given} ({type(error).__name__}: "
            f"{message_in_one_line(error, 200)})."
        ) from error
    return made


def _object(name: str, scheduler: Any, given: dict[str, Any]) -> TrialScheduler:
    if not isinstance(scheduler, TrialScheduler):
        raise ConfigurationError(wrong_kind("scheduler", f"one of {', '.join(names())}, {_FORMS}", scheduler))
    if given:
        raise ConfigurationError(
            f"scheduler_options: the scheduler {type(scheduler).__name__} is made already; give {', '.join(given)} to its class."
        )
    try:
        return copy.deepcopy(scheduler)  # two searches with one object do not disturb each other
    except Exception as error:
        raise ConfigurationError(
            f"scheduler: {type(scheduler).__name__} cannot be copied ({type(error).__name__}: "
            f"{message_in_one_line(error, 200)}); give a name, or module:Class."
        ) from error


def _check_refused(scheduler: TrialScheduler) -> None:
    kinds = (PopulationBasedTraining, PopulationBasedTrainingReplay, ResourceChangingScheduler, HyperBandForBOHB)
    if isinstance(scheduler, kinds):
        name = next(each.__name__ for each in type(scheduler).__mro__ if each.__name__ in _REFUSED)
        raise _refused(name)


def _refused(name: str) -> ConfigurationError:
    return ConfigurationError(
        f"scheduler: {name} cannot be used: {_REFUSED[name][1]}. Choose one of {', '.join(names())}, or another scheduler of "
        "ray.tune.schedulers that stops or pauses trials."
    )


def _settle(scheduler: Any, max_fidelity: int, fidelity_name: str) -> None:
    """Give an object metric and mode where it has none; refuse one that compares something else."""
    kind = type(scheduler).__name__
    metric, mode, time = (getattr(scheduler, name, None) for name in ("_metric", "_mode", "_time_attr"))
    if metric not in (None, METRIC) or mode not in (None, MODE):
        raise ConfigurationError(
            f"scheduler: {kind} compares metric={metric!r}, mode={mode!r}, but candidates report the metric {METRIC!r}, of which "
            f"higher is better ({MODE!r}). Leave metric and mode out."
        )
    if time is not None and time not in _TIMES:
        raise ConfigurationError(
            f"scheduler: {kind} measures time by time_attr={time!r}, but decisions must not depend on how fast a machine is, and "
            f"candidates report {TIME_ATTR!r}, in {fidelity_name}. Give time_attr={TIME_ATTR!r} and periods in {fidelity_name}."
        )
    grace = getattr(scheduler, "_grace_period", None)
    if isinstance(scheduler, AsyncHyperBandScheduler) and (brackets := getattr(scheduler, "_brackets", None)):
        grace = min((rung for bracket in brackets for rung, _ in bracket._rungs), default=None)
    if isinstance(grace, int | float) and grace > max_fidelity:
        raise _late(grace, max_fidelity, fidelity_name)
    end = next((each for name in ("_max_t", "_max_t_attr", "max_fidelity") if (each := getattr(scheduler, name, None))), None)
    if isinstance(end, int | float) and end < max_fidelity and getattr(scheduler, "_stop_last_trials", True):
        raise ConfigurationError(
            f"scheduler: {kind} stops every candidate at {amount(end, fidelity_name)}, before the {max_fidelity} of a complete "
            f"evaluation. Give max_t={max_fidelity}."
        )
    if isinstance(end, int | float) and end > max_fidelity:
        logger.warning(
            "scheduler: %s expects %g %s, but evaluations have %d: its rungs beyond are never reached; max_t=%d places them all",
            *(kind, end, fidelity_name, max_fidelity, max_fidelity),
        )
    if isinstance(scheduler, HyperBandScheduler) and getattr(scheduler, "_stop_last_trials", False):
        scheduler._stop_last_trials = False
        logger.warning("scheduler: candidates that pass the last rung of a bracket of %s are trained to the end", kind)
    missing_metric, missing_mode = METRIC if metric is None else None, MODE if mode is None else None
    if (missing_metric or missing_mode) and not scheduler.set_search_properties(missing_metric, missing_mode):
        raise ConfigurationError(
            f"scheduler: {kind} refuses metric={METRIC!r}, mode={MODE!r}; its set_search_properties must return True."
        )


def _unknown(name: str) -> ConfigurationError:
    plain = name.lower().strip()
    for refused, (aliases, _) in _REFUSED.items():
        if plain in (*aliases, refused.lower()):
            return _refused(refused)
    if plain in ("fifo", "fifoscheduler", "none", ""):
        return ConfigurationError("scheduler: without one, every candidate is trained to the end: leave it out.")
    known = nearest_first(plain, names())
    hint = f" Did you mean {_SYNONYMS[plain]!r}?" if plain in _SYNONYMS else did_you_mean(plain, known)
    return ConfigurationError(f"scheduler: expected one of {', '.join(known)}, or {_FORMS}; got {one_line(name)}.{hint}")
