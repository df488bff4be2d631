"""Evaluations: the score and metrics of one architecture."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from archsearch.evaluators.plain_number import plain_number, shown
from archsearch.spaces import Architecture

_NUMBER = "expected a number, or an array or tensor of one"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Score, metrics and cost of evaluating one architecture.

    Numbers of other libraries (numpy scalars, tensors of one element, decimals) become floats. A score that is no finite number,
    or a metric, duration or curve that is no number, makes the evaluation a failed one whose error names it; nothing is raised,
    so the other evaluations of a batch count.

    Args:
        architecture: The architecture.
        key: Its canonical identity, `space.key(architecture)`.
        score: Higher is better; a fraction 0..1 for accuracies. NaN when the evaluation failed.
        metrics: Further figures by name; NaN where one is not known. Those for which `is_report_only` is True are never shown to
            a searcher.
        seconds: Duration of the evaluation; for a benchmark table the recorded training time.
        error: Reason of a failure; None if the evaluation succeeded.
        curves: Figures by epoch, such as the validation accuracy, or by exit.
        fidelity: Number of epochs, or what the evaluator counts, after which the score was taken, if the evaluator would go on;
            None if the evaluation is complete.

    Example:
        >>> from archsearch import spaces
        >>> from archsearch.evaluators import Evaluation
        >>> space = spaces.get("nasbench201")
        >>> architecture = space.from_genotype([3, 0, 1, 0, 0, 1])
        >>> Evaluation(architecture, space.key(architecture), 0.93, {"params": 1e6}, seconds=12.5).ok
        True
    """

    architecture: Architecture
    key: str
    score: float
    metrics: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    error: str | None = None
    curves: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    fidelity: int | None = None

    def __post_init__(self) -> None:
        if self._is_plain():  # the usual case, for searches of 100,000 look-ups
            object.__setattr__(self, "metrics", dict(self.metrics))  # the evaluator may use its mapping again
            return
        problems: list[str] = []
        score = plain_number(self.score)
        if score is None:
            problems.append(f"score: {_NUMBER}; got {shown(self.score)}")
        elif not math.isfinite(score) and self.error is None:
            problems.append(f"score: expected a finite number; got {score}")
        seconds = plain_number(self.seconds)
        if seconds is None or not 0.0 <= seconds < math.inf:
            problems.append(f"seconds: expected a number of at least 0; got {shown(self.seconds)}")
            seconds = 0.0
        if self.fidelity is not None and (type(self.fidelity) is not int or self.fidelity < 1):
            problems.append(f"fidelity: expected a whole number of steps of at least 1, or None; got {shown(self.fidelity)}")
            object.__setattr__(self, "fidelity", None)
        metrics = _numbers("metrics", self.metrics, problems)
        curves = _curves(self.curves, problems)
        error = self.error if self.error is None or type(self.error) is str else str(self.error)
        if problems and error is None:
            error, score = "; ".join(problems), math.nan
        plain = (math.nan if score is None else score, metrics, seconds, error and _encodable(error), curves)
        for name, value in zip(("score", "metrics", "seconds", "error", "curves"), plain, strict=True):
            object.__setattr__(self, name, value)

    def _is_plain(self) -> bool:
        """Return whether the evaluation is a success of floats alone, without curves."""
        metrics: Any = self.metrics
        curves: Any = self.curves
        return (
            type(self.score) is type(self.seconds) is float
            and math.isfinite(self.score)
            and 0.0 <= self.seconds < math.inf
            and self.error is None
            and self.fidelity is None
            and type(curves) is dict
            and not curves
            and type(metrics) is dict
            and all(type(name) is str and name.isascii() and type(value) is float for name, value in metrics.items())
        )

    @property
    def ok(self) -> bool:
        """Whether the evaluation succeeded with a finite score."""
        return self.error is None and math.isfinite(self.score)

    @property
    def is_partial(self) -> bool:
        """Whether the candidate was scored before its last step."""
        return self.fidelity is not None


def is_report_only(metric: str) -> bool:
    """Return whether a metric is measured on test data (`test_accuracy`, `cifar10_test`): for reports, not for searchers.

    Example:
        >>> from archsearch.evaluators import is_report_only
        >>> is_report_only("cifar10_test"), is_report_only("latency_ms")
        (True, False)
    """
    return "test" in metric.split("_")


def _numbers(what: str, given: Any, problems: list[str]) -> dict[str, float]:
    """Return the numbers by name; add a sentence to `problems` for each other value."""
    if not isinstance(given, Mapping):
        problems.append(f"{what}: expected numbers by name; got {shown(given)}")
        return {}
    numbers: dict[str, float] = {}
    for name, value in given.items():
        number = value if type(value) is float else plain_number(value)
        if not _is_name(name):
            problems.append(f"{what}: expected names that are strings; got {shown(name)}")
        elif number is None:
            problems.append(f"metric {name!r}: {_NUMBER}; got {shown(value)}")
        else:
            numbers[name] = number
    return numbers


def _curves(given: Any, problems: list[str]) -> dict[str, tuple[float, ...]]:
    """Return the curves as tuples of floats; add a sentence to `problems` for each that is none."""
    if not isinstance(given, Mapping):
        problems.append(f"curves: expected sequences of numbers by name; got {shown(given)}")
        return {}
    curves: dict[str, tuple[float, ...]] = {}
    for name, values in given.items():
        numbers = [plain_number(value) for value in _elements(values)]
        if not _is_name(name):
            problems.append(f"curves: expected names that are strings; got {shown(name)}")
        elif None in numbers:
            problems.append(f"curve {name!r}: expected a sequence of numbers; got {shown(values)}")
        else:
            curves[name] = tuple(number for number in numbers if number is not None)
    return curves


def _elements(values: Any) -> Iterable[Any]:
    """Return the elements of a sequence, an array or a tensor; one that is no number where there are none."""
    try:
        return (None,) if isinstance(values, str | bytes | Mapping) else tuple(values)
    except Exception:
        return (None,)


def _is_name(name: object) -> bool:
    return isinstance(name, str) and _encodable(name) == name


def _encodable(text: str) -> str:
    """Return a text that files can hold: without halves of surrogate pairs."""
    return text.encode("utf-8", "replace").decode("utf-8")
