"""The newest state of a branch, kept up to date with the registry before each call."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any

from ray.exceptions import ActorDiedError

from archsearch.cluster.pool.answer import PoolError
from archsearch.cluster.pool.call import Call
from archsearch.cluster.pool.mailbox import Mailbox
from archsearch.cluster.pool.registry import Published

# Within this time a caller with a published state gives it back to a restarted registry.
_SECONDS_BETWEEN_REMINDERS = 2.0
# When a restarted registry has got no state back for this long, none was published.
_MOST_SECONDS_UNSURE = 10.0
_SECONDS_BETWEEN_QUESTIONS = 0.5


class NewestState:
    """Tracks the newest state of a branch: reads it from the registry, and gives it back to a registry that was restarted.

    The registry's copies end with its process, so only a caller that published a state, and still has it, can give it back.

    Args:
        registry: Ray handle of the pool's registry.
        branch: Name of the branch.
        keep: Whether the registry keeps copies of the states.
    """

    def __init__(self, registry: Any, branch: str, *, keep: bool) -> None:
        self.published = Published()
        self.highest = 0
        """The highest version that this process has known."""
        self.trusting = False
        """Whether to trust a restarted registry that no state was published, after waiting for one in vain."""
        self.registry, self.branch, self._keep = registry, branch, keep
        self._own = Published()
        self._reminded = time.monotonic()

    def learn(self, own: Published) -> None:
        """Store a state that this process has published and keeps as long as it lives."""
        self._own = own
        self._take(own)

    def _take(self, published: Published) -> None:
        if published.version >= self.published.version:  # also the same one anew, given back to a restarted registry
            self.published = published if published.version > self._own.version else self._own
            self.highest = max(self.highest, published.version)

    def drop(self, version: int) -> None:
        """Forget a state that cannot be fetched any more."""
        if self.published.version == version:
            self.published = Published()

    def ask(self) -> Any:
        """Ask the registry; return the object reference to its answer, for `compare`."""
        return self.registry.newest.remote(self.branch)

    def compare(self, answer: Future[Any]) -> bool:
        """Take over the registry's newest state, or give it ours; return whether a newer state than ours may exist.

        Raises:
            PoolError: The pool has ended.
        """
        error = answer.exception()
        if isinstance(error, ActorDiedError):
            raise PoolError("it was shut down, or the program that made it has ended; start a new one")
        if error is not None:
            return self.published.version < max(self.highest, 1)
        published, forgot = answer.result()
        if published.version < self._own.version:
            self.registry.give_back.remote(self.branch, self._own, self._keep)
        self._take(published)
        return self.published.version < self.highest or (bool(forgot) and not self.published.version and not self.trusting)

    @property
    def patience(self) -> float | None:
        """Seconds between two reminders to the registry while there is no call; None if this process has published nothing."""
        return _SECONDS_BETWEEN_REMINDERS if self._own.version else None

    def is_due(self) -> bool:
        """Return whether it is time for a reminder to the registry."""
        now = time.monotonic()
        if not self._own.version or now - self._reminded < _SECONDS_BETWEEN_REMINDERS:
            return False
        self._reminded = now
        return True


class Reception:
    """Lets a call begin once the newest state is known: another process may have published one.

    Args:
        name: Name of the pool.
        mailbox: Mailbox of the thread that owns the calls.
        states: The newest state.
        admit: Called with a call that can begin.
        end: Called with the reason when the pool has ended.
    """

    def __init__(
        self, name: str, mailbox: Mailbox, states: NewestState, admit: Callable[[Call], None], end: Callable[[str], None]
    ) -> None:
        self._name, self._mailbox, self._states, self._admit, self._end = name, mailbox, states, admit, end
        self._waiting: set[Call] = set()

    def open(self, call: Call) -> None:
        """Ask the registry, and admit the call when the newest state is known."""
        self._waiting.add(call)
        self._ask(call, time.monotonic())

    def fail_all(self, error: PoolError) -> None:
        """Fail the calls that wait."""
        while self._waiting:
            self._waiting.pop().fail(error)

    def remind(self) -> None:
        """Give a restarted registry its newest state back, without a call."""
        self._mailbox.ask(self._states.ask(), self._compare)

    def _ask(self, call: Call, opened: float) -> None:
        self._mailbox.ask(self._states.ask(), partial(self._take, call, opened))

    def _take(self, call: Call, opened: float, answer: Future[Any]) -> None:
        unsure = self._compare(answer)
        if call not in self._waiting:  # it was failed
            return
        if unsure and time.monotonic() - opened < _MOST_SECONDS_UNSURE:
            again = threading.Timer(_SECONDS_BETWEEN_QUESTIONS, self._mailbox.post, [partial(self._ask, call, opened)])
            again.daemon = True
            again.start()
            return
        self._waiting.remove(call)
        if self._states.published.version < self._states.highest:
            lost = self._states.highest
            call.fail(PoolError(f"pool {self._name}: state {lost} was lost with the processes that held it; publish it again."))
        else:
            self._states.trusting |= unsure
            self._admit(call)

    def _compare(self, answer: Future[Any]) -> bool:
        """Return whether a newer state than ours may exist; if the pool has ended, fail all calls."""
        try:
            return self._states.compare(answer)
        except PoolError as error:
            self._end(str(error))
            return False
