"""Names of scores that objectives can name; importable without torch."""

from __future__ import annotations

ACCURACY, BALANCED, ANYTIME = "accuracy", "balanced_accuracy", "anytime"
"""Values of the evaluators' argument `objective`, and names in a search's `objectives`."""
BALANCED_SCORE = "valid_balanced_accuracy"
"""Name of the score for the objective `balanced_accuracy`."""
