"""The outcome of evaluating one architecture."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from archsearch.spaces import Architecture


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What an evaluator found out about one architecture.

    Args:
        architecture: What was evaluated.
        key: Its canonical identity, `space.key(architecture)`.
        score: Higher is better; a fraction 0..1 for accuracies. NaN when the evaluation failed.
        metrics: Further figures by name. Those for which `is_report_only` holds are never shown to a searcher.
        seconds: What the evaluation cost; for a benchmark table the recorded training time.
        error: None, or why the evaluation failed.
        curves: Figures by epoch, such as the validation accuracy.
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
        """Whether there is a finite score."""
        return self.error is None and math.isfinite(self.score)


def is_report_only(metric: str) -> bool:
    """Return whether a metric is measured on test data (`test_accuracy`, `cifar10_test`): for reports, not for searchers."""
    return "test" in metric.split("_")
