"""Open calls to a model pool: the chunks still to send, and the retries of chunks that fail."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archsearch.cluster.pool.answer import AnswerSheet, PoolError, Reply
from archsearch.cluster.pool.chunking import ChunkSizer, batch_length, batch_rows
from archsearch.evaluators.surrogate import Batch

# Number of deaths of an actor, alone with one candidate, after which the candidate is at fault.
_MOST_DEATHS = 2
# Number of losses, for whatever reason, after which a chunk is not sent again.
_MOST_LOSSES = 20
# A death costs seconds, a call milliseconds: splitting into many parts finds the candidate at fault after few deaths.
_PARTS = 16


@dataclass(frozen=True, slots=True)
class Span:
    """A range of candidates that is sent as one chunk.

    Args:
        start: Its first candidate.
        stop: One after its last.
        deaths: Number of deaths of an actor while this single candidate was certainly its only work.
        losses: Number of times that it was lost with its actor.
        suspect: Whether it may have killed an actor; it is then sent alone, so that the cause of another death is certain.
        limit: The limit of the chunk size before this range turned out too large for memory, as `(limit,)`; empty for others.
    """

    start: int
    stop: int
    deaths: int = 0
    losses: int = 0
    suspect: bool = False
    limit: tuple[int | None, ...] = ()

    def __len__(self) -> int:
        return self.stop - self.start

    def split(self, parts: int) -> list[Span]:
        """Return at most `parts` spans of about equal size."""
        cuts = np.linspace(self.start, self.stop, min(parts, len(self)) + 1).astype(int).tolist()
        return [replace(self, start=start, stop=stop) for start, stop in pairwise(cuts)]


class Call(ABC):
    """A call to one method of the model.

    Args:
        method: Name of the method.
        options: Its keyword arguments.
    """

    is_job = False
    """Whether it is one piece of work, without a time limit."""

    def __init__(self, method: str, options: Mapping[str, Any]) -> None:
        self.method, self.options = method, dict(options)
        self.future: Future[Any] = Future()

    @abstractmethod
    def waits(self, *, alone: bool) -> bool:
        """Return whether there is work to send: that needs an actor for itself if `alone`, or else that does not."""

    @abstractmethod
    def take(self, *, alone: bool, actors: int) -> Span:
        """Return the next work of this kind; `waits` has returned True for it."""

    @abstractmethod
    def payload(self, span: Span) -> Any:
        """Return the argument of the model's method."""

    @abstractmethod
    def put_back(self, span: Span) -> None:
        """Take back work that was not begun."""

    @abstractmethod
    def answered(self, span: Span, value: Any, version: int, seconds: float) -> None:
        """Store the model's answer."""

    @abstractmethod
    def refused(self, span: Span, error: str, *, memory: bool) -> None:
        """Handle an exception of the method; `memory` if it ran out of memory."""

    @abstractmethod
    def lost(self, span: Span, *, blamed: bool) -> None:
        """Handle the death of the actor; `blamed` if it certainly worked on this."""

    def resolve(self, value: Any) -> None:
        """Set the result of the call's future."""
        with suppress(InvalidStateError):  # cancelled
            self.future.set_result(value)

    def fail(self, error: Exception) -> None:
        """Fail the call's future."""
        with suppress(InvalidStateError):
            self.future.set_exception(error)


