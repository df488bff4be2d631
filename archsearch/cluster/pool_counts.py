"""What a handle of a model pool has seen."""

from __future__ import annotations

from dataclasses import dataclass

from archsearch.cluster.pool.actor import Done


@dataclass(slots=True)
class PoolCounts:
    """What a handle of a pool has seen so far.

    Args:
        chunks: Chunks and jobs that were answered.
        deaths: Deaths of actors that had work of this handle.
        refusals: Chunks and jobs whose model raised.
        switches: Times that an actor loaded a state for work of this handle.
        most_in_flight: The most chunks that were with one actor at once.
        busy_seconds: Seconds of the model's methods, over all actors.
        longest_chunk: Seconds of the longest chunk or job.
        longest_load: Seconds of the longest loading of a state.
        longest_wait: Most seconds that a chunk or job was with an actor without being worked on: those of the chunk before it,
            of loading, and of travelling.
    """

    chunks: int = 0
    deaths: int = 0
    refusals: int = 0
    switches: int = 0
    most_in_flight: int = 0
    busy_seconds: float = 0.0
    longest_chunk: float = 0.0
    longest_load: float = 0.0
    longest_wait: float = 0.0

    def take(self, answer: Done, seconds: float) -> None:
        """Take note of an answer, and of the seconds since its chunk was sent."""
        self.chunks += 1
        self.busy_seconds += answer.seconds
        self.longest_chunk = max(self.longest_chunk, answer.seconds)
        self.switches += answer.load_seconds > 0
        self.longest_load = max(self.longest_load, answer.load_seconds)
        self.longest_wait = max(self.longest_wait, seconds - answer.seconds)
