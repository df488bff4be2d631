"""A progress line: redrawn every 0.2 s in a terminal, written every 15 s to a log."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TextIO

TERMINAL_PERIOD, LOG_PERIOD = 0.2, 15.0  # seconds


class LiveLine:
    """A progress line on a stream.

    Args:
        stream: Where to write; None is silent.
        at_once: Whether the first line is written as soon as there is one, and not after a period.
    """

    def __init__(self, stream: TextIO | None, *, at_once: bool = True) -> None:
        self._stream = stream
        self._terminal = stream is not None and stream.isatty()
        self._open = False
        self._written = float("-inf") if at_once else time.monotonic()

    def show(self, text: Callable[[], str], *, now: bool = False) -> None:
        """Write the line if its period has passed.

        Args:
            text: Makes the line; called only when it is written.
            now: Write it in any case.
        """
        if self._stream is None:
            return
        elapsed = time.monotonic() - self._written
        if not now and elapsed < (TERMINAL_PERIOD if self._terminal else LOG_PERIOD):
            return
        self._written, self._open = time.monotonic(), self._terminal
        self._stream.write(f"\r\x1b[K{text()}" if self._terminal else f"{text()}\n")
        self._stream.flush()

    def end(self, *, clear: bool = False) -> None:
        """End the line of a terminal: keep it and go to the next one, or clear it."""
        if self._stream is not None and self._open:
            self._stream.write("\r\x1b[K" if clear else "\n")
            self._stream.flush()
            self._open = False
