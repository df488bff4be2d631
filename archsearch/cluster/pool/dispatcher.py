"""The thread that sends the chunks of calls to the actors of a pool and receives their answers."""

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

# Number of chunks with an actor at once: the second travels while the first is worked on.
_IN_FLIGHT = 2
# Number of deaths without an answer in between after which the model is taken to be broken, not a candidate.
_MOST_DEATHS_IN_A_ROW = 12
# Time to wait for an actor that Ray cannot restart yet, such as for lack of a node, when no other is up.
_MOST_SECONDS_WITHOUT_ACTORS = 300.0
_SECONDS_BETWEEN_CHECKS = 1.0


@dataclass(slots=True)
class PoolCounts:
    """Statistics of the calls of one handle of a pool.

    Args:
        chunks: Number of chunks and jobs that were answered.
        deaths: Number of deaths of actors with work of this handle.
        refusals: Number of chunks and jobs for which the model raised.
        switches: Number of states that actors loaded for work of this handle.
        most_in_flight: Largest number of chunks with one actor at once.
        busy_seconds: Seconds in the model's methods, over all actors.
        longest_chunk: Seconds of the longest chunk or job.
        longest_load: Seconds of the longest loading of a state.
        longest_wait: Longest time in seconds from sending a chunk or job to its answer, without the seconds in the model.
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
        """Count an answer that came `seconds` after its chunk was sent."""
        self.chunks += 1
        self.busy_seconds += answer.seconds
        self.longest_chunk = max(self.longest_chunk, answer.seconds)
        self.switches += answer.load_seconds > 0
        self.longest_load = max(self.longest_load, answer.load_seconds)
        self.longest_wait = max(self.longest_wait, seconds - answer.seconds)


class Dispatcher:
    """Sends work to actors and receives the answers, in its own thread.

    It is a thread of the calling process: Tune's loop waits most of the time, so the thread gets the interpreter when it needs
    it (for tenths of a millisecond a chunk); it sees the death of an actor at once, and results arrive where they are used.
    Actors that pull work from a queue would need another process, another hop for each chunk, and a supervisor.

    The thread owns all state: calls and answers of Ray are posted to it as functions. Ray restarts actors (`max_restarts=-1`)
    but never retries a call (`max_task_retries=0`): only the dispatcher knows which candidates were with an actor that died.

    Args:
        layout: Settings of the pool.
        branch: Branch of the states that answer the calls.
        handles: Ray handles of the actors.
        registry: Ray handle of the pool's registry.
        owner: Whether this process has started the actors, so that they make their models before the first call.
    """

    def __init__(self, layout: PoolLayout, branch: str, handles: Sequence[Any], registry: Any, *, owner: bool) -> None:
        self._branch = branch
        self.keep = layout.shared or not owner
        """Whether the registry keeps copies of states, because the pool may outlive this process."""
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
        """Queue a call; its future resolves when all of it is answered."""
        self._mailbox.post(partial(self._open, call))
        if self._stopped:  # the thread may have ended before it saw the call
            call.fail(PoolError(self._broken))

    def learn(self, own: Published) -> None:
        """Use a state that this process has published."""
        self._mailbox.post(partial(self._states.learn, own))

    def stop(self) -> None:
        """End the thread and fail open calls."""
        self._mailbox.post(self._stop)

    # The thread

    def _run(self) -> None:
        while not self._stopped:
            try:
                self._mailbox.run(self._patience())
                self._check()
                self._fill()
            except Exception as error:  # whatever the error, no caller may wait forever
                logger.debug("the dispatcher of the pool %s failed", self._layout.name, exc_info=True)
                self._break(f"its dispatcher failed ({first_line(error)}); attach to the pool again")
        self._mailbox.run(0)  # fails the calls that came meanwhile

    def _patience(self) -> float | None:
        """Return the seconds until the next check by time; None waits for the next message."""
        if self._calls:
            return _SECONDS_BETWEEN_CHECKS
        return None if self._broken else self._states.patience

    def _stop(self) -> None:
        self._break("it was closed here; attach to it again")
        self._stopped = True

    def _break(self, reason: str) -> None:
        """Fail all open calls, and all calls from now on."""
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
        """Check what depends on time: hanging actors, a pool without actors, a reminder to the registry."""
        now = time.monotonic()
        self._calls = deque(call for call in self._calls if not call.future.done())
        if self._layout.hang_seconds is not None:
            for seat in self._seats:
                seat.end_hanging(self._layout.hang_seconds)
        if not self._calls or any(seat.up for seat in self._seats):
            self._last_up = now
        elif now - self._last_up > _MOST_SECONDS_WITHOUT_ACTORS:
            self._fail_all(f"pool {self._layout.name}: no actor was restarted within {now - self._last_up:.0f} seconds.")
        if self._calls and not ray.is_initialized():
            self._break("Ray was shut down; connect again and attach to the pool")
        if not self._broken and self._states.is_due():
            self._reception.remind()

    # Calls that begin

    def _open(self, call: Call) -> None:
        if self._broken:
            call.fail(PoolError(self._broken))
        else:
            self._reception.open(call)

    def _reopen(self, version: int) -> None:
        """Ask the registry again for the newest state of all calls, because this one could not be fetched."""
        self._states.drop(version)
        waiting, self._calls = self._calls, deque()
        for call in waiting:
            self._open(call)

    def _admit(self, call: Call) -> None:
        self._calls.append(call)

    @property
    def highest_version(self) -> int:
        """The highest version that this process has seen."""
        return self._states.highest

    # Sending

    def _fill(self) -> None:
        """Send work to each actor with a free place, first to the idle ones."""
        if not self._calls:
            return
        # Work that needs an actor for itself waits until one is idle.
        depth = 1 if any(call.waits(alone=True) for call in self._calls) else _IN_FLIGHT
        for level in range(1, depth + 1):
            for seat in self._seats:
                while seat.has_room(level) and (work := self._next_work(empty=not seat.in_flight)):
                    self._send(seat, *work)

    def _next_work(self, *, empty: bool) -> tuple[Call, Span, bool] | None:
        """Return the next work, from the open calls in turn, so that a small call does not wait for a large one."""
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
        # The reference doubles the cost of a call, so it is sent only to actors without the state.
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
        """Send again the work that was lost with an actor, and wait for Ray to restart it.

        Of several chunks it is unknown which one killed the actor, as an answer may be lost with the actor. Each becomes
        suspect and is then sent to an actor alone.
        """
        lost, seat.lost = seat.lost, []
        self.counts.deaths += 1
        self._deaths_in_a_row += 1
        for sent in lost:
            sent.call.lost(sent.span, blamed=len(lost) == 1 and is_at_work(self._registry, sent.token))
        if self._deaths_in_a_row >= _MOST_DEATHS_IN_A_ROW:
            self._fail_all(
                f"pool {self._layout.name}: actors died {self._deaths_in_a_row} times without an answer in between; "
                "the model kills its process for any input. Look into the logs of the cluster."
            )
            self._deaths_in_a_row = 0
        if not self._broken:
            seat.probe()

    def _retired(self, reason: str) -> None:
        """Log that an actor will not be restarted; when all have ended, fail all calls."""
        logger.warning("pool %s: an actor has ended for good (%s)", self._layout.name, reason)
        if all(seat.gone for seat in self._seats):
            self._break(f"all its actors are gone ({reason})")
