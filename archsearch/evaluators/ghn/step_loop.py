"""The training loop of hypernetworks and shared weights: progress, checkpoints and skipped steps."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from archsearch.errors import ConfigurationError

_SHOW_EVERY = 10.0
_SMOOTHING = 0.98


@dataclass(frozen=True, slots=True)
class Progress:
    """Progress of a fit.

    Args:
        done: Steps done.
        steps: Steps in all.
        loss: Mean loss of the last steps, in nats; NaN before the first.
        seconds_left: Estimated seconds until the end.
    """

    done: int
    steps: int
    loss: float
    seconds_left: float

    def __str__(self) -> str:
        return f"step {self.done:,} of {self.steps:,}, loss {self.loss:.3f}, {self.seconds_left:,.0f} s left"


Report = Callable[[Progress], None]


def print_line(progress: Progress) -> None:
    """Print a progress line to the standard error stream."""
    print(progress, file=sys.stderr, flush=True)


@dataclass(frozen=True, slots=True)
class Pace:
    """Intervals at which a fit reports and saves, and the number of steps that may fail.

    Args:
        report: Called every ten seconds and at the end of a fit that takes longer than that.
        save: Called every `save_every` seconds, at the end, and when the fit is interrupted.
        save_every: Seconds between two calls.
        max_skips: Largest number of consecutive failed steps.
    """

    report: Report = print_line
    save: Callable[[], None] | None = None
    save_every: float = 60.0
    max_skips: int = 10


def run_steps(done: int, steps: int, take: Callable[[int], float], pace: Pace) -> None:
    """Take the steps from number `done` to `steps`.

    Args:
        done: Steps that were taken before.
        steps: Steps in all.
        take: Takes a step by its number and returns its loss, or NaN when the step was left out.
        pace: When to report and save. An interruption saves before it is raised again.

    Raises:
        ConfigurationError: Too many steps in a row failed.
    """
    started = shown = saved = time.monotonic()
    loss, weight, skipped = 0.0, 0.0, 0
    try:
        for number in range(done, steps):
            value = take(number)
            skipped = 0 if math.isfinite(value) else skipped + 1
            if skipped > pace.max_skips:
                raise ConfigurationError(
                    f"learning_rate: expected one with which the training converges; the loss or its gradient was not finite in "
                    f"{skipped} steps in a row, up to step {number + 1}. Lower it."
                )
            if not skipped:
                loss, weight = _SMOOTHING * loss + value, _SMOOTHING * weight + 1.0
            now = time.monotonic()
            if now - shown > _SHOW_EVERY or (number + 1 == steps and shown > started):
                left = (now - started) / (number + 1 - done) * (steps - number - 1)
                pace.report(Progress(number + 1, steps, loss / weight if weight else math.nan, left))
                shown = now
            if pace.save is not None and now - saved > pace.save_every:
                pace.save()
                saved = now
    finally:
        if pace.save is not None:
            pace.save()
