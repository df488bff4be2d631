"""A seat follows its actor: alive, model made, at work, dead, back again, gone."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import pytest
from ray.exceptions import ActorDiedError, ActorUnavailableError

from archsearch.cluster.pool import seat as module
from archsearch.cluster.pool.actor import Done, Refused
from archsearch.cluster.pool.answer import PoolError
from archsearch.cluster.pool.call import JobCall, Span
from archsearch.cluster.pool.mailbox import Mailbox
from archsearch.cluster.pool.newest_state import NewestState
from archsearch.cluster.pool.seat import Seat, Sent


class Method:
    """Stands for a method of an actor: gives its answers one after the other."""

    def __init__(self, *answers: Any) -> None:
        self.answers, self.asked = list(answers), []

    def remote(self, *arguments: Any) -> Method:
        self.asked.append(arguments)
        return self

    def future(self) -> Future[Any]:
        future: Future[Any] = Future()
        value = self.answers.pop(0)
        if isinstance(value, Exception):
            future.set_exception(value)
        else:
            future.set_result(value)
        return future


class Handle:
    def __init__(self, alive: Method, prepare: Method) -> None:
        self.alive, self.prepare = alive, prepare


class Made:
    """A seat with an actor that gives these answers, after its mailbox was emptied."""

    def __init__(self, alive: list[Any], prepare: list[Any], makes_model: bool = True) -> None:
        self.handle = Handle(Method(*alive), Method(*prepare))
        self.ready: Future[None] = Future()
        self.retired: list[str] = []
        mailbox = Mailbox()
        states = NewestState(None, "main", keep=False)
        self.seat = Seat(self.handle, mailbox, states, makes_model=makes_model, ready=self.ready, retired=self.retired.append)
        self.seat.probe()
        mailbox.run(0)


def sent(alone: bool = False) -> Sent:
    return Sent(JobCall("fit", None, {}), Span(0, 1), alone=alone, version=0, token=None)


def test_an_actor_is_up_when_its_model_is_made() -> None:
    made = Made([1], [Done(None, 0, 0.0)])
    assert made.seat.up
    assert made.seat.holds == 0
    assert made.ready.result(timeout=0) is None
    [(branch, version, reference, _)] = made.handle.prepare.asked
    assert (branch, version, list(reference)) == ("main", 0, [])


def test_an_actor_of_another_owner_without_a_state_needs_no_preparation() -> None:
    made = Made([1], [], makes_model=False)
    assert made.seat.up
    assert made.seat.holds is None


def test_a_model_that_cannot_be_made_fails_the_start() -> None:
    made = Made([1], [Refused("model", "ValueError: no")])
    with pytest.raises(PoolError, match="model: it cannot be made in an actor"):
        made.ready.result(timeout=0)


def test_an_actor_that_is_restarted_is_asked_again_and_one_that_died_for_good_is_retired() -> None:
    made = Made([ActorUnavailableError("restarting", None), ActorDiedError()], [])
    assert len(made.handle.alive.asked) == 2
    assert made.seat.gone
    assert not made.seat.up
    assert len(made.retired) == 1


def test_an_actor_that_dies_three_times_before_its_first_call_is_retired(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "is_at_work", lambda registry, token: True)
    made = Made([1, 2, 3], [ActorUnavailableError("dead", None)] * 3)
    assert made.seat.gone
    assert "died 3 times before its first call" in made.retired[0]


def test_work_that_needs_the_actor_for_itself_leaves_no_place_for_other_work() -> None:
    seat = Made([1], [Done(None, 0, 0.0)]).seat
    assert seat.has_room(2)
    seat.take(sent())
    assert seat.has_room(2) and not seat.has_room(1)
    seat.give(seat.in_flight[0], None)
    seat.take(sent(alone=True))
    assert not seat.has_room(2)


def test_a_death_loses_the_work_and_other_errors_do_not() -> None:
    seat = Made([1], [Done(None, 0, 0.0)]).seat
    first, second = sent(), sent()
    seat.take(first)
    seat.take(second)
    assert not seat.give(first, ValueError("of the model"))
    assert seat.up
    assert seat.give(second, ActorUnavailableError("dead", None))
    assert not seat.up
    assert seat.lost == [second]
