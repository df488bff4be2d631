"""The cost of an evaluation in seconds, measured on a few candidates."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from archsearch.errors import ArchSearchError
from archsearch.evaluators import Evaluation, Evaluator
from archsearch.platform.units import duration
from archsearch.spaces import Architecture

_DRAWN = 64
_LARGEST_CHUNK = 1024


@dataclass(frozen=True)
class Calibration:
    """A measured cost.

    Args:
        seconds: Mean seconds of one candidate on one worker.
        evaluations: The evaluations made; of shortened trainings if `epochs` is set.
        elapsed: Seconds that the measurement took.
        epochs: Largest number of epochs trained, and the number of a full training; None if no training was shortened.
    """

    seconds: float
    evaluations: list[Evaluation] = field(repr=False)
    elapsed: float
    epochs: tuple[int, int] | None = None

    @property
    def rate(self) -> float:
        """Candidates per second on one worker."""
        return 1.0 / max(self.seconds, 1e-9)

    def pace(self) -> str:
        """Return the human-readable speed of one worker."""
        rate = f"{self.rate:,.0f}" if self.rate >= 10 else f"{self.rate:.2g}"
        each = f", {duration(self.seconds)} each" if self.seconds >= 0.1 else ""
        return f"about {rate} candidates per second on one worker{each}"

    @property
    def errors(self) -> list[str]:
        """The error messages of failed candidates, each once."""
        return sorted({evaluation.error for evaluation in self.evaluations if evaluation.error})


def calibrate(evaluator: Evaluator, seconds: float = 2.0, seed: int = 0) -> Calibration:
    """Evaluate random candidates for about `seconds`; nothing is recorded.

    Candidates of medium size come first, so that a few are representative. The first one, which loads data and libraries, is not
    counted. A training that would take longer is shortened: its cost is extrapolated linearly in the number of epochs.

    Args:
        evaluator: The evaluator of the search.
        seconds: Duration of the measurement; exceeded if the first candidates take longer.
        seed: Seed of the candidates.
    """
    started = time.perf_counter()
    candidates = _middle_first(evaluator, np.random.default_rng(seed))
    recipe = getattr(evaluator, "recipe", None)
    if recipe is not None and recipe.epochs > 1:
        return _calibrate_training(evaluator, recipe.epochs, seconds, candidates, started)
    first = next(candidates)
    evaluations = evaluator.evaluate([first])
    cost = time.perf_counter() - started
    spent, count, size = 0.0, 0, 1
    while spent < seconds and (count or cost < seconds):
        chunk = [next(candidates) for _ in range(size)]
        began = time.perf_counter()
        evaluations += evaluator.evaluate(chunk)
        spent += time.perf_counter() - began
        count, size = count + size, min(2 * size, _LARGEST_CHUNK) if spent < seconds / 8 else size
    return Calibration(spent / count if count else cost, evaluations, time.perf_counter() - started)


def _calibrate_training(
    evaluator: Evaluator, epochs: int, seconds: float, candidates: Iterator[Architecture], started: float
) -> Calibration:
    """Measure trainings of one epoch and of several, and extrapolate linearly to `epochs`."""
    evaluations = _shortened(evaluator, 1).evaluate([next(candidates)])
    if time.perf_counter() - started > 10 * seconds:  # loading the data or an epoch is slow: one training is enough
        return _line(evaluations, [evaluations[0].seconds], [0.0], 1, epochs, started)
    ones: list[float] = []
    slopes: list[float] = []
    more = 0
    began = time.perf_counter()
    while not ones or time.perf_counter() - began < seconds:
        candidate = next(candidates)
        evaluations += _shortened(evaluator, 1).evaluate([candidate])
        ones.append(evaluations[-1].seconds)
        # So many epochs that at least two candidates fit into the time, where one epoch is short enough for that.
        more = more or min(epochs, max(2, int(seconds / 2 / max(ones[0], 1e-6))))
        evaluations += _shortened(evaluator, more).evaluate([candidate])
        slopes.append((evaluations[-1].seconds - ones[-1]) / (more - 1))
    return _line(evaluations, ones, slopes, more, epochs, started)


def _line(
    evaluations: list[Evaluation], ones: list[float], slopes: list[float], more: int, epochs: int, started: float
) -> Calibration:
    slope = float(np.mean(slopes)) if more > 1 else float(np.mean(ones))
    whole = float(np.mean(ones)) + (epochs - 1) * max(slope, 0.0)
    return Calibration(whole, evaluations, time.perf_counter() - started, (more, epochs) if more < epochs else None)


def _shortened(evaluator: Any, epochs: int) -> Evaluator:
    if hasattr(evaluator, "shortened"):
        return evaluator.shortened(epochs)  # type: ignore[no-any-return]
    other: Any = copy.copy(evaluator)
    vars(other)["recipe"] = evaluator.recipe.with_changes(epochs=epochs)  # it cannot be set from outside
    return other  # type: ignore[no-any-return]


def _middle_first(evaluator: Evaluator, rng: np.random.Generator) -> Iterator[Architecture]:
    """Yield random candidates without end, first by quantiles of their MACs: the median, the quartiles, the octiles, ..."""
    drawn = [evaluator.space.sample(rng) for _ in range(_DRAWN)]
    with suppress(ArchSearchError, NotImplementedError, KeyError):  # a space may have no costs; then the order does not matter
        drawn.sort(key=lambda architecture: evaluator.costs(architecture)["macs"])
    parts = 2
    while parts <= _DRAWN:
        yield from (drawn[_DRAWN * part // parts] for part in range(1, parts, 2))
        parts *= 2
    while True:
        yield evaluator.space.sample(rng)
