"""Failed chunks of a call are split until the candidates at fault are alone."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archsearch.cluster.pool.answer import PoolError
from archsearch.cluster.pool.call import CandidateCall, JobCall, Span
from archsearch.cluster.pool.chunking import ChunkSizer

Outcome = Callable[[CandidateCall, Span, bool], None]


def run(call: CandidateCall, outcome: Outcome) -> int:
    """Give each chunk of a call an outcome; return the number of chunks."""
    chunks = 0
    while not call.future.done():
        alone = call.waits(alone=True)
        assert alone or call.waits(alone=False), "a call that is not answered has nothing to send"
        outcome(call, call.take(alone=alone, actors=1), alone)
        chunks += 1
    return chunks


def answer(call: CandidateCall, span: Span) -> None:
    batch = call.payload(span)
    call.answered(span, {"score": np.asarray(batch, dtype=float)}, version=1, seconds=1e-4 * len(batch))


def make(size: int, fixed: int | None = None) -> CandidateCall:
    return CandidateCall("score", np.arange(size), {}, ChunkSizer(0.25, fixed))


candidates = st.integers(1, 2_000).flatmap(
    lambda size: st.tuples(st.just(size), st.sets(st.integers(0, size - 1), max_size=4), st.integers(1, size))
)


@given(candidates, st.booleans())
def test_candidates_that_kill_actors_are_found_in_few_deaths(case: tuple[int, set[int], int], blamed_at_first: bool) -> None:
    size, killers, fixed = case
    deaths = 0

    def outcome(call: CandidateCall, span: Span, alone: bool) -> None:
        nonlocal deaths
        if killers & set(range(span.start, span.stop)):
            deaths += 1
            call.lost(span, blamed=alone or blamed_at_first)
        else:
            answer(call, span)

    call = make(size, fixed)
    run(call, outcome)
    result = call.future.result()
    assert set(result.errors) == killers
    assert all("killed its actor 2 times" in error for error in result.errors.values())
    healthy = np.setdiff1d(np.arange(size), list(killers))
    np.testing.assert_array_equal(result.values[healthy], healthy)
    assert deaths <= len(killers) * (math.ceil(math.log(max(fixed, 2), 16)) + 4)


@given(candidates)
def test_candidates_for_which_the_model_raises_get_their_error(case: tuple[int, set[int], int]) -> None:
    size, refused, fixed = case

    def outcome(call: CandidateCall, span: Span, alone: bool) -> None:
        assert not alone, "an exception is no death"
        guilty = refused & set(range(span.start, span.stop))
        if guilty:
            call.refused(span, f"ValueError: {min(guilty)}", memory=False)
        else:
            answer(call, span)

    call = make(size, fixed)
    chunks = run(call, outcome)
    assert call.future.result().errors == {position: f"ValueError: {position}" for position in refused}
    assert chunks <= -(-size // fixed) + len(refused) * 16 * 4


@given(st.integers(1, 2_000), st.integers(1, 300))
def test_chunks_that_do_not_fit_into_memory_are_halved_and_later_ones_too(size: int, room: int) -> None:
    seen: list[int] = []

    def outcome(call: CandidateCall, span: Span, alone: bool) -> None:
        seen.append(len(span))
        if len(span) > room:
            call.refused(span, "MemoryError", memory=True)
        else:
            answer(call, span)

    call = make(size)
    run(call, outcome)
    assert not call.future.result().errors
    had_to_shrink = max(seen) > room
    seen.clear()
    run(CandidateCall("score", np.arange(size), {}, call.sizer), outcome)
    assert not had_to_shrink or max(seen) <= room


def test_a_candidate_too_large_for_memory_does_not_shrink_later_chunks() -> None:
    def outcome(call: CandidateCall, span: Span, alone: bool) -> None:
        if span.start <= 700 < span.stop:
            call.refused(span, "MemoryError: 80 GB", memory=True)
        else:
            answer(call, span)

    call = make(1000, fixed=512)
    run(call, outcome)
    assert call.future.result().errors == {700: "MemoryError: 80 GB"}
    assert call.sizer.limit is None


def test_a_death_with_several_candidates_blames_none() -> None:
    call = make(2, fixed=1)
    first, second = call.take(alone=False, actors=1), call.take(alone=False, actors=1)
    for _ in range(5):
        call.lost(first, blamed=False)
        call.lost(second, blamed=False)
        first, second = call.take(alone=True, actors=1), call.take(alone=True, actors=1)
    answer(call, second)
    answer(call, first)
    assert not call.future.result().errors


def test_a_chunk_lost_repeatedly_is_not_sent_again() -> None:
    call = make(1)
    losses = run(call, lambda call, span, alone: call.lost(span, blamed=False))
    assert losses == 20
    assert "was lost with its actor 20 times" in call.future.result().errors[0]


def test_empty_batch_is_answered_at_once() -> None:
    assert len(make(0).future.result(timeout=0)) == 0


def test_chunks_of_different_shapes_fail_the_call() -> None:
    call = make(2, fixed=1)
    for shape in ((1, 2), (1, 3)):
        call.answered(call.take(alone=False, actors=1), {"score": np.zeros(shape)}, 0, 0.1)
    with pytest.raises(PoolError, match="give the same columns"):
        call.future.result(timeout=0)


def test_a_job_is_retried_once() -> None:
    job = JobCall("fit", "rows", {})
    assert not job.waits(alone=False)
    for _ in range(2):
        assert job.waits(alone=True)
        job.lost(job.take(alone=True, actors=1), blamed=True)
    assert not job.waits(alone=True)
    with pytest.raises(PoolError, match="fit: its actor died 2 times"):
        job.future.result(timeout=0)


def test_a_cancelled_call_ignores_late_answers() -> None:
    call = make(1)
    span = call.take(alone=False, actors=1)
    assert call.future.cancel()
    answer(call, span)
    call.fail(PoolError("late"))
    assert call.future.cancelled()
