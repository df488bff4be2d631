"""The newest state of a branch, as one caller of a model pool knows it."""

from __future__ import annotations

import time
from concurrent.futures import Future
from typing import Any

import ray
from ray.exceptions import ActorDiedError, ActorUnavailableError

from archsearch.cluster.pool.answer import PoolError
from archsearch.cluster.pool.registry import Published

# A registry that was restarted is told the newest state within this time by any caller who knows it.
_SECONDS_BETWEEN_REMINDERS = 2.0
_SECONDS_TO_ANSWER = 30.0
_SECONDS_BETWEEN_TRIES = 0.5
_TRIES = 20


class NewestState:
    """Keeps in step with the registry: learns what others published, and gives back what a restarted registry forgot.

    The registry's copies end with its process, so only a caller who published a state, and still has it, can give it back.

    Args:
        registry: The pool's registry.
        branch: The branch.
        keep: Whether the registry is to have copies of its own.
    """

    def __init__(self, registry: Any, branch: str, *, keep: bool) -> None:
        self.published = Published()
        self.highest = 0
        """The newest version that was ever known here."""
        self.trusting = False
        """Whether a restarted registry is believed that nothing was published, because it was waited for in vain."""
        self._registry, self._branch, self._keep = registry, branch, keep
        self._own = Published()
        self._reminded = time.monotonic()

    def learn(self, own: Published) -> None:
        """Take note of a state that was published by this process, which has it as long as it lives."""
        self._own = own
        self._take(own)

    def _take(self, published: Published) -> None:
        if published.version >= self.published.version:  # also the same one anew, given back to a restarted registry
            self.published = published if published.version > self._own.version else self._own
            self.highest = max(self.highest, published.version)

    def drop(self, version: int) -> None:
        """Take note that a state cannot be fetched any more."""
        if self.published.version == version:
            self.published = Published()

    def ask(self) -> Any:
        """Return a reference to the answer of the registry, for `compare`."""
        return self._registry.newest.remote(self._branch)

    def compare(self, answer: Future[Any]) -> bool:
        """Learn what the registry knows, or tell it; return whether there is, or may be, a newer state than is known here.

        Raises:
            PoolError: The pool is gone.
        """
        error = answer.exception()
        if isinstance(error, ActorDiedError):
            raise PoolError("it was shut down, or the program that made it has ended; start a new one")
        if error is not None:
            return self.published.version < max(self.highest, 1)
        published, forgot = answer.result()
        if published.version < self._own.version:
            self._registry.give_back.remote(self._branch, self._own, self._keep)
        self._take(published)
        return self.published.version < self.highest or (bool(forgot) and not self.published.version and not self.trusting)

    @property
    def patience(self) -> float | None:
        """Seconds until the registry is to be asked though there is no call; None if there is nothing to tell it."""
        return _SECONDS_BETWEEN_REMINDERS if self._own.version else None

    def is_due(self) -> bool:
        """Whether it is time to ask the registry though there is no call."""
        now = time.monotonic()
        if not self._own.version or now - self._reminded < _SECONDS_BETWEEN_REMINDERS:
            return False
        self._reminded = now
        return True


def ask_patiently(method: Any, *arguments: Any) -> Any:
    """Return the answer of a method of the registry; if that is just being restarted, ask again.

    Raises:
        RayError: It does not answer, or is gone.
    """
    for _ in range(_TRIES):
        try:
            return ray.get(method.remote(*arguments), timeout=_SECONDS_TO_ANSWER)
        except ActorUnavailableError:
            time.sleep(_SECONDS_BETWEEN_TRIES)
    return ray.get(method.remote(*arguments), timeout=_SECONDS_TO_ANSWER)
