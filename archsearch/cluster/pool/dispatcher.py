"""The thread that sends the chunks of calls to the actors of a pool and takes their answers."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import ray

from archsearch.cluster.pool.actor import Done, Refused, Request, Stale
from archsearch.cluster.pool.answer import PoolError
from archsearch.cluster.pool.call import Call, Span
from archsearch.cluster.pool.layout import PoolLayout
from archsearch.cluster.pool.mailbox import Mailbox
from archsearch.cluster.pool.newest_state import NewestState, Reception
from archsearch.cluster.pool.registry import Published, is_at_work
from archsearch.cluster.pool.seat import Seat, Sent
from archsearch.errors import first_line

logger = logging.getLogger(__name__)

# Chunks with an actor at once: the second travels while the first is worked on.
_IN_FLIGHT = 2
# Deaths in a row without an answer in between: the model itself is broken, not a candidate.
_MOST_DEATHS_IN_A_ROW = 12
# If there is no actor, one that Ray cannot restart for want of a node is waited for so long.
_MOST_SECONDS_WITHOUT_ACTORS = 300.0
_SECONDS_BETWEEN_CHECKS = 1.0


@dataclass(slots=True)
class PoolCounts:
    """What a handle of a pool has seen so far.

    Args:
        chunks: Chunks and jobs that were answered.
        deaths: Deaths of actors that had work of this handle.
        refusals: Chunks and jobs whose model raised.
        switches: Times that an actor loaded a state for work of this handle.
        most_in_flight: The most chunks that were with one actor at once.
        busy_seconds: Seconds of the model's methods, over all actors.
        longest_chunk: Seconds of the longest chunk or job.
        longest_load: Seconds of the longest loading of a state.
        longest_wait: Most seconds that a chunk or job was with an actor without being worked on: those of the chunk before it,
            of loading, and of travelling.
    """

    chunks: int = 0
    deaths: int = 0
    refusals: int = 0
    switches: int = 0
    most_in_flight: int = 0
    busy_seconds: float = 0.0
    longest_chunk: float = 0.0
    longest_load: float = 0.0
    longest_wait: float = 0.0

    def take(self, answer: Done, seconds: float) -> None:
        """Take note of an answer, and of the seconds since its chunk was sent."""
        self.chunks += 1
        self.busy_seconds += answer.seconds
        self.longest_chunk = max(self.longest_chunk, answer.seconds)
        self.switches += answer.load_seconds > 0
        self.longest_load = max(self.longest_load, answer.load_seconds)
        self.longest_wait = max(self.longest_wait, seconds - answer.seconds)


class Dispatcher:
    """Sends work to actors and takes the answers, in a thread of its own.

    A thread of the calling process fits best: Tune's loop is a single thread that waits most of the time, so this one gets the
    interpreter when it needs it (for tenths of a millisecond a chunk), it sees a death at once, and the results are where they
    are wanted. Actors that pull their work from a queue would need a further process, a further hop for each chunk and batch,
    and someone else to notice their death.

    All state belongs to the thread: what happens elsewhere (a call, an answer of Ray) is posted to it as a function. Ray
    restarts actors (`max_restarts=-1`), but never repeats a call by itself (`max_task_retries=0`): only here it is known
    which candidates were with an actor that died.

    Args:
        layout: How the pool was made.
        branch: Branch of states that answers the calls.
        handles: The actors.
        registry: The pool's registry.
        owner: Whether the actors were just made here, so that their models are to be made before the first call.
    """

    def __init__(self, layout: PoolLayout, branch: str, handles: Sequence[Any], registry: Any, *, owner: bool) -> None:
        self._branch = branch
        self.keep = layout.shared or not owner
        """Whether the registry is to copy states, because the pool may outlive this process."""
        self.counts = PoolCounts()
        self.ready: Future[None] = Future()
        self._layout, self._registry, self._states = layout, registry, NewestState(registry, branch, keep=self.keep)
        self._mailbox = Mailbox()
        self._seats = [
            Seat(handle, self._mailbox, self._states, makes_model=owner, ready=self.ready, retired=self._retired)
            for handle in handles
        ]
        self._calls: deque[Call] = deque()
        self._reception = Reception(layout.name, self._mailbox, self._states, self._admit, self._break)
        self._stopped, self._broken = False, ""
        self._deaths_in_a_row = 0
        self._last_up = time.monotonic()
        for seat in self._seats:
            self._mailbox.post(seat.probe)
        self._thread = threading.Thread(target=self._run, name=f"pool {layout.name}", daemon=True)
        self._thread.start()

    # From other threads

    def submit(self, call: Call) -> None:
        """Take a call; its future resolves when all is answered."""
        self._mailbox.post(partial(self._open, call))
        if self._stopped:  # perhaps too late for the thread to see it
            call.fail(PoolError(self._broken))

    def learn(self, own: Published) -> None:
        """Take note of a state that was published by this process."""
        self._mailbox.post(partial(self._states.learn, own))

    def stop(self) -> None:
        """End the thread; open calls fail."""
        self._mailbox.post(self._stop)

    # The thread

    def _run(self) -> None:
        while not self._stopped:
            try:
                self._mailbox.run(self._patience())
                self._check()
                self._fill()
            except Exception as error:  # whatever it is, nobody must wait for ever
                logger.debug("the dispatcher of the pool %s failed", self._layout.name, exc_info=True)
                self._break(f"its dispatcher failed ({first_line(error)}); attach to the pool again")
        self._mailbox.run(0)  # calls that came meanwhile fail

    def _patience(self) -> float | None:
        """Return the seconds until something is due though nothing happens."""
        if self._calls:
            return _SECONDS_BETWEEN_CHECKS
        return None if self._broken else self._states.patience

    def _stop(self) -> None:
        self._break("it was closed here; attach to it again")
        self._stopped = True

    def _break(self, reason: str) -> None:
        """Fail all open and later calls."""
        self._broken = self._broken or f"pool {self._layout.name}: {reason}."
        for seat in self._seats:
            seat.up = False
        self._fail_all(self._broken)

    def _fail_all(self, message: str) -> None:
        error = PoolError(message)
        self._reception.fail_all(error)
        while self._calls:
            self._calls.popleft().fail(error)
        with suppress(InvalidStateError):
            self.ready.set_exception(error)

    def _check(self) -> None:
        """Do what is due by time."""
        now = time.monotonic()
        self._calls = deque(call for call in self._calls if not call.future.done())
        if self._layout.hang_seconds is not None:
            for seat in self._seats:
                seat.end_hanging(self._layout.hang_seconds)
        if not self._calls or any(seat.up for seat in self._seats):
            self._last_up = now
        elif now - self._last_up > _MOST_SECONDS_WITHOUT_ACTORS:
            self._fail_all(f"pool {self._layout.name}: no actor came back in {now - self._last_up:.0f} seconds.")
        if self._calls and not ray.is_initialized():
            self._break("Ray has gone; connect again and attach to the pool")
        if not self._broken and self._states.is_due():
            self._reception.remind()

    # Calls that begin

    def _open(self, call: Call) -> None:
        if self._broken:
            call.fail(PoolError(self._broken))
        else:
            self._reception.open(call)

    def _reopen(self, version: int) -> None:
        """Let all calls wait until a state that could not be fetched is given back."""
        self._states.drop(version)
        waiting, self._calls = self._calls, deque()
        for call in waiting:
            self._open(call)

    def _admit(self, call: Call) -> None:
        self._calls.append(call)

    @property
    def highest_version(self) -> int:
        """The newest version that was ever known here."""
        return self._states.highest

    # Sending

    def _fill(self) -> None:
        """Give each actor with room its next work, first to those that have none."""
        if not self._calls:
            return
        # Work that needs an actor for itself waits for one to run dry.
        depth = 1 if any(call.waits(alone=True) for call in self._calls) else _IN_FLIGHT
        for level in range(1, depth + 1):
            for seat in self._seats:
                while seat.has_room(level) and (work := self._next_work(empty=not seat.in_flight)):
                    self._send(seat, *work)

    def _next_work(self, *, empty: bool) -> tuple[Call, Span, bool] | None:
        """Return work of the call whose turn it is; calls take turns, so that a small one need not wait for a large one."""
        actors = sum(seat.up for seat in self._seats)
        for alone in (True, False) if empty else (False,):
            for _ in range(len(self._calls)):
                call = self._calls[0]
                self._calls.rotate(-1)
                if call.waits(alone=alone) and not call.future.done():
                    return call, call.take(alone=alone, actors=actors), alone
        return None

    def _send(self, seat: Seat, call: Call, span: Span, alone: bool) -> None:
        newest, token = self._states.published, uuid.uuid4().hex if span.suspect else None
        # The reference doubles the cost of a call, so it travels only where it is needed.
        state = () if seat.holds is not None and seat.holds >= newest.version else newest.reference
        try:
            payload = call.payload(span)
            request = Request(call.method, payload, call.options, self._branch, newest.version, state, token)
            reference = seat.handle.work.remote(request)
        except Exception as error:
            call.fail(PoolError(f"{call.method}: its argument cannot be sent ({first_line(error)})."))
            return
        sent = Sent(call, span, alone, newest.version, token)
        seat.take(sent)
        seat.holds = max(newest.version, seat.holds or 0)
        self.counts.most_in_flight = max(self.counts.most_in_flight, len(seat.in_flight))
        self._mailbox.ask(reference, partial(self._take_answer, seat, sent))

    # Answers

    def _take_answer(self, seat: Seat, sent: Sent, answer: Future[Any]) -> None:
        error = answer.exception()
        died = seat.give(sent, error)
        if error is None:
            self._take_outcome(seat, sent, answer.result())
        elif not died:
            sent.call.fail(PoolError(f"{sent.call.method}: {first_line(error)}"))
        if seat.lost and not seat.in_flight:
            self._bury(seat)

    def _take_outcome(self, seat: Seat, sent: Sent, outcome: Done | Refused | Stale) -> None:
        call, span = sent.call, sent.span
        if isinstance(outcome, Stale):
            seat.holds = None
            call.put_back(span)
            return
        self._deaths_in_a_row = 0
        if isinstance(outcome, Refused):
            self.counts.refusals += 1
            if outcome.kind == "lost":
                seat.holds = None
                call.put_back(span)
                self._reopen(sent.version)
            elif outcome.kind == "model":
                seat.holds = None
                call.fail(PoolError(f"{call.method}: the model cannot be used ({outcome.error})."))
            else:
                call.refused(span, outcome.error, memory=outcome.kind == "memory")
        else:
            self.counts.take(outcome, time.monotonic() - sent.moment)
            seat.holds = outcome.version
            call.answered(span, outcome.value, outcome.version, outcome.seconds)
        if call.method == "fit":
            seat.holds = None

    def _bury(self, seat: Seat) -> None:
        """Send again what was lost with an actor, and wait for Ray to restart it.

        Which of several chunks killed it cannot be told: an answer may be lost with the actor that gave it. Each is suspect
        then, and gets an actor for itself when it is sent again.
        """
        lost, seat.lost = seat.lost, []
        self.counts.deaths += 1
        self._deaths_in_a_row += 1
        for sent in lost:
            sent.call.lost(sent.span, blamed=len(lost) == 1 and is_at_work(self._registry, sent.token))
        if self._deaths_in_a_row >= _MOST_DEATHS_IN_A_ROW:
            self._fail_all(
                f"pool {self._layout.name}: actors died {self._deaths_in_a_row} times without an answer in between; "
                "the model kills its process whatever it is given. Look into the logs of the cluster."
            )
            self._deaths_in_a_row = 0
        if not self._broken:
            seat.probe()

    def _retired(self, reason: str) -> None:
        """Note that an actor is gone for good; without any actor the pool has ended."""
        logger.warning("pool %s: an actor is gone (%s)", self._layout.name, reason)
        if all(seat.gone for seat in self._seats):
            self._break(f"all its actors are gone ({reason})")
