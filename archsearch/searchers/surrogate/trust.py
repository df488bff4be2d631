"""How far a surrogate can be trusted: its predictions, made before the evaluations, against their outcomes."""

from __future__ import annotations

import math
from collections import deque

from archsearch.evaluators.metrics import kendall_tau

_FEWEST = 5


class Trust:
    """Pairs predictions with outcomes and ranks one against the other.

    Candidates that a surrogate picked are alike, and harder to rank than random ones: expect less than on a benchmark.

    Args:
        window: The rank correlation is over so many of the last outcomes.
    """

    def __init__(self, window: int = 50) -> None:
        self._expected: dict[str, float] = {}
        self._pairs: deque[tuple[float, float]] = deque(maxlen=window)

    def expect(self, key: str, prediction: float | None) -> None:
        """Take note of what is predicted of a candidate before it is evaluated."""
        if prediction is not None and math.isfinite(prediction):
            self._expected[key] = prediction

    def compare(self, key: str, value: float) -> None:
        """Take the outcome of a candidate; without a prediction it is passed over."""
        prediction = self._expected.pop(key, None)
        if prediction is not None:
            self._pairs.append((prediction, value))

    def __len__(self) -> int:
        return len(self._pairs)

    def tau(self) -> float | None:
        """Return Kendall's tau-b between predictions and outcomes, -1 to 1; None while it is not defined."""
        if len(self._pairs) < _FEWEST:
            return None
        predictions, values = zip(*self._pairs, strict=True)
        tau = kendall_tau(values, predictions)
        return tau if math.isfinite(tau) else None
