"""Sentences of a search about its images and trainings: facts, cautions, and a warning if nothing beats guessing."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TextIO

from archsearch.evaluators import Evaluation, Evaluator

_WIDTH = 110
_said: ContextVar[set[str] | None] = ContextVar("said", default=None)


class Announcement:
    """Writes sentences about a search, each once.

    Args:
        evaluator: What the candidates are scored by.
        stream: Where to write; None is silent.
    """

    def __init__(self, evaluator: Evaluator, stream: TextIO | None) -> None:
        self._evaluator, self._stream = evaluator, stream
        self._evaluations: list[Evaluation] = []
        self._decided = False

    def begin(self) -> None:
        """Write the facts and cautions."""
        if self._stream is not None:
            announce(_unsaid(self._evaluator.facts()), _unsaid(self._evaluator.cautions()), self._stream)

    def remark(self, evaluations: Sequence[Evaluation]) -> str:
        """Return a warning once, after the first trainings, if none beats guessing; else an empty string."""
        if self._decided or self._stream is None:
            return ""
        self._evaluations += [each for each in evaluations if each.ok and not each.is_partial]  # a few epochs prove nothing
        self._decided = len(self._evaluations) >= FIRST
        remark = self._evaluator.remark(self._evaluations) if self._decided else ""
        return _wrapped(f"Warning: {remark}") if remark else ""


@contextmanager
def facts_once() -> Iterator[None]:
    """Within it facts and cautions that several searches have in common are written by the first of them alone."""
    token = _said.set(set())
    try:
        yield
    finally:
        _said.reset(token)


def _unsaid(sentences: Sequence[str]) -> Sequence[str]:
    said = _said.get()
    if said is None:
        return sentences
    new = [each for each in sentences if each not in said]
    said.update(new)
    return new


FIRST = 3
"""Evaluations with a score before the search is judged."""


def announce(facts: Sequence[str], cautions: Sequence[str], stream: TextIO) -> None:
    """Write facts, then cautions as warnings, each from the beginning of a line."""
    for text in (*facts, *(f"Warning: {caution}" for caution in cautions)):
        stream.write(f"{_wrapped(text)}\n")
    stream.flush()


def _wrapped(text: str) -> str:
    return textwrap.fill(text, _WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
