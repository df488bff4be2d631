"""How many candidates go to an actor at once, and cutting them out of a batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archsearch.errors import ConfigurationError
from archsearch.evaluators.surrogate import Batch

# A chunk may be so many times larger than the largest that was measured: the first costs of a candidate are guesses.
_GROWTH = 8
# What an earlier chunk's cost weighs against a newer one of the same size.
_MEMORY = 0.5
# The last chunks of a call shrink, so that actors end together, but not to less than several times what a call itself costs.
_LEAST_SECONDS = 0.01


class ChunkSizer:
    """Chooses the size of chunks so that one takes about `target` seconds in an actor.

    The cost of a candidate is the seconds of recent chunks by their candidates; large chunks count more, because a fixed cost
    of a call weighs on small ones. The last candidates of a call are shared out (guided self-scheduling, Polychronopoulos and
    Kuck, IEEE Transactions on Computers 1987).

    Args:
        target: Seconds that a chunk should take.
        fixed: Always this size, if given, so that chunks do not depend on measured speed.
    """

    def __init__(self, target: float, fixed: int | None = None) -> None:
        self.target, self.fixed = target, fixed
        self.limit: int | None = None
        """Largest size that memory allows, once it was found out."""
        self._seconds = self._candidates = 0.0
        self._largest = 0

    def observe(self, size: int, seconds: float) -> None:
        """Take note of an answered chunk: its size and its seconds in the actor."""
        self._seconds = _MEMORY * self._seconds + seconds
        self._candidates = _MEMORY * self._candidates + size
        self._largest = max(self._largest, size)

    def next(self, remaining: int, actors: int) -> int:
        """Return the size of the next chunk of a call with so many candidates left, at least 1."""
        if self.fixed is not None:
            wanted = share = self.fixed
        elif not self._candidates:
            wanted = share = 1
        else:
            speed = self._candidates / max(self._seconds, 1e-9)
            wanted = min(int(self.target * speed), _GROWTH * self._largest)
            share = max(-(-remaining // (2 * actors)) if actors > 1 else remaining, int(_LEAST_SECONDS * speed))
        return max(1, min(wanted, share, remaining, self.limit or remaining))

    def outgrown(self, size: int) -> None:
        """Take note that a chunk did not fit into memory: no chunk will be larger than half of it."""
        self.limit = max(1, min(size // 2, self.limit or size))


def batch_length(batch: Batch) -> int:
    """Return the number of candidates in a batch.

    Raises:
        ConfigurationError: It is no batch, or its arrays differ in length.
    """
    if isinstance(batch, str | bytes):
        raise ConfigurationError(f"batch: expected a list of candidates; got one text, {batch[:40]!r}. Put it into a list.")
    if not isinstance(batch, Mapping):
        try:
            return len(batch[0:]) if len(batch) else 0
        except (TypeError, KeyError, IndexError) as error:
            raise ConfigurationError(
                f"batch: expected a list, an array, arrays by name, or what can be sliced; got {type(batch).__name__}."
            ) from error
    lengths = {name: batch_length(column) for name, column in batch.items()}
    if len(set(lengths.values())) != 1:
        raise ConfigurationError(f"batch: expected arrays of one length; got {lengths or 'none'}.")
    return next(iter(lengths.values()))


def batch_rows(batch: Batch, start: int, stop: int) -> Any:
    """Return the candidates from `start` up to `stop`, in the form of the batch."""
    if isinstance(batch, Mapping):
        return {name: column[start:stop] for name, column in batch.items()}
    return batch[start:stop]
