"""The live view of a search: a bar with rate and time left, the improvements, and at the end the failures by reason."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from ray import tune

from archsearch.cluster.ledger.rungs import ENDED, RungEvent
from archsearch.evaluators import Evaluation
from archsearch.platform import units
from archsearch.platform.failure_reasons import FailureReasons
from archsearch.platform.live_line import LiveLine
from archsearch.platform.rank_order import rank_key
from archsearch.searchers import Observation

_PATIENCE = 10.0  # seconds without a running trial: the process of a worker needs some to start
_NOTE_PERIOD = 1.0  # seconds between two lines on improvements
_KEPT = 5
_REASON = 100  # characters of a reason


class Progress(tune.Callback):
    """Shows the progress of a search.

    Args:
        total: Number of candidates that the search will propose.
        percent: Whether scores are accuracies, shown in percent.
        stream: Where to write; None is silent.
        name: Word before the bar, such as the searcher of a comparison.
        lower_is_better: Whether scores are the negatives of losses, which are shown.
        steps: With a scheduler, the number of steps of a complete evaluation, and what they are, such as `(36, "epochs")`.
    """

    def __init__(
        self,
        total: int,
        percent: bool,
        stream: TextIO | None = sys.stderr,
        name: str = "",
        steps: tuple[int, str] | None = None,
        lower_is_better: bool = False,
    ) -> None:
        self.total, self.percent, self.name, self.steps = total, percent, name, steps
        self.lower_is_better = lower_is_better
        self.done = self.failed = self.reused = 0
        self.stopped_early = 0
        self.running, self.paused = set[int](), set[int]()  # numbers of candidates under a scheduler
        self.best = -math.inf
        self.best_at = ""  # the fidelity of the best score, in words; empty if it is complete
        self._rank = (-math.inf, -math.inf)
        self.needs = ""  # what a trial reserves, in words
        self.ended = ""  # what has ended the search, in words
        self.improvements: list[tuple[int, float]] = []
        self.failures = FailureReasons()
        self._started = time.monotonic()
        self._idle_since: float | None = None
        self._live, self._stream = LiveLine(stream), stream
        self._noted, self._unsaid = -math.inf, False
        self._known_before: int | None = None

    def __getstate__(self) -> dict[str, Any]:
        # Tune pickles its callbacks; a stream cannot be pickled.
        return {**self.__dict__, "_live": LiveLine(None), "_stream": None}

    def take(self, observations: Sequence[Observation]) -> None:
        """Count outcomes."""
        for observation in observations:
            self.done += 1
            self.reused += observation.reused
            if observation.evaluation.ok:
                self.stopped_early += observation.evaluation.is_partial
                self._improve(observation.evaluation)
            else:
                self.failed += 1
                self.failures.add(observation.evaluation.error)
        self.show()

    def take_rung(self, event: RungEvent) -> None:
        """Count what a scheduler has started, paused and stopped."""
        self.running.discard(event.trial)
        self.paused.discard(event.trial)
        if event.action == "PAUSE":
            self.paused.add(event.trial)
        elif event.action not in ENDED:
            self.running.add(event.trial)
        self.show()

    def say(self, text: str) -> None:
        """Write a sentence above the line, if there is one to write."""
        if text and self._stream is not None:
            self._live.end(clear=True)
            self._stream.write(f"{text}\n")
            self._stream.flush()

    def begin(self) -> None:
        """Start the clock; candidates counted before do not enter the rate and the estimate of the time left."""
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

    @property
    def rate(self) -> float | None:
        """Candidates per second since `begin`; None before the first."""
        paid = 0 if self._known_before is None else self.done - self._known_before
        elapsed = time.monotonic() - self._started
        return paid / elapsed if paid > 0 and elapsed > 0 else None

    @property
    def left(self) -> float | None:
        """Estimated seconds until all candidates have been evaluated; None if unknown."""
        return (self.total - self.done) / self.rate if self.rate and self.done < self.total else None

    def state(self) -> Mapping[str, Any]:
        """Return the fields of `RunState` that change in the course of a search."""
        return {
            **{"done": self.done, "failed": self.failed, "reused": self.reused, "rate": self.rate, "left": self.left},
            **{"stopped_early": self.stopped_early, "paused": len(self.paused), "best_at": self.best_at},
            "best": self.best if math.isfinite(self.best) else None,
            "improvements": self.improvements[-_KEPT:],
            "failures": [(reason[:_REASON], count) for reason, count in self.failures.counted()[:_KEPT]],
        }

    def line(self) -> str:
        """Return the line of a log."""
        parts = [f"{self.name + ': ' if self.name else ''}{self.done}/{self.total} candidates", *self._figures()]
        parts.append(f"{time.monotonic() - self._started:.0f} s")
        if self.rate:
            parts.append(units.rate(self.rate))
        if self.left is not None:
            parts.append(f"about {_seconds(self.left)} left")
        parts += self._notes()
        return ", ".join(parts)

    def show(self, last: bool = False) -> None:
        """Write the line if its period has passed, or for the last time, then with the failures by reason."""
        if self._unsaid and self._live.is_terminal and (last or time.monotonic() - self._noted >= _NOTE_PERIOD):
            number, score = self.improvements[-1]
            self._live.note(f"{self.name + ': ' if self.name else ''}candidate {number}: best {self._score(score)}")
            self._noted, self._unsaid = time.monotonic(), False
        self._live.show(self._bar if self._live.is_terminal else self.line, now=last)
        if last:
            self._live.end()
            for reason, count in self.failures.counted()[:_KEPT]:
                self._live.note(f"  {count} failed: {reason[:_REASON]}")

    def _bar(self) -> str:
        share = f"{self.done}/{self.total}"
        parts = [share, *self._figures(), _clock(time.monotonic() - self._started)]
        if self.rate:
            parts.append(units.rate(self.rate))
        if self.left is not None:
            parts.append(f"{_clock(self.left)} left")
        parts += self._notes()
        percent = f"{100 * self.done // max(self.total, 1):3d} %"
        return self._live.bar(self.done, self.total, f"{self.name} {percent}".strip(), "  ".join(parts))

    def _figures(self) -> list[str]:
        best = f"best {self._score(self.best)}" + (f" after {self.best_at}" if self.best_at else "")
        parts = [best] if math.isfinite(self.best) else []
        if self.stopped_early:
            parts.append(f"{self.stopped_early} stopped early")
        if self.running:
            parts.append(f"{len(self.running)} running")
        if self.paused:
            parts.append(f"{len(self.paused)} paused")
        if self.reused:
            parts.append(f"{self.reused} reused")
        if self.failed:
            parts.append(f"{self.failed} failed")
        return parts

    def _notes(self) -> list[str]:
        return [text for text in (self.waiting, self.ended) if text]

    def _score(self, score: float) -> str:
        return units.score(score, self.percent, self.lower_is_better) + (" %" if self.percent else "")

    def _improve(self, evaluation: Evaluation) -> None:
        rank = rank_key(evaluation)
        if rank > self._rank:
            self._rank, self.best, self._unsaid = rank, evaluation.score, True
            done = evaluation.fidelity
            self.best_at = "" if done is None or self.steps is None else f"{done} of {self.steps[0]} {self.steps[1]}"
            self.improvements = [*self.improvements[1 - _KEPT :], (self.done, evaluation.score)]


def _seconds(seconds: float) -> str:
    return units.duration(float(round(seconds))) if seconds >= 1.0 else "1 s"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
