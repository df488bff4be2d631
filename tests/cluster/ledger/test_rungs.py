"""The record of a scheduler's decisions: what is written is read, through merges, kills and corrupt files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from archsearch.cluster import Ledger
from archsearch.cluster.ledger.rungs import RungAction, RungEvent, RungLog, candidates_in_hand, partial_outcomes
from archsearch.errors import LedgerError
from archsearch.evaluators import Evaluation
from archsearch.spaces import Architecture, SearchSpace


@pytest.fixture
def ledger(space: SearchSpace, tmp_path: Path) -> Ledger:
    return Ledger(tmp_path, space, "0123456789abcdef")


def event(order: int, trial: int = 0, action: RungAction = "CONTINUE", score: float = 0.5, key: str = "key") -> RungEvent:
    return RungEvent(order, trial, key, "text", order, score, action, "2nd of 3", 1.5, metrics={"half": 0.25})


def fill(log: RungLog, events: Sequence[RungEvent]) -> None:
    for each in events:
        log.append(each)


def test_events_are_read_in_their_order(ledger: Ledger) -> None:
    written = [event(number, trial=number % 3, score=number / 7) for number in range(10)]
    log = RungLog(ledger, "run")
    fill(log, written[:4])
    log.write()
    fill(log, written[4:])
    log.write()
    assert RungLog(ledger, "run").read() == written
    assert RungLog(ledger, "another").read() == []


def test_events_wait_for_those_of_the_same_second(ledger: Ledger) -> None:
    log = RungLog(ledger, "run")
    fill(log, [event(0), event(1)])
    assert RungLog(ledger, "run").read() == []
    log.write()
    assert len(RungLog(ledger, "run").read()) == 2
    assert len(list(Path(ledger.folder).rglob("*.parquet"))) == 1


def test_small_parts_are_merged(ledger: Ledger) -> None:
    log, written = RungLog(ledger, "run"), [event(number) for number in range(70)]
    for each in written:
        log.append(each)
        log.write()
    assert RungLog(ledger, "run").read() == written
    assert len(list(Path(ledger.folder).rglob("*.parquet"))) <= 7


def test_event_that_is_there_twice_counts_once(ledger: Ledger) -> None:
    for _ in range(2):  # as after a kill between the writing of a merged part and the removal of its sources
        log = RungLog(ledger, "run")
        fill(log, [event(0), event(1)])
        log.write()
    assert [each.order for each in RungLog(ledger, "run").read()] == [0, 1]


def test_corrupt_part_is_set_aside(ledger: Ledger, caplog: pytest.LogCaptureFixture) -> None:
    log = RungLog(ledger, "run")
    for number in range(2):
        log.append(event(number))
        log.write()
    part = min(Path(ledger.folder).rglob("*.parquet"))
    part.write_bytes(part.read_bytes()[:-20])
    assert [each.order for each in RungLog(ledger, "run").read()] == [1]
    assert "corrupt" in caplog.text


def test_folder_that_cannot_be_made(ledger: Ledger) -> None:
    Path(ledger.folder, "_rungs").write_text("a file is in the way")
    log = RungLog(ledger, "run")
    log.append(event(0))
    with pytest.raises(LedgerError, match="_rungs"):
        log.write()


def test_the_ledger_does_not_take_events_for_evaluations(ledger: Ledger, architectures: list[Architecture]) -> None:
    log = RungLog(ledger, "run")
    log.append(event(0))
    log.write()
    ledger.append("run", 0, [(0, Evaluation(architectures[0], ledger.space.key(architectures[0]), 0.5))])
    assert len(ledger.entries()) == 1


def test_candidates_in_hand() -> None:
    nan = math.nan
    events = [
        *(event(0, 0, "START", nan), event(1, 1, "START", nan), event(2, 2, "START", nan), event(3, 3, "START", nan)),
        *(event(4, 0, "PAUSE"), event(5, 1, "STOP"), event(6, 2, "COMPLETE"), event(7, 0, "RESUME", nan)),
    ]
    assert {number: each.action for number, each in candidates_in_hand(events).items()} == {0: "RESUME", 3: "START"}
    assert [each.has_score for each in events] == [False] * 4 + [True] * 3 + [False]


def test_partial_outcomes(ledger: Ledger, architectures: list[Architecture]) -> None:
    keys = [ledger.space.key(each) for each in architectures]

    def record(number: int, fidelity: int | None, score: float = 0.5) -> None:
        ledger.append("run", number, [(0, Evaluation(architectures[number], keys[number], score, fidelity=fidelity))])

    record(0, 3)
    record(0, 9, 0.75)
    record(1, 3)
    record(1, None)
    record(2, 3)
    record(4, 3, 0.25)
    record(4, 9)
    ledger.append("other", 3, [(0, Evaluation(architectures[3], keys[3], 0.5, fidelity=3))])
    log = RungLog(ledger, "run")
    actions: list[tuple[RungAction, int]] = [("STOP", 9), ("COMPLETE", 12), ("PAUSE", 3), ("START", 0), ("STOP", 3)]
    for number, (action, fidelity) in enumerate(actions):
        log.append(replace(event(number, number, action, key=keys[number]), fidelity=fidelity))
    log.write()
    found = {entry.batch: (entry.evaluation.fidelity, entry.evaluation.score) for entry in partial_outcomes(ledger, "run")}
    assert found == {0: (9, 0.75), 4: (3, 0.25)}, "the complete one is an entry of the ledger, and the paused one may go on"
    found = {entry.batch: entry.evaluation.fidelity for entry in partial_outcomes(ledger, "run", ended=False)}
    assert found == {0: 9, 2: 3, 4: 3}
