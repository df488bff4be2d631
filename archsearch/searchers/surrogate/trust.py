"""Rank correlation between a surrogate's predictions, made before the evaluations, and the outcomes."""

from __future__ import annotations

import math
from collections import deque

from archsearch.evaluators.metrics import kendall_tau
from archsearch.searchers.fitness import places

_FEWEST = 5


class Trust:
    """Pairs predictions with outcomes and returns their rank correlation.

    Candidates that a surrogate has selected are similar, and harder to rank than random ones, so that the correlation is lower
    than on a benchmark.

    Args:
        window: Number of the last outcomes that count.
    """

    def __init__(self, window: int = 50) -> None:
        self._expected: dict[str, float] = {}
        self._pairs: deque[tuple[float, float, int | None]] = deque(maxlen=window)

    def expect(self, key: str, prediction: float | None) -> None:
        """Store the prediction for a candidate before it is evaluated; None is ignored."""
        if prediction is not None and math.isfinite(prediction):
            self._expected[key] = prediction

    def compare(self, key: str, value: float, fidelity: int | None = None) -> None:
        """Pair the outcome of a candidate with its prediction; without one it is ignored.

        Args:
            key: Key of the candidate.
            value: Its outcome, higher is better.
            fidelity: Number of steps after which it was stopped; None if its evaluation is complete.
        """
        prediction = self._expected.pop(key, None)
        if prediction is not None:
            self._pairs.append((prediction, value, fidelity))

    def __len__(self) -> int:
        return len(self._pairs)

    def tau(self) -> float | None:
        """Return Kendall's tau-b between predictions and outcomes, from -1 to 1; None for fewer than 5 pairs or if undefined.

        Outcomes are in the order of `places`: candidates that were stopped are below complete ones.
        """
        if len(self._pairs) < _FEWEST:
            return None
        predictions, values, fidelities = zip(*self._pairs, strict=True)
        partial = any(fidelity is not None for fidelity in fidelities)
        tau = kendall_tau(places(values, fidelities) if partial else values, predictions)
        return tau if math.isfinite(tau) else None
