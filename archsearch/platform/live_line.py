"""A progress line: redrawn every 0.2 s in a terminal, written every 15 s to a log."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from typing import TextIO

TERMINAL_PERIOD, LOG_PERIOD = 0.2, 15.0  # seconds
_GREEN, _GREY, _PLAIN = "\x1b[32m", "\x1b[90m", "\x1b[0m"


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

    @property
    def is_terminal(self) -> bool:
        """Whether the line is redrawn in place."""
        return self._terminal

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

    def note(self, text: str) -> None:
        """Write a line that stays, above the progress line of a terminal."""
        if self._stream is not None:
            self._stream.write(f"\r\x1b[K{text}\n" if self._open else f"{text}\n")
            self._stream.flush()
            self._open = False

    def bar(self, done: int, total: int, left: str, right: str) -> str:
        """Return `left`, a bar that is filled by `done` of `total`, and `right`, cut to the width of the terminal.

        The bar has colours unless the environment variable NO_COLOR is set, and plain signs where the stream's encoding has no
        others.
        """
        columns = self._columns() - 1
        size = max(0, min(30, columns - len(left) - len(right) - 2))
        if size < 5:
            return f"{left} {right}"[:columns]
        filled = min(size, size * done // max(total, 1))
        sign, rest = ("━", "━") if self._can_write("━") else ("#", "-")
        if os.environ.get("NO_COLOR") or sign == "#":
            rest = "-" if sign == "#" else " "
            return f"{left} {sign * filled}{rest * (size - filled)} {right}"
        return f"{left} {_GREEN}{sign * filled}{_GREY}{rest * (size - filled)}{_PLAIN} {right}"

    def end(self, *, clear: bool = False) -> None:
        """End the line of a terminal: keep it and go to the next one, or clear it."""
        if self._stream is not None and self._open:
            self._stream.write("\r\x1b[K" if clear else "\n")
            self._stream.flush()
            self._open = False

    def _columns(self) -> int:
        try:
            assert self._stream is not None
            return os.get_terminal_size(self._stream.fileno()).columns or 80
        except (OSError, ValueError, AssertionError):
            return shutil.get_terminal_size().columns

    def _can_write(self, sign: str) -> bool:
        try:
            sign.encode(getattr(self._stream, "encoding", None) or "utf-8")
        except (UnicodeError, LookupError):
            return False
        return True
