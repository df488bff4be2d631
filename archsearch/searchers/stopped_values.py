"""Values that stand for candidates that were stopped, for search algorithms that know complete evaluations alone."""

from __future__ import annotations

from bisect import bisect_left, insort


class StoppedValues:
    """Maps the value of a stopped candidate to one that can be compared with those of complete candidates.

    An algorithm that is told the accuracy after 4 epochs as if it were that after 100 may take a good candidate for a bad one, or
    a bad one for a good one. Here each number of steps has a band of values, below the worst complete value so far; more steps
    are above fewer, and in a band the place among all values after as many steps decides:

        value = worst - width * (longer + 1 - share)

    with the width `best - worst` of the complete values so far, the number `longer` of larger numbers of steps at which
    candidates have been scored, and the share of the values after as many steps that are lower. So the order is that of
    `archsearch.searchers.fitness`, and a model of the values, such as a Gaussian process, meets no outliers. Until a candidate is
    complete, the largest number of steps takes the place of complete evaluations.

    Example:
        >>> values = StoppedValues()
        >>> for score in (0.25, 0.5, 0.75, 0.875):
        ...     values.add(0.5 * score, 4)
        >>> values.add(0.75, None), values.add(0.875, None)
        (None, None)
        >>> values.told(0.25, 4), values.told(0.125, 4)
        (0.65625, 0.625)
    """

    def __init__(self) -> None:
        self._complete: list[float] = []
        self._partial: dict[int, list[float]] = {}

    def add(self, value: float, fidelity: int | None) -> None:
        """Note a value, larger is better, of a candidate after a number of steps; None for a complete evaluation."""
        insort(self._complete if fidelity is None else self._partial.setdefault(fidelity, []), value)

    def told(self, value: float, fidelity: int) -> float:
        """Return the value to tell for a candidate that was stopped after a number of steps."""
        steps = sorted(self._partial)
        reference = self._complete or (self._partial[steps[-1]] if steps else [value])
        if not self._complete and (not steps or fidelity >= steps[-1]):
            return value
        longer = sum(other > fidelity for other in steps) - (not self._complete)
        seen = self._partial.get(fidelity, [])
        share = bisect_left(seen, value) / len(seen) if seen else 0.0
        worst = reference[0]
        width = (reference[-1] - worst) or 0.01 * max(abs(worst), 1.0)
        return worst - width * (longer + 1.0 - share)
