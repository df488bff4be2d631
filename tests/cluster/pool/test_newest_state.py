"""A caller reads states from the registry, and gives its own state back to a restarted registry."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import pytest
from ray.exceptions import ActorDiedError

from archsearch.cluster.pool import newest_state
from archsearch.cluster.pool.answer import PoolError
from archsearch.cluster.pool.call import JobCall
from archsearch.cluster.pool.mailbox import Mailbox
from archsearch.cluster.pool.newest_state import NewestState, Reception
from archsearch.cluster.pool.registry import Published


class Reference:
    def __init__(self, value: Any) -> None:
        self.value = value

    def future(self) -> Future[Any]:
        return answer(self.value)


class Method:
    def __init__(self, value: Any) -> None:
        self.value, self.asked = value, []

    def remote(self, *arguments: Any) -> Reference:
        self.asked.append(arguments)
        return Reference(self.value)


class Registry:
    def __init__(self, value: Any) -> None:
        self.newest, self.give_back = Method(value), Method(None)


def answer(value: Any) -> Future[Any]:
    future: Future[Any] = Future()
    if isinstance(value, Exception):
        future.set_exception(value)
    else:
        future.set_result(value)
    return future


def test_states_of_others_are_learned_and_versions_never_fall() -> None:
    states = NewestState(Registry(None), "main", keep=False)
    assert not states.compare(answer((Published(3, ["three"]), False)))
    assert states.published.version == states.highest == 3
    states.compare(answer((Published(2, ["two"]), False)))
    assert states.published.version == 3


def test_a_restarted_registry_gets_the_state_back() -> None:
    registry, own = Registry(None), Published(2, ["mine"])
    states = NewestState(registry, "main", keep=True)
    states.learn(own)
    assert not states.compare(answer((Published(), True)))
    assert registry.give_back.asked == [("main", own, True)]
    assert states.patience is not None


def test_a_state_that_is_lost_leaves_the_caller_unsure() -> None:
    states = NewestState(Registry(None), "main", keep=False)
    states.compare(answer((Published(3, ["three"]), False)))
    states.drop(3)
    assert states.compare(answer((Published(), True)))
    assert states.highest == 3
    assert states.patience is None
    assert not states.is_due()


def test_a_registry_that_is_gone_ends_the_pool() -> None:
    states = NewestState(Registry(None), "main", keep=False)
    with pytest.raises(PoolError, match="it was shut down"):
        states.compare(answer(ActorDiedError()))


def received(registry: Registry, states: NewestState) -> tuple[JobCall, list[JobCall], list[str]]:
    mailbox, admitted, ended, call = Mailbox(), [], [], JobCall("fit", None, {})
    Reception("pool", mailbox, states, admitted.append, ended.append).open(call)
    while not (admitted or ended or call.future.done()):
        mailbox.run(5.0)
    return call, admitted, ended


def test_a_call_is_admitted_with_the_newest_state() -> None:
    registry = Registry((Published(1, ["one"]), False))
    states = NewestState(registry, "main", keep=False)
    call, admitted, ended = received(registry, states)
    assert (admitted, ended) == ([call], [])
    assert states.published == Published(1, ["one"])


def test_a_call_for_a_lost_state_fails_unless_it_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(newest_state, "_MOST_SECONDS_UNSURE", 0.05)
    monkeypatch.setattr(newest_state, "_SECONDS_BETWEEN_QUESTIONS", 0.01)
    registry = Registry((Published(), True))
    states = NewestState(registry, "main", keep=False)
    states.compare(answer((Published(2, ["two"]), False)))
    states.drop(2)
    call, admitted, _ = received(registry, states)
    assert admitted == []
    with pytest.raises(PoolError, match="pool pool: state 2 was lost"):
        call.future.result(timeout=0)
    assert len(registry.newest.asked) > 1


def test_after_waiting_the_branch_counts_as_unpublished(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(newest_state, "_MOST_SECONDS_UNSURE", 0.05)
    monkeypatch.setattr(newest_state, "_SECONDS_BETWEEN_QUESTIONS", 0.01)
    registry = Registry((Published(), True))
    states = NewestState(registry, "main", keep=False)
    call, admitted, _ = received(registry, states)
    assert admitted == [call]
    assert states.trusting
