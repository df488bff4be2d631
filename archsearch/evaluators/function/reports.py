"""Reports of a training function on one candidate: a score after each step, with metrics."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from archsearch.errors import ConfigurationError
from archsearch.evaluators.plain_number import plain_number, shown
from archsearch.evaluators.stepwise import STEP_SCORES, STEP_SECONDS


class InvalidReport(Exception):
    """A report that cannot be used; the candidate fails with this reason."""


@dataclass
class Reports:
    """The reports of a candidate, those before a saved state included.

    Args:
        limit: Largest step that may be reported; None is no limit.
        steps: The steps that were reported, increasing.
        scores: The score at each.
        metrics: The metrics at each.
        seconds: Duration of each step.
    """

    limit: int | None = None
    steps: list[int] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    metrics: list[dict[str, float]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    _last: int = field(default=0, repr=False)

    def restart(self) -> None:
        """Begin with the steps of a function that is called again; those that were reported before are not added twice."""
        self._last = 0

    def take(self, step: Any, score: Any, metrics: Mapping[str, Any]) -> bool:
        """Add a report; return False if its step was reported before the function was called again.

        Raises:
            InvalidReport: The step is not above the last one or beyond the limit, or a figure is no number.
        """
        number, value = self._step(step), plain_number(score)
        if value is None or not math.isfinite(value):
            raise InvalidReport(f"report: expected a finite number as the score of step {number}; got {shown(score)}")
        figures = {name: plain_number(given) for name, given in metrics.items()}
        if wrong := [name for name, figure in figures.items() if figure is None]:
            raise InvalidReport(f"report: expected a number as {wrong[0]!r} of step {number}; got {shown(metrics[wrong[0]])}")
        self._last = number
        if self.steps and number <= self.steps[-1]:
            return False
        self.steps.append(number)
        self.scores.append(value)
        self.metrics.append({name: figure for name, figure in figures.items() if figure is not None})
        return True

    def _step(self, step: Any) -> int:
        if isinstance(step, bool) or not isinstance(step, numbers.Integral):
            raise InvalidReport(f"report: expected a whole number as the step; got {shown(step)}")
        number = int(step)
        if number < 1:
            raise InvalidReport(f"report: expected steps from 1 on; got {number}. Write report(epoch + 1, ...)")
        if number <= self._last:
            raise InvalidReport(f"report: expected a step above {self._last}, the last one; got {number}")
        if self.limit is not None and number > self.limit:
            raise InvalidReport(f"report: expected steps up to {self.limit}, as steps={self.limit} says; got {number}")
        return number

    @property
    def fidelity(self) -> int:
        """The last step that was reported; 0 before the first."""
        return self.steps[-1] if self.steps else 0

    def finish(self, score: float, seconds: float) -> None:
        """Add the last step of a function that has returned, or to its duration if that step was reported.

        Args:
            score: What the function returned.
            seconds: Time since the last report.
        """
        if self.steps and self.limit in (None, self.steps[-1]):
            self.seconds[-1] += seconds
        else:
            self.steps.append(self.fidelity + 1)
            self.scores.append(score)
            self.metrics.append({})
            self.seconds.append(seconds)

    def curves(self, sign: float, name: str) -> dict[str, tuple[float, ...]]:
        """Return the curves of an evaluation: scores, durations, metrics that were always reported, steps if some are missing.

        Args:
            sign: -1 if a lower figure is better, so that scores are the negatives, else 1.
            name: Name of the figure that the function reports, for its own curve.
        """
        curves = {STEP_SCORES: tuple(sign * score for score in self.scores), STEP_SECONDS: tuple(self.seconds)}
        if name != "score":
            curves[name] = tuple(self.scores)
        reported = [set(each) for each in self.metrics if each]
        common = set.intersection(*reported) if reported else set()
        curves |= {metric: tuple(each[metric] for each in self.metrics if each) for metric in sorted(common)}
        if self.steps != list(range(1, len(self.steps) + 1)):
            curves["step"] = tuple(map(float, self.steps))
        return curves

    def state(self) -> dict[str, Any]:
        """Return the reports as plain data."""
        return {"steps": self.steps[:], "scores": self.scores[:], "metrics": self.metrics[:], "seconds": self.seconds[:]}

    def load_state(self, state: Any) -> None:
        """Take over what `state` returned.

        Raises:
            ConfigurationError: It is something else.
        """
        try:
            loaded = Reports(
                self.limit,
                [int(step) for step in state["steps"]],
                [float(score) for score in state["scores"]],
                [{str(name): float(value) for name, value in each.items()} for each in state["metrics"]],
                [float(seconds) for seconds in state["seconds"]],
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ConfigurationError(
                f"state: expected the state of an evaluation by a function; got another ({error})."
            ) from error
        if len({len(loaded.steps), len(loaded.scores), len(loaded.metrics), len(loaded.seconds)}) > 1:
            raise ConfigurationError("state: expected as many steps as scores, metrics and seconds; it is corrupt.")
        self.steps, self.scores, self.metrics, self.seconds = loaded.steps, loaded.scores, loaded.metrics, loaded.seconds
