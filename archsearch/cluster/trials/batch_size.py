"""How many candidates a trial carries."""

from __future__ import annotations

from archsearch.errors import ConfigurationError


class BatchSizer:
    """Chooses batch sizes so that a trial lasts about `target` seconds.

    Ray Tune needs some 50 milliseconds of its own for each trial, so a trial of a second or more hides them. The cost of a
    candidate is measured from finished batches; sizes grow by a factor of eight at most, because the first cost is a guess.

    Args:
        target: Seconds that a trial should last.
        largest: Bound on the size, for searchers that learn from each batch.
        fixed: Always this size, if given.

    Raises:
        ConfigurationError: A bound is below 1.
    """

    GROWTH = 8

    def __init__(self, target: float = 1.0, largest: int = 10_000, fixed: int | None = None) -> None:
        for name, value in (("largest", largest), ("batch_size", fixed)):
            if value is not None and value < 1:
                raise ConfigurationError(f"{name}: expected at least 1; got {value!r}.")
        self.target, self.largest, self.fixed = target, largest, fixed
        self._last = 0
        self._cost: float | None = None
        self._measures = True

    def assume(self, cost: float) -> None:
        """Take the seconds of a candidate as known instead of measuring them: the sizes then repeat from run to run."""
        self._cost, self._measures = cost, False

    def observe(self, size: int, seconds: float) -> None:
        """Take note of a finished batch: its size and its seconds in the worker."""
        if self._measures:
            cost = seconds / max(size, 1)
            self._cost = cost if self._cost is None else 0.5 * (self._cost + cost)
        self._last = max(self._last, size)

    def next(self, remaining: int, workers: int = 1) -> int:
        """Return the size of the next batch, sharing the last candidates among the workers."""
        if self.fixed is not None:
            return min(self.fixed, remaining)
        if self._cost is None:
            return min(1, remaining)
        wanted = int(self.target / max(self._cost, 1e-9))
        # Halving down to single candidates at the end would cost more in trials than it gains in balance.
        share = max(-(-remaining // max(workers, 1)), wanted // 4)
        return max(1, min(wanted, self.GROWTH * self._last, self.largest, share, remaining))
