"""A function in a thread: it runs from pause to pause, ends by itself or is ended."""

from __future__ import annotations

import gc
import threading
import time
import weakref

import pytest

from archsearch.evaluators.function import paused_call
from archsearch.evaluators.function.paused_call import CandidateStopped, PausedCall


def started(function: object, name: str = "function under test") -> PausedCall:
    call = PausedCall(name)
    call.start(lambda: function(call))  # type: ignore[operator]
    return call


def test_runs_from_pause_to_pause() -> None:
    seen: list[int] = []

    def count(call: PausedCall) -> str:
        for number in range(2):
            seen.append(number)
            call.pause()
        return "end"

    call = started(count)
    time.sleep(0.01)
    assert seen == []
    assert (call.advance(), seen) == (False, [0])
    assert (call.advance(), seen) == (False, [0, 1])
    assert (call.advance(), call.returned, call.raised) == (True, "end", None)
    assert call.advance()  # once more is no harm


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3), KeyboardInterrupt()])
def test_errors_are_kept(error: BaseException) -> None:
    def fail(call: PausedCall) -> None:
        raise error

    call = started(fail)
    assert call.advance()
    assert call.raised is error


def test_stopped_function_ends_with_its_cleanup() -> None:
    events: list[str] = []

    def stubborn(call: PausedCall) -> None:
        try:
            try:
                call.pause()
            except Exception:
                events.append("caught")  # it is no Exception
        finally:
            events.append("cleaned up")

    call = started(stubborn)
    call.advance()
    call.stop()
    assert events == ["cleaned up"]
    assert isinstance(call.raised, CandidateStopped)
    call.stop()


def test_function_that_catches_all_is_stopped_at_its_next_pause() -> None:
    def greedy(call: PausedCall) -> None:
        try:
            call.pause()
        except BaseException:
            call.pause()

    call = started(greedy)
    call.advance()
    call.stop()
    assert call.ended


def test_function_that_was_never_begun_ends_too() -> None:
    before = threading.active_count()
    call = started(lambda call: pytest.fail("it was not to begin"))
    call.stop()
    assert threading.active_count() == before
    PausedCall("without a function").stop()


def test_function_that_goes_on_is_said(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paused_call, "_SECONDS_TO_END", 0.05)
    release = threading.Event()

    def deaf(call: PausedCall) -> None:
        try:
            call.pause()
        finally:
            release.wait(10)

    call = started(deaf, "deaf")
    call.advance()
    call.stop()
    assert "deaf goes on 0.05 s after" in caplog.text
    release.set()


def test_what_a_stopped_function_held_is_freed() -> None:
    class Weights:
        pass

    held: list[weakref.ref[Weights]] = []

    def holding(call: PausedCall) -> None:
        weights = Weights()
        held.append(weakref.ref(weights))
        call.pause()

    call = started(holding)
    call.advance()
    call.stop()
    del call
    gc.collect()
    assert held[0]() is None
