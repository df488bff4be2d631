"""Deaths are counted against the candidate that was evaluated alone, and against no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from archsearch.cluster.ledger.ledger import Ledger
from archsearch.cluster.trials.attempts import (
    DEATHS_PER_BATCH,
    Attempt,
    AttemptNote,
    forget_attempts,
    processes_of,
)
from archsearch.spaces import SearchSpace


@pytest.fixture
def ledger(space: SearchSpace, tmp_path: Path) -> Ledger:
    return Ledger(tmp_path, space, "evaluator")


def test_one_of_several_is_not_blamed_but_all_go_one_by_one() -> None:
    attempt = Attempt(trying=None)
    attempt.after_death({"a", "b"})
    assert attempt.one_by_one
    assert attempt.deaths == {}


def test_two_deaths_alone_are_a_verdict() -> None:
    attempt = Attempt(trying="a")
    attempt.after_death({"a", "b"})
    assert attempt.verdict("a") is None
    attempt.after_death({"a", "b"})
    assert attempt.verdict("a") == "it killed its process 2 times (a crash, or too little memory?)"
    assert attempt.verdict("b") is None


def test_a_recorded_candidate_and_one_whose_node_was_lost_are_not_blamed() -> None:
    attempt = Attempt(trying="a")
    attempt.after_death({"b"})
    attempt.after_death({"a"}, node_lost=True)
    assert attempt.deaths == {}


def test_a_batch_with_too_many_deaths_is_given_up() -> None:
    assert Attempt(processes=DEATHS_PER_BATCH).verdict("any") == f"given up: {DEATHS_PER_BATCH} processes died in its batch"


def test_a_note_is_read_back_until_it_is_forgotten(ledger: Ledger) -> None:
    note = AttemptNote(ledger, "run", 3)
    assert note.read() is None
    note.begin(Attempt(deaths={"a": 1}, processes=2), ["b"])
    assert note.read() == Attempt(deaths={"a": 1}, trying="b", processes=2)
    assert (processes_of(ledger, "run", 3), processes_of(ledger, "run", 4)) == (2, 0)
    forget_attempts(ledger, "run")
    assert note.read() is None
    forget_attempts(ledger, "run")


def test_chunks_of_several_share_one_note(ledger: Ledger) -> None:
    note, attempt = AttemptNote(ledger, "run", 0), Attempt()
    note.begin(attempt, ["a", "b"])
    attempt.processes = 5
    note.begin(attempt, ["c", "d"])
    assert processes_of(ledger, "run", 0) == 0, "the second chunk is not written"
    note.begin(attempt, ["e"])
    assert processes_of(ledger, "run", 0) == 5
