"""The fidelities at which a scheduler decides."""

from __future__ import annotations

from typing import Any

from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, HyperBandScheduler, TrialScheduler

from archsearch.cluster.schedulers.promotion import Promotion


def milestones(scheduler: TrialScheduler) -> list[int] | None:
    """Return the fidelities at which a scheduler decides, in order; between them it lets every trial go on.

    They are known for `asha`, `hyperband`, `promotion` and Tune's schedulers of these types; of any other one, such as a class
    derived from them, nothing is known.

    Args:
        scheduler: A scheduler of Ray Tune.

    Returns:
        The fidelities, without that of a complete trial where it is known; None if the scheduler may decide at each step.

    Example:
        >>> from archsearch.cluster.schedulers import registry
        >>> from archsearch.cluster.schedulers.milestones import milestones
        >>> milestones(registry.get("asha", {"grace_period": 4}, max_fidelity=108, fidelity_name="epochs"))
        [4, 12, 36]
    """
    kind: Any = type(scheduler)
    if isinstance(scheduler, Promotion):
        return scheduler.milestones if kind is Promotion else None
    if kind is FIFOScheduler:
        return []
    parts: Any = scheduler
    try:
        if kind is AsyncHyperBandScheduler:
            rungs = [rung for bracket in parts._brackets for rung, _ in bracket._rungs]
            return sorted({_reached(rung) for rung in rungs if rung < parts._max_t})
        if kind is HyperBandScheduler:
            return sorted({rung for bracket in range(parts._s_max_1) for rung in _hyperband_rungs(parts, bracket)})
    except AttributeError:  # another release of Ray
        return None
    return None


def _reached(rung: float) -> int:
    """Return the first whole fidelity at which a rung is reached."""
    return int(rung) if rung == int(rung) else int(rung) + 1


def _hyperband_rungs(scheduler: Any, bracket: int) -> list[int]:
    """Return the fidelities at which one of HyperBand's brackets halves, as `_Bracket.successive_halving` computes them."""
    rungs, rung = [], scheduler._get_r0(bracket)
    for _ in range(bracket + scheduler._stop_last_trials):
        if 0 < rung < scheduler._max_t_attr:
            rungs.append(_reached(rung))
        rung = int(min(rung * scheduler._eta, scheduler._max_t_attr))
    return rungs
