"""The progress line of a final training: epochs, loss, validation accuracy, images a second, time left."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import TextIO

from archsearch.evaluators.score_names import ACCURACY, MEASURES
from archsearch.evaluators.training.loop import Throughput
from archsearch.platform import units
from archsearch.platform.live_line import LiveLine

_WAITING = 0.01
"""Share of the time from which waiting for images is shown."""


class EpochProgress:
    """Shows the progress of a training.

    Args:
        epochs: Number of epochs, those of earlier runs included.
        stream: Where to write; None is silent.
        measure: Name of the figure of quality that is shown; see `score_names.MEASURES`.
    """

    def __init__(self, epochs: int, stream: TextIO | None, measure: str = ACCURACY) -> None:
        self._epochs, self._stream, self._measure = epochs, stream, MEASURES[measure]
        self._first, self._started = 0.0, time.monotonic()
        self._quality: list[str] = []
        self._live = LiveLine(stream)

    def begin(self, done: float) -> None:
        """Start the clock; `done` epochs, with a part of the last one, were run earlier and do not enter the estimate."""
        self._first, self._started = done, time.monotonic()
        if done and self._stream is not None:
            within = f" and {100.0 * (done % 1.0):.0f} % of the next" if done % 1.0 else ""
            self._stream.write(f"Resuming after epoch {int(done)} of {self._epochs}{within}.\n")

    def move(self, done: float, throughput: Throughput) -> None:
        """Write the line within an epoch if its period has passed.

        Args:
            done: Number of epochs run so far, with the part of the one that runs.
            throughput: How fast images are trained on.
        """
        self._live.show(lambda: self._line(done, self._quality, throughput))

    def show(self, epoch: int, loss: float, accuracy: float | None, throughput: Throughput | None = None) -> None:
        """Write the line after an epoch if its period has passed; after the last epoch always.

        Args:
            epoch: Number of epochs run so far.
            loss: Mean training loss of the last epoch.
            accuracy: Accuracy on the validation images, a fraction, or the other figure that is shown; None where there are none.
            throughput: How fast images were trained on.
        """
        parts = [f"loss {loss:.4g}"]
        if accuracy is not None:
            name, percent = self._measure.words.format("validation"), self._measure.percent
            parts.append(f"{name} {units.score(accuracy, percent)}{' %' if percent else ''}")
        self._quality = parts
        self._live.show(lambda: self._line(epoch, parts, throughput), now=epoch == self._epochs)

    def end(self) -> None:
        """End the line."""
        self._live.end()

    def _line(self, done: float, quality: Sequence[str], throughput: Throughput | None) -> str:
        parts = [f"epoch {math.ceil(done)}/{self._epochs}"]
        if done % 1.0:
            parts[0] += f" ({100.0 * (done % 1.0):.0f} %)"
        parts += quality
        if throughput is not None and throughput.images:
            parts.append(f"{throughput.per_second:,.0f} images/s")
            if throughput.waiting >= _WAITING:
                parts.append(f"{100.0 * throughput.waiting:.0f} % of the time waiting for images")
        elapsed = time.monotonic() - self._started
        parts.append(units.duration(elapsed))
        if done < self._epochs:
            parts.append(f"about {units.duration(elapsed / (done - self._first) * (self._epochs - done))} left")
        return ", ".join(parts)
