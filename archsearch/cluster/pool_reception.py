"""Where calls wait until the newest state is known."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any

from archsearch.cluster.pool.answer import PoolError
from archsearch.cluster.pool.call import Call
from archsearch.cluster.pool.mailbox import Mailbox
from archsearch.cluster.pool.newest_state import NewestState

# If the registry was restarted and no caller has told it of a state for so long, there is none.
_MOST_SECONDS_UNSURE = 10.0
_SECONDS_BETWEEN_QUESTIONS = 0.5


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
