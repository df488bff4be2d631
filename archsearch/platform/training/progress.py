"""The progress line of a final training: epochs, loss, validation accuracy, time left."""

from __future__ import annotations

import time
from typing import TextIO

from archsearch.evaluators.score_names import ACCURACY, MEASURES
from archsearch.platform import units
from archsearch.platform.live_line import LiveLine


class EpochProgress:
    """Shows the progress of a training.

    Args:
        epochs: Number of epochs, those of earlier runs included.
        stream: Where to write; None is silent.
        measure: Name of the figure of quality that is shown; see `score_names.MEASURES`.
    """

    def __init__(self, epochs: int, stream: TextIO | None, measure: str = ACCURACY) -> None:
        self._epochs, self._stream, self._measure = epochs, stream, MEASURES[measure]
        self._first, self._started = 0, time.monotonic()
        self._live = LiveLine(stream)

    def begin(self, done: int) -> None:
        """Start the clock; `done` epochs were run earlier and do not enter the estimate of the time left."""
        self._first, self._started = done, time.monotonic()
        if done and self._stream is not None:
            self._stream.write(f"Resuming after epoch {done} of {self._epochs}.\n")

    def show(self, epoch: int, loss: float, accuracy: float | None) -> None:
        """Write the line after an epoch if its period has passed; after the last epoch always.

        Args:
            epoch: Number of epochs run so far.
            loss: Mean training loss of the last epoch.
            accuracy: Accuracy on the validation images, a fraction, or the other figure that is shown; None where there are none.
        """
        self._live.show(lambda: self._line(epoch, loss, accuracy), now=epoch == self._epochs)

    def end(self) -> None:
        """End the line."""
        self._live.end()

    def _line(self, epoch: int, loss: float, accuracy: float | None) -> str:
        parts = [f"epoch {epoch}/{self._epochs}", f"loss {loss:.4g}"]
        if accuracy is not None:
            name, percent = self._measure.words.format("validation"), self._measure.percent
            parts.append(f"{name} {units.score(accuracy, percent)}{' %' if percent else ''}")
        elapsed = time.monotonic() - self._started
        parts.append(units.duration(elapsed))
        if epoch < self._epochs:
            parts.append(f"about {units.duration(elapsed / (epoch - self._first) * (self._epochs - epoch))} left")
        return ", ".join(parts)
