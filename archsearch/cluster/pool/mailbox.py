"""A queue of functions that other threads post for one thread to run."""

from __future__ import annotations

import queue
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any


class Mailbox:
    """Lets one thread own its state without locks: other threads, and answers of Ray, post functions that it runs."""

    def __init__(self) -> None:
        self._posted: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()

    def post(self, function: Callable[[], object]) -> None:
        """Queue a function for the owning thread."""
        self._posted.put(function)

    def ask(self, reference: Any, then: Callable[[Future[Any]], object]) -> None:
        """Queue `then`, with the finished future, when an object reference of Ray resolves."""
        reference.future().add_done_callback(lambda answer: self._posted.put(partial(then, answer)))

    def run(self, timeout: float | None) -> None:
        """Run all queued functions.

        Args:
            timeout: Seconds to wait for the first one; None waits without a limit.
        """
        try:
            self._posted.get(timeout=timeout)()
            while True:
                self._posted.get_nowait()()
        except queue.Empty:
            return
