"""The live line of a search: candidates done, best score so far, seconds left."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence
from typing import Any, TextIO

from ray import tune

from archsearch.platform.live_line import LiveLine
from archsearch.searchers import Observation

_PATIENCE = 10.0  # seconds without a running trial: the process of a worker needs some to start


class Progress(tune.Callback):
    """Shows the progress of a search.

    Args:
        total: Number of candidates that the search will propose.
        percent: Whether scores are accuracies, shown in percent.
        stream: Where to write; None is silent.
    """

    def __init__(self, total: int, percent: bool, stream: TextIO | None = sys.stderr) -> None:
        self.total, self.percent = total, percent
        self.done = self.failed = self.reused = 0
        self.best = -math.inf
        self.needs = ""  # what a trial reserves, in words
        self.ended = ""  # what has ended the search, in words
        self._started = time.monotonic()
        self._idle_since: float | None = None
        self._live, self._stream = LiveLine(stream), stream
        self._known_before: int | None = None

    def __getstate__(self) -> dict[str, Any]:
        # Tune pickles its callbacks; a stream cannot be pickled.
        return {**self.__dict__, "_live": LiveLine(None), "_stream": None}

    def take(self, observations: Sequence[Observation]) -> None:
        """Count outcomes."""
        for observation in observations:
            self.done += 1
            self.reused += observation.reused
            self.failed += not observation.evaluation.ok
            if observation.evaluation.ok:
                self.best = max(self.best, observation.evaluation.score)
        self.show()

    def say(self, text: str) -> None:
        """Write a sentence above the line, if there is one to write."""
        if text and self._stream is not None:
            self._live.end(clear=True)
            self._stream.write(f"{text}\n")
            self._stream.flush()

    def begin(self) -> None:
        """Start the clock; candidates counted before do not enter the estimate of the time left."""
        self._started, self._known_before = time.monotonic(), self.done

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Refresh the line while Tune waits for trials."""
        waits = any(trial.status == "PENDING" for trial in trials) and not any(trial.status == "RUNNING" for trial in trials)
        self._idle_since = (self._idle_since or time.monotonic()) if waits else None
        self.show()

    @property
    def waiting(self) -> str:
        """What the search waits for, in words; empty while a trial runs."""
        if self._idle_since is None or time.monotonic() - self._idle_since < _PATIENCE:
            return ""
        return f"waiting for {self.needs} that no other program uses" if self.needs else "waiting for a free worker"

    def line(self) -> str:
        """Return the line."""
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
        parts += [text for text in (self.waiting, self.ended) if text]
        return ", ".join(parts)

    def show(self, last: bool = False) -> None:
        """Write the line if its period has passed, or for the last time."""
        self._live.show(self.line, now=last)
        if last:
            self._live.end()
