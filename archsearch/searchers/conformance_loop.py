"""A bare loop that asks and answers a searcher as Ray Tune would; a part of the searcher conformance suite."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from ray.tune.search import Searcher

from archsearch.searchers.searcher import ArchitectureSearcher
from archsearch.spaces import Architecture


class Loop:
    """Runs trials of a searcher one after another, some of them open at once.

    Args:
        searcher: What is asked for batches.
        score: Gives each candidate its score.
    """

    trial_fails: Callable[[int], bool]
    """Which batches, by number, end without a result."""
    evaluation_fails: Callable[[str], bool]
    """Which candidates, by text, get no score."""
    suggestions: list[dict[str, Any]]
    """All batches so far, as suggested."""
    open: dict[str, dict[str, Any]]
    """The trials that run, with their batches."""
    most_open: int
    """The most trials that ran at once."""
    seconds: float
    """What a candidate costs."""
    metrics: dict[str, Callable[[Architecture], float]]
    """Gives the metrics that objectives name."""

    def __init__(self, searcher: ArchitectureSearcher, score: Callable[[Architecture], float]) -> None:
        self.searcher, self.score = searcher, score
        self.trial_fails = lambda number: False
        self.evaluation_fails = lambda text: False
        self.suggestions, self.open, self.most_open = [], {}, 0
        self.seconds = 0.25
        self.metrics = {}

    @property
    def candidates(self) -> list[str]:
        """All candidates so far, in the order of suggestion."""
        return [candidate for suggestion in self.suggestions for candidate in suggestion["candidates"]]

    @property
    def by_batch(self) -> dict[int, list[str]]:
        """The candidates of each batch."""
        return {suggestion["batch"]: suggestion["candidates"] for suggestion in self.suggestions}

    def take_over(self, other: Loop) -> None:
        """Continue what another loop began: its suggestions and its open trials."""
        self.suggestions, self.open = list(other.suggestions), dict(other.open)

    def run(self, at_once: int = 1, rng: np.random.Generator | None = None, batches: int | None = None) -> Loop:
        """Run trials until the searcher has finished, or `batches` were suggested in all; then those still open stay open.

        Args:
            at_once: Trials that are open at once.
            rng: Chooses which open trial ends next; None takes the oldest.
            batches: Where to stop.
        """
        while batches is None or len(self.suggestions) < batches:
            full = len(self.open) >= at_once
            if not full and self._start():
                continue
            if not self.open:
                break
            names = list(self.open)
            self._end(names[0 if rng is None else int(rng.integers(len(names)))])
        return self

    def drain(self) -> Loop:
        """Let the open trials end."""
        for name in list(self.open):
            self._end(name)
        return self

    def _start(self) -> bool:
        """Ask for a batch; return whether there was one."""
        name = f"trial{len(self.suggestions):04d}"
        suggestion = self.searcher.suggest(name)
        if suggestion is None:
            assert self.open, "the searcher waits though no trial is open"
        if not isinstance(suggestion, dict):
            assert suggestion in (None, Searcher.FINISHED), f"expected a dict, None or FINISHED; got {suggestion!r}"
            return False
        assert suggestion["candidates"], "a batch holds a candidate at least"
        self.suggestions.append(suggestion)
        self.open[name] = suggestion
        self.most_open = max(self.most_open, len(self.open))
        return True

    def _end(self, name: str) -> None:
        """Answer a trial."""
        suggestion = self.open.pop(name)
        if self.trial_fails(suggestion["batch"]):
            self.searcher.on_trial_complete(trial_id=name, result=None, error=True)
            return
        architectures = [self.searcher.space.parse(text) for text in suggestion["candidates"]]
        failed = [self.evaluation_fails(text) for text in suggestion["candidates"]]
        scores = [
            math.nan if fails else self.score(architecture) for architecture, fails in zip(architectures, failed, strict=True)
        ]
        result = {
            "scores": scores,
            "seconds": [self.seconds] * len(scores),
            "errors": ["no score" if fails else None for fails in failed],
            "batch_seconds": self.seconds * len(scores),
            "metrics": [[self.metrics[name](each) for each in architectures] for name in suggestion.get("metrics", [])],
        }
        self.searcher.on_trial_complete(trial_id=name, result=result, error=False)
