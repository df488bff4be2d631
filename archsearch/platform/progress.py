"""The live line: candidates done, best so far, seconds left."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence
from typing import Any, TextIO

from ray import tune

from archsearch.searchers import Observation

# A terminal gets one line that is rewritten; a log file gets a new line now and then.
_TERMINAL_PERIOD, _LOG_PERIOD = 0.2, 15.0


class Progress(tune.Callback):
    """Shows how far a search is, on standard error.

    Args:
        total: Candidates in all.
        percent: Whether scores are accuracies, shown in percent.
        stream: Where to write; None is silent.
    """

    def __init__(self, total: int, percent: bool, stream: TextIO | None = sys.stderr) -> None:
        self.total, self.percent, self.stream = total, percent, stream
        self.done = self.failed = self.reused = 0
        self.best = -math.inf
        self._started = time.monotonic()
        self._shown = 0.0
        self._known_before: int | None = None

    def __getstate__(self) -> dict[str, Any]:
        # Tune pickles its callbacks; a stream cannot be.
        return {**self.__dict__, "stream": None}

    def take(self, observations: Sequence[Observation]) -> None:
        """Count outcomes."""
        for observation in observations:
            self.done += 1
            self.reused += observation.reused
            self.failed += not observation.evaluation.ok
            if observation.evaluation.ok:
                self.best = max(self.best, observation.evaluation.score)
        self.show()

    def begin(self) -> None:
        """Start the clock: what was known before does not count for the time left."""
        self._started, self._known_before = time.monotonic(), self.done

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Refresh the line while Tune waits for trials."""
        self.show()

    def line(self) -> str:
        """Return the text of the line."""
        elapsed = time.monotonic() - self._started
        paid = 0 if self._known_before is None else self.done - self._known_before
        parts = [f"{self.done}/{self.total} candidates"]
        if math.isfinite(self.best):
            parts.append(f"best {100 * self.best:.2f} %" if self.percent else f"best {self.best:.4g}")
        if self.reused:
            parts.append(f"{self.reused} reused")
        if self.failed:
            parts.append(f"{self.failed} failed")
        parts.append(f"{elapsed:.0f} s")
        if paid > 0 and self.done < self.total:
            parts.append(f"about {elapsed / paid * (self.total - self.done):.0f} s left")
        return ", ".join(parts)

    def show(self, last: bool = False) -> None:
        """Write the line if it is time to."""
        if self.stream is None:
            return
        terminal = self.stream.isatty()
        now = time.monotonic()
        if not last and now - self._shown < (_TERMINAL_PERIOD if terminal else _LOG_PERIOD):
            return
        self._shown = now
        text = self.line()
        self.stream.write(f"\r\x1b[K{text}" + ("\n" if last else "") if terminal else f"{text}\n")
        self.stream.flush()
