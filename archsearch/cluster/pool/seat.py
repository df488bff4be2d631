"""One actor of a pool as a caller tracks it: its starts and deaths, and the work that it has."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import ray
from ray.exceptions import ActorDiedError, NodeDiedError, OutOfMemoryError, RayActorError, WorkerCrashedError

from archsearch.cluster.pool.actor import Refused
from archsearch.cluster.pool.answer import PoolError
from archsearch.cluster.pool.call import Call, Span
from archsearch.cluster.pool.mailbox import Mailbox
from archsearch.cluster.pool.newest_state import NewestState
from archsearch.cluster.pool.registry import is_at_work
from archsearch.errors import first_line

# Number of deaths before the first call after which an actor is not started again.
_MOST_FAILED_STARTS = 3
_DEATHS = (RayActorError, WorkerCrashedError, NodeDiedError, OutOfMemoryError)


@dataclass(slots=True)
class Sent:
    """Work that was sent to an actor and not answered yet.

    Args:
        call: The call that it is part of.
        span: Its range of candidates.
        alone: Whether it has the actor for itself.
        version: Lowest version of the state that may answer.
        token: Token that the registry keeps while it is worked on; None for work without one.
        moment: Time of sending, on the monotonic clock, in seconds.
    """

    call: Call
    span: Span
    alone: bool
    version: int
    token: str | None
    moment: float = field(default_factory=time.monotonic)


class Seat:
    """An actor and the work that it has from this caller.

    Ray restarts the actor when it dies. It gets work again when it is alive, has made its model and has loaded the newest state:
    an actor that dies before that dies of the model or the state, not of a candidate.

    Args:
        handle: Ray handle of the actor.
        mailbox: Mailbox of the thread that owns the seat.
        states: The newest state, which a new actor loads before its first call.
        makes_model: Whether a new actor makes its model before its first call although there is no state.
        ready: Resolves when the first actor of the pool is ready for work, or fails if the model cannot be made.
        retired: Called with the reason when the actor will not be restarted.
    """

    def __init__(
        self,
        handle: Any,
        mailbox: Mailbox,
        states: NewestState,
        *,
        makes_model: bool,
        ready: Future[None],
        retired: Callable[[str], None],
    ) -> None:
        self.handle = handle
        self.up = self.gone = False
        self.in_flight: list[Sent] = []
        self.lost: list[Sent] = []
        self.holds: int | None = None
        """Version of the branch that the actor should have loaded; None if unknown."""
        self._mailbox, self._states, self._makes_model = mailbox, states, makes_model
        self._ready, self._retired = ready, retired
        self._failed_starts = 0
        self._last_sign = time.monotonic()

    def has_room(self, depth: int) -> bool:
        """Return whether it may get more work, if it may have `depth` pieces at once."""
        return self.up and len(self.in_flight) < depth and not any(sent.alone for sent in self.in_flight)

    def take(self, sent: Sent) -> None:
        """Note that work was sent."""
        if not self.in_flight:
            self._last_sign = time.monotonic()
        self.in_flight.append(sent)

    def give(self, sent: Sent, error: BaseException | None) -> bool:
        """Note that work was answered or failed with `error`; return whether the actor died."""
        self.in_flight.remove(sent)
        self._last_sign = time.monotonic()
        if not isinstance(error, _DEATHS):
            return False
        self.up = False
        self.lost.append(sent)
        return True

    def end_hanging(self, limit: float) -> None:
        """Kill the actor if its current chunk has taken longer than `limit` seconds; Ray restarts it."""
        if self.up and self.in_flight and not self.in_flight[0].call.is_job and time.monotonic() - self._last_sign > limit:
            self._last_sign = time.monotonic()
            ray.kill(self.handle, no_restart=False)

    def probe(self) -> None:
        """Wait until the actor is alive, again or for the first time."""
        self.up, self.holds = False, None
        self._mailbox.ask(self.handle.alive.remote(), self._take_sign)

    def _take_sign(self, answer: Future[Any]) -> None:
        error = answer.exception()
        if isinstance(error, ActorDiedError):  # Ray does not restart it
            self._retire(first_line(error))
        elif error is not None:
            self.probe()
        elif self._makes_model or self._states.published.version:
            newest, token = self._states.published, uuid.uuid4().hex
            reference = self.handle.prepare.remote(self._states.branch, newest.version, newest.reference, token)
            self._mailbox.ask(reference, partial(self._take_start, newest.version, token))
        else:
            self._rise(None)

    def _take_start(self, version: int, token: str, answer: Future[Any]) -> None:
        error = answer.exception()
        if error is None:
            outcome = answer.result()
            if isinstance(outcome, Refused):
                with suppress(InvalidStateError):
                    self._ready.set_exception(PoolError(f"model: it cannot be made in an actor ({outcome.error})."))
            self._rise(None if isinstance(outcome, Refused) else version)
            return
        self._failed_starts += is_at_work(self._states.registry, token)
        if self._failed_starts >= _MOST_FAILED_STARTS:
            self._retire(f"it died {self._failed_starts} times before its first call: {first_line(error)}")
        else:
            self.probe()

    def _rise(self, holds: int | None) -> None:
        self.up, self.holds, self._failed_starts = True, holds, 0
        with suppress(InvalidStateError):
            self._ready.set_result(None)

    def _retire(self, reason: str) -> None:
        self.gone = True
        self._retired(reason)
