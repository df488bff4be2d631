"""The live line of a final training."""

from __future__ import annotations

import time
from typing import TextIO

from archsearch.platform import units

# A terminal gets one line that is rewritten; a log file gets a new line now and then.
_TERMINAL_PERIOD, _LOG_PERIOD = 0.2, 15.0


class EpochProgress:
    """Shows how far a training is.

    Args:
        epochs: Epochs in all.
        stream: Where to write; None is silent.
    """

    def __init__(self, epochs: int, stream: TextIO | None) -> None:
        self._epochs, self._stream = epochs, stream
        self._first, self._started, self._shown = 0, time.monotonic(), -_LOG_PERIOD
        self._open = False

    def begin(self, done: int) -> None:
        """Start the clock; `done` epochs were run before, and do not count for the time left."""
        self._first, self._started = done, time.monotonic()
        if done and self._stream is not None:
            self._stream.write(f"Going on after epoch {done} of {self._epochs}.\n")

    def show(self, epoch: int, loss: float, accuracy: float | None) -> None:
        """Write the line after an epoch, if it is time to.

        Args:
            epoch: Epochs run.
            loss: Mean training loss of the last one.
            accuracy: On the validation images, a fraction; None where there are none.
        """
        if self._stream is None:
            return
        terminal, now = self._stream.isatty(), time.monotonic()
        last = epoch == self._epochs
        if not last and now - self._shown < (_TERMINAL_PERIOD if terminal else _LOG_PERIOD):
            return
        self._shown = now
        parts = [f"epoch {epoch}/{self._epochs}", f"loss {loss:.4g}"]
        if accuracy is not None:
            parts.append(f"validation accuracy {units.score(accuracy, True)} %")
        elapsed = now - self._started
        parts.append(units.duration(elapsed))
        if not last:
            parts.append(f"about {units.duration(elapsed / (epoch - self._first) * (self._epochs - epoch))} left")
        self._open = terminal
        text = ", ".join(parts)
        self._stream.write(f"\r\x1b[K{text}" if terminal else f"{text}\n")
        self._stream.flush()

    def end(self) -> None:
        """Close the line."""
        if self._stream is not None and self._open:
            self._stream.write("\n")
