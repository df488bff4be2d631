"""Settings of a model pool."""

from __future__ import annotations

import re
from dataclasses import dataclass

from archsearch.errors import ConfigurationError, check_whole_number

NAMESPACE = "archsearch"
"""Ray's namespace of all pools."""


@dataclass(frozen=True)
class PoolLayout:
    """Settings of a model pool, the same for all processes that use it.

    Args:
        name: Name of the pool.
        actors: Number of actors.
        threads: Number of torch threads in each actor.
        cpus: CPUs that each actor reserves.
        gpus: GPUs that each actor reserves; may be a fraction.
        shared: Whether the pool outlives the program that started it.
        chunk_seconds: Target duration of a chunk.
        chunk_size: Number of candidates in a chunk; None chooses it from the measured speed.
        hang_seconds: An actor is killed when a chunk takes longer; None sets no limit.

    Raises:
        ConfigurationError: A value is out of range.
    """

    name: str
    actors: int
    threads: int
    cpus: float
    gpus: float
    shared: bool
    chunk_seconds: float
    chunk_size: int | None
    hang_seconds: float | None

    def __post_init__(self) -> None:
        check_pool_name("name", self.name)
        for name, value in (("actors", self.actors), ("threads", self.threads), ("chunk_size", self.chunk_size)):
            if value is not None:
                check_whole_number(name, value)
        for name, amount in (("cpus", self.cpus), ("gpus", self.gpus)):
            if not amount >= 0:
                raise ConfigurationError(f"{name}: expected at least 0; got {amount!r}.")
        for name, seconds in (("chunk_seconds", self.chunk_seconds), ("hang_seconds", self.hang_seconds)):
            if seconds is not None and not seconds > 0:
                raise ConfigurationError(f"{name}: expected more than 0 seconds; got {seconds!r}.")

    def actor_name(self, index: int) -> str:
        """Return the name of one of the actors."""
        return f"{self.name}-{index}"


def check_pool_name(argument: str, name: str) -> None:
    """Raise ConfigurationError unless a name can be that of a pool."""
    if not re.fullmatch(r"[\w.-]+", name):
        raise ConfigurationError(f"{argument}: expected letters, digits, `.`, `_` and `-`; got {name!r}.")