class CandidateCall(Call):
    """Figures of many candidates, in chunks.

    Args:
        method: Name of the method, of a batch.
        batch: The candidates.
        options: Keyword arguments of the method.
        sizer: Chooses the size of chunks; shared by the calls of the method.

    Raises:
        ConfigurationError: The batch cannot be sliced.
    """

    def __init__(self, method: str, batch: Batch, options: Mapping[str, Any], sizer: ChunkSizer) -> None:
        super().__init__(method, options)
        self.batch, self.sizer = batch, sizer
        self._sheet = AnswerSheet(batch_length(batch))
        self._next = 0
        self._again: deque[Span] = deque()
        self._suspects: deque[Span] = deque()
        self._finish()

    def waits(self, *, alone: bool) -> bool:
        return bool(self._suspects) if alone else bool(self._again) or self._next < self._sheet.size

    def take(self, *, alone: bool, actors: int) -> Span:
        """Return the next span: a suspect one if `alone`, or else one to send again, or a new chunk."""
        if alone:
            return self._suspects.popleft()
        if self._again:
            return self._again.popleft()
        start = self._next
        self._next += self.sizer.next(self._sheet.size - start, actors)
        return Span(start, self._next)

    def payload(self, span: Span) -> Any:
        return batch_rows(self.batch, span.start, span.stop)

    def put_back(self, span: Span) -> None:
        (self._suspects if span.suspect else self._again).append(span)

    def answered(self, span: Span, value: Mapping[str, NDArray[Any]], version: int, seconds: float) -> None:
        self.sizer.observe(len(span), seconds)
        try:
            self._sheet.write(span.start, span.stop, value, version)
        except PoolError as error:
            self.fail(error)
        self._finish()

    def refused(self, span: Span, error: str, *, memory: bool) -> None:
        """Send the chunk again in parts, or set a single candidate aside."""
        if memory:
            span = replace(span, limit=span.limit or (self.sizer.limit,))
            self.sizer.outgrown(len(span))
        if len(span) > 1:
            self._send_again(span.split(2 if memory else _PARTS))
            return
        if memory:  # this candidate alone is too large; that says nothing about the chunks of others
            self.sizer.limit = span.limit[0]
        self._set_aside(span, error)

    def lost(self, span: Span, *, blamed: bool) -> None:
        deaths = span.deaths + (blamed and len(span) == 1)
        span = replace(span, deaths=deaths, losses=span.losses + 1, suspect=True)
        if deaths >= _MOST_DEATHS:
            self._set_aside(span, f"killed its actor {deaths} times; set aside")
        elif span.losses >= _MOST_LOSSES:
            self._set_aside(span, f"was lost with its actor {span.losses} times; set aside")
        else:
            self._send_again(span.split(_PARTS))

    def _send_again(self, spans: list[Span]) -> None:
        for span in spans:
            self.put_back(span)

    def _set_aside(self, span: Span, error: str) -> None:
        self._sheet.refuse(span.start, span.stop, error)
        self._finish()

    def _finish(self) -> None:
        if not self._sheet.open:
            self.resolve(self._sheet.answer())


class JobCall(Call):
    """One piece of work for one actor, such as a fit.

    Args:
        method: Name of the method.
        argument: Its argument.
        options: Its keyword arguments.
    """

    is_job = True

    def __init__(self, method: str, argument: Any, options: Mapping[str, Any]) -> None:
        super().__init__(method, options)
        self.argument = argument
        self._waiting: Span | None = Span(0, 1, suspect=True)

    def waits(self, *, alone: bool) -> bool:
        return alone and self._waiting is not None

    def take(self, *, alone: bool, actors: int) -> Span:
        span, self._waiting = self._waiting, None
        assert span is not None
        return span

    def payload(self, span: Span) -> Any:
        return self.argument

    def put_back(self, span: Span) -> None:
        self._waiting = span

    def answered(self, span: Span, value: Any, version: int, seconds: float) -> None:
        self.resolve(Reply(value, version, seconds))

    def refused(self, span: Span, error: str, *, memory: bool) -> None:
        self.fail(PoolError(f"{self.method}: the model raised {error}"))

    def lost(self, span: Span, *, blamed: bool) -> None:
        span = replace(span, deaths=span.deaths + blamed, losses=span.losses + 1, suspect=True)
        if span.deaths >= _MOST_DEATHS or span.losses >= _MOST_LOSSES:
            self.fail(PoolError(f"{self.method}: its actor died {span.losses} times; look into the logs of the cluster."))
        else:
            self._waiting = span
