"""Sizes of the batches that trials evaluate."""

from __future__ import annotations

from archsearch.errors import ConfigurationError


class BatchSizer:
    """Chooses batch sizes so that a trial lasts about `target` seconds.

    Ray Tune adds some 50 ms to each trial, which is little in a trial of a second or more. The cost c of a candidate, in seconds,
    is measured from finished batches of n candidates and s seconds: c <- (c + s/n) / 2. A batch has target/c candidates, at most
    eight times as many as the largest batch so far, because the first measured cost is unreliable.

    Args:
        target: Target duration of a trial, in seconds.
        largest: Largest size, for searchers that learn from each batch.
        fixed: Size of all batches; None measures.

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
        """Set the seconds of a candidate instead of measuring them, so that the sizes are the same in each run."""
        self._cost, self._measures = cost, False

    def observe(self, size: int, seconds: float) -> None:
        """Learn from a finished batch: its size and its seconds in the worker."""
        if self._measures:
            cost = seconds / max(size, 1)
            self._cost = cost if self._cost is None else 0.5 * (self._cost + cost)
        self._last = max(self._last, size)

    def note(self, size: int) -> None:
        """Note the size of a finished batch, whoever has evaluated its candidates.

        With an assumed cost the sizes then do not depend on what the ledger holds. A measured cost is one of evaluations alone.
        """
        if not self._measures:
            self._last = max(self._last, size)

    def next(self, remaining: int, workers: int = 1) -> int:
        """Return the size of the next batch; the last `remaining` candidates are shared among the workers."""
        if self.fixed is not None:
            return min(self.fixed, remaining)
        if self._cost is None:
            return min(1, remaining)
        wanted = int(self.target / max(self._cost, 1e-9))
        # Smaller batches at the end would cost more in trials than they gain in balance.
        share = max(-(-remaining // max(workers, 1)), wanted // 4)
        return max(1, min(wanted, self.GROWTH * self._last, self.largest, share, remaining))
