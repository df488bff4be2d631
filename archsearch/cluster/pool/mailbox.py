"""Functions that are to run in one thread, posted from any."""

from __future__ import annotations

import queue
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any


class Mailbox:
    """Lets a single thread own its state: others post functions, and the answers of Ray arrive as functions too."""

    def __init__(self) -> None:
        self._posted: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()

    def post(self, function: Callable[[], object]) -> None:
        """Have a function run in the owner's thread."""
        self._posted.put(function)

    def ask(self, reference: Any, then: Callable[[Future[Any]], object]) -> None:
        """Have a function run in the owner's thread, with the answer, when an object reference of Ray resolves."""
        reference.future().add_done_callback(lambda answer: self._posted.put(partial(then, answer)))

    def run(self, timeout: float | None) -> None:
        """Run what was posted; wait up to so many seconds for the first."""
        try:
            self._posted.get(timeout=timeout)()
            while True:
                self._posted.get_nowait()()
        except queue.Empty:
            return
