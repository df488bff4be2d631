"""Names of scores and costs that objectives can name; importable without torch."""

from __future__ import annotations

ACCURACY, BALANCED, ANYTIME = "accuracy", "balanced_accuracy", "anytime"
"""Values of the evaluators' argument `objective`, and names in a search's `objectives`."""
BALANCED_SCORE = "valid_balanced_accuracy"
"""Name of the score for the objective `balanced_accuracy`."""
LATENCY = "latency_ms"
"""A cost: median milliseconds of a forward pass of a batch, with quartiles `latency_ms_low` and `latency_ms_high`."""
