"""The newest state of a branch, as one caller of a model pool knows it."""

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

# A registry that was restarted is told the newest state within this time by any caller who knows it.
_SECONDS_BETWEEN_REMINDERS = 2.0
# If the registry was restarted and no caller has told it of a state for so long, there is none.
_MOST_SECONDS_UNSURE = 10.0
_SECONDS_BETWEEN_QUESTIONS = 0.5


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
        self.registry, self.branch, self._keep = registry, branch, keep
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
        return self.registry.newest.remote(self.branch)

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
            self.registry.give_back.remote(self.branch, self._own, self._keep)
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


class Reception:
    """Asks the registry which state is the newest before a call begins: another process may have published it.

    Args:
        name: Name of the pool.
        mailbox: Of the thread that owns the calls.
        states: What is known here.
        admit: Told of a call that can begin.
        end: Told why no call ever can.
    """

    def __init__(
        self, name: str, mailbox: Mailbox, states: NewestState, admit: Callable[[Call], None], end: Callable[[str], None]
    ) -> None:
        self._name, self._mailbox, self._states, self._admit, self._end = name, mailbox, states, admit, end
        self._waiting: set[Call] = set()

    def open(self, call: Call) -> None:
        """Take a call, and admit it when it is known which state is to answer."""
        self._waiting.add(call)
        self._ask(call, time.monotonic())

    def fail_all(self, error: PoolError) -> None:
        """Give up the calls that wait."""
        while self._waiting:
            self._waiting.pop().fail(error)

    def remind(self) -> None:
        """Tell the registry what it may have forgotten, though there is no call."""
        self._mailbox.ask(self._states.ask(), self._compare)

    def _ask(self, call: Call, opened: float) -> None:
        self._mailbox.ask(self._states.ask(), partial(self._take, call, opened))

    def _take(self, call: Call, opened: float, answer: Future[Any]) -> None:
        unsure = self._compare(answer)
        if call not in self._waiting:  # given up
            return
        if unsure and time.monotonic() - opened < _MOST_SECONDS_UNSURE:
            again = threading.Timer(_SECONDS_BETWEEN_QUESTIONS, self._mailbox.post, [partial(self._ask, call, opened)])
            again.daemon = True
            again.start()
            return
        self._waiting.remove(call)
        if self._states.published.version < self._states.highest:
            lost = self._states.highest
            call.fail(PoolError(f"pool {self._name}: state {lost} was lost with those who had it; publish it again."))
        else:
            self._states.trusting |= unsure
            self._admit(call)

    def _compare(self, answer: Future[Any]) -> bool:
        """Return whether there may be a newer state than is known here; if the pool has ended, give up all calls."""
        try:
            return self._states.compare(answer)
        except PoolError as error:
            self._end(str(error))
            return False
