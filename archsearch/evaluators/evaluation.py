"""Evaluations: the score and metrics of one architecture."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from archsearch.spaces import Architecture

LATENCY = "latency_ms"
"""A cost: median milliseconds of a forward pass of a batch, with quartiles `latency_ms_low` and `latency_ms_high`."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Score, metrics and cost of evaluating one architecture.

    Args:
        architecture: The architecture.
        key: Its canonical identity, `space.key(architecture)`.
        score: Higher is better; a fraction 0..1 for accuracies. NaN when the evaluation failed.
        metrics: Further figures by name. Those for which `is_report_only` is True are never shown to a searcher.
        seconds: Duration of the evaluation; for a benchmark table the recorded training time.
        error: Reason of a failure; None if the evaluation succeeded.
        curves: Figures by epoch, such as the validation accuracy, or by exit.

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

    @property
    def ok(self) -> bool:
        """Whether the evaluation succeeded with a finite score."""
        return self.error is None and math.isfinite(self.score)


def is_report_only(metric: str) -> bool:
    """Return whether a metric is measured on test data (`test_accuracy`, `cifar10_test`): for reports, not for searchers.

    Example:
        >>> from archsearch.evaluators import is_report_only
        >>> is_report_only("cifar10_test"), is_report_only("latency_ms")
        (True, False)
    """
    return "test" in metric.split("_")
