"""Sizes of the chunks that go to an actor at once, and slicing of batches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archsearch.errors import ConfigurationError
from archsearch.evaluators.surrogate import Batch

# Largest growth of a chunk over the largest one that was measured: the first measured costs are unreliable.
_GROWTH = 8
# Weight of an earlier chunk's cost against a newer one of the same size.
_MEMORY = 0.5
# The last chunks of a call shrink, so that actors end together, but not below this duration, several times a call's overhead.
_LEAST_SECONDS = 0.01


class ChunkSizer:
    """Chooses the size of chunks so that one takes about `target` seconds in an actor.

    The speed, in candidates per second, is N/S with N and S halved before each chunk of n candidates and s seconds is added:
    N <- N/2 + n, S <- S/2 + s. A chunk has target * N/S candidates. The last R candidates of a call are shared among P actors in
    chunks of R/(2P), as in guided self-scheduling (Polychronopoulos and Kuck, IEEE Transactions on Computers 1987, which takes
    R/P).

    Args:
        target: Seconds that a chunk should take.
        fixed: Size of all chunks, so that they do not depend on measured speed; None measures.
    """

    def __init__(self, target: float, fixed: int | None = None) -> None:
        self.target, self.fixed = target, fixed
        self.limit: int | None = None
        """Largest size that fits into memory; None while no chunk has run out of it."""
        self._seconds = self._candidates = 0.0
        self._largest = 0

    def observe(self, size: int, seconds: float) -> None:
        """Learn from an answered chunk: its number of candidates and its seconds in the actor."""
        self._seconds = _MEMORY * self._seconds + seconds
        self._candidates = _MEMORY * self._candidates + size
        self._largest = max(self._largest, size)

    def next(self, remaining: int, actors: int) -> int:
        """Return the size of the next chunk, at least 1.

        Args:
            remaining: Number of candidates of the call that are not sent yet.
            actors: Number of actors that are up.
        """
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
        """Learn that a chunk of `size` candidates did not fit into memory: no later chunk is larger than half of it."""
        self.limit = max(1, min(size // 2, self.limit or size))


def batch_length(batch: Batch) -> int:
    """Return the number of candidates in a batch.

    Raises:
        ConfigurationError: It cannot be sliced, or its arrays differ in length.
    """
    if isinstance(batch, str | bytes):
        raise ConfigurationError(f"batch: expected a list of candidates; got one string, {batch[:40]!r}. Put it into a list.")
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
