"""How a model pool is made."""

from __future__ import annotations

import re
from dataclasses import dataclass

from archsearch.errors import ConfigurationError, check_whole_number

NAMESPACE = "archsearch"
"""Ray's namespace of all pools."""


@dataclass(frozen=True)
class PoolLayout:
    """How a pool was made.

    Args:
        name: Its name.
        actors: Number of actors.
        threads: Threads of torch in each actor.
        cpus: CPUs that each reserves.
        gpus: GPUs that each reserves, also fractions.
        shared: Whether it outlives the program that made it.
        chunk_seconds: What a chunk should take.
        chunk_size: Fixed size of chunks; None chooses it from measured speed.
        hang_seconds: A chunk that takes longer counts as a death of its actor; None waits for ever.

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
        if not re.fullmatch(r"[\w.-]+", self.name):
            raise ConfigurationError(f"name: expected letters, digits, `.`, `_` and `-`; got {self.name!r}.")
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
