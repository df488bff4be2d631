"""Names of tasks, scores and costs that users can give; importable without torch."""

from __future__ import annotations

from dataclasses import dataclass

CLASSIFICATION, MULTILABEL, REGRESSION = "classification", "multilabel", "regression"
TASKS = (CLASSIFICATION, MULTILABEL, REGRESSION)
"""What can be predicted of an image: one class, any number of labels, one or several numbers."""
ACCURACY, BALANCED, ANYTIME = "accuracy", "balanced_accuracy", "anytime"
MEAN_AVERAGE_PRECISION, R2, MAE = "mean_average_precision", "r2", "mae"
"""Values of the evaluators' argument `objective`, and names in a search's `objectives`."""
OBJECTIVES = {
    CLASSIFICATION: (ACCURACY, BALANCED, ANYTIME),
    MULTILABEL: (MEAN_AVERAGE_PRECISION, ANYTIME),
    REGRESSION: (R2, MAE),
}
"""The scores of each task, its usual one first."""
BALANCED_SCORE = "valid_balanced_accuracy"
"""Name of the score for the objective `balanced_accuracy`."""
LATENCY = "latency_ms"
"""A cost: median milliseconds of a forward pass of a batch, with quartiles `latency_ms_low` and `latency_ms_high`."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure of quality of a network on images.

    Args:
        words: Its name in texts, with `{}` for the part of the images.
        percent: Whether it is a fraction, shown in percent.
        lower_is_better: Whether less is better.
    """

    words: str
    percent: bool = True
    lower_is_better: bool = False


MEASURES = {
    ACCURACY: Measure("{} accuracy"),
    BALANCED: Measure("balanced {} accuracy"),
    MEAN_AVERAGE_PRECISION: Measure("{} mean average precision"),
    R2: Measure("{} R2", percent=False),
    MAE: Measure("{} mean absolute error", percent=False, lower_is_better=True),
}
"""The figures of all tasks; the metrics of evaluations are called `valid_NAME` and `test_NAME`."""


def task_of_score(score: str) -> str:
    """Return the task of a score's name, such as `valid_r2`; `classification` for names that several tasks have."""
    return next(
        (task for task in (MULTILABEL, REGRESSION) for name in OBJECTIVES[task] if score == f"valid_{name}"), CLASSIFICATION
    )
