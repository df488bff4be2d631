"""A batch is evaluated once, and recorded as it goes, through deaths of the process.

An interrupt stands for the death: it leaves behind what a killed process would. Real kills are in `test_tuning.py` and
`test_kills.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archsearch.cluster import Ledger, evaluate_batch
from archsearch.cluster.trials.attempts import DEATHS_PER_BATCH, forget_attempts
from archsearch.errors import ArchitectureError, DatasetError, LedgerError
from archsearch.evaluators import Evaluation
from archsearch.spaces import Architecture, SearchSpace


@pytest.fixture
def ledger(make_evaluator: Callable[..., Any], tmp_path: Path) -> Ledger:
    evaluator = make_evaluator()
    return Ledger(tmp_path / "ledger", evaluator.space, evaluator.fingerprint())


@pytest.fixture
def candidates(architectures: list[Architecture]) -> list[str]:
    return [str(architecture) for architecture in architectures]


def die() -> None:
    raise KeyboardInterrupt


def through_deaths(
    evaluator: Any, ledger: Ledger, candidates: list[str], node_lost: bool = False
) -> tuple[list[Evaluation], int]:
    """Try a batch until it is done; return its outcomes and the number of deaths."""
    evaluator.die = die
    for deaths in range(2 * DEATHS_PER_BATCH):
        try:
            return evaluate_batch(evaluator, ledger, "run", 0, candidates, node_lost=node_lost), deaths
        except KeyboardInterrupt:
            pass
    raise AssertionError("the batch has no end")


def test_each_candidate_is_evaluated_and_recorded_in_order(
    ledger: Ledger, make_evaluator: Callable[..., Any], candidates: list[str]
) -> None:
    evaluator = make_evaluator()
    evaluations = evaluate_batch(evaluator, ledger, "run", 0, candidates)
    assert [str(evaluation.architecture) for evaluation in evaluations] == candidates == evaluator.noted()
    assert [entry.evaluation for entry in ledger.entries("run", 0)] == evaluations
    assert [entry.position for entry in ledger.entries("run", 0)] == list(range(12))
    assert evaluate_batch(evaluator, ledger, "run", 1, []) == []


def test_places_in_the_batch_are_recorded(ledger: Ledger, make_evaluator: Callable[..., Any], candidates: list[str]) -> None:
    evaluate_batch(make_evaluator(), ledger, "run", 0, candidates[:3], positions=[1, 4, 5])
    found = {str(entry.evaluation.architecture): entry.position for entry in ledger.entries("run", 0)}
    assert found == dict(zip(candidates[:3], [1, 4, 5], strict=True))


def test_what_an_earlier_try_recorded_is_not_evaluated_again(
    ledger: Ledger, make_evaluator: Callable[..., Any], candidates: list[str]
) -> None:
    slow, deadly = candidates[2], candidates[5]
    evaluator = make_evaluator(seconds={slow: 1.1}, kills={deadly: 1})
    evaluator.die = die
    with pytest.raises(KeyboardInterrupt):
        evaluate_batch(evaluator, ledger, "run", 0, candidates)
    recorded = {str(entry.evaluation.architecture) for entry in ledger.entries("run", 0)}
    assert {*candidates[:3]} <= recorded < {*candidates}, "the slow one was recorded at once, and what came before it"
    evaluations = evaluate_batch(evaluator, ledger, "run", 0, candidates)
    assert [str(evaluation.architecture) for evaluation in evaluations] == candidates
    assert all(evaluation.ok for evaluation in evaluations), "one death may have another cause than the candidate"
    assert all(evaluator.noted().count(text) == 1 for text in recorded)
    before = evaluator.noted()
    assert evaluate_batch(evaluator, ledger, "run", 0, candidates) == evaluations, "its outcome did not reach the driver"
    assert evaluator.noted() == before


def test_records_of_other_batches_and_other_candidates_do_not_count(
    ledger: Ledger, make_evaluator: Callable[..., Any], architectures: list[Architecture], candidates: list[str]
) -> None:
    evaluator = make_evaluator(kills={candidates[0]: 1})
    first = evaluator.evaluate(architectures[1:4])
    ledger.append("run", 1, list(enumerate(first)))
    ledger.append("another", 0, list(enumerate(first)))
    ledger.append("run", 0, list(enumerate(evaluator.evaluate(architectures[4:12]))))
    before = len(evaluator.noted())
    evaluations, deaths = through_deaths(evaluator, ledger, candidates[:4])
    assert deaths == 1
    assert evaluator.noted()[before:] == [candidates[0], *candidates[:4]]
    assert [str(evaluation.architecture) for evaluation in evaluations] == candidates[:4]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kills=st.dictionaries(st.integers(0, 11), st.sampled_from([1, 2, 3, 1000]), max_size=6))
def test_only_what_kills_twice_when_alone_fails(
    kills: Mapping[int, int], make_evaluator: Callable[..., Any], space: SearchSpace, candidates: list[str]
) -> None:
    evaluator = make_evaluator(kills={candidates[place]: times for place, times in kills.items()})
    evaluator.notes.unlink(missing_ok=True)
    ledger = Ledger("mock:///ledger", space, evaluator.fingerprint())
    evaluations, deaths = through_deaths(evaluator, ledger, candidates)
    failed = {place for place, evaluation in enumerate(evaluations) if not evaluation.ok}
    assert {place for place, times in kills.items() if times > 2} <= failed, "it kills as one of several, and twice alone"
    assert failed <= {place for place, times in kills.items() if times > 1}
    assert all("killed its process 2 times" in str(evaluations[place].error) for place in failed)
    assert [str(evaluation.architecture) for evaluation in evaluations] == candidates
    assert sorted(entry.position for entry in ledger.entries("run", 0)) == list(range(12)), "each is recorded once"
    assert {entry.position for entry in ledger.entries("run", 0) if entry.evaluation.error} == failed
    assert deaths <= 1 + 2 * len(kills)


def test_candidate_whose_nodes_are_lost_is_not_blamed(
    ledger: Ledger, make_evaluator: Callable[..., Any], candidates: list[str]
) -> None:
    evaluator = make_evaluator(kills={candidates[1]: 7})
    evaluations, deaths = through_deaths(evaluator, ledger, candidates[:3], node_lost=True)
    assert deaths == 7
    assert [evaluation.error for evaluation in evaluations] == [None] * 3


def test_batch_in_which_all_processes_die_is_given_up(
    make_evaluator: Callable[..., Any], space: SearchSpace, tmp_path: Path
) -> None:
    candidates = [str(space.from_genotype([1, 2, 3, first, second, 4])) for first in range(5) for second in range(5)]
    texts = [str(space.from_genotype([2, 1, 3, first, second, 4])) for first in range(5) for second in range(5)]
    evaluator = make_evaluator(kills=dict.fromkeys([*candidates, *texts], 1000))
    ledger = Ledger(tmp_path, space, evaluator.fingerprint())
    evaluations, deaths = through_deaths(evaluator, ledger, [*candidates, *texts])
    assert deaths == DEATHS_PER_BATCH
    errors = [str(evaluation.error) for evaluation in evaluations]
    assert sum("killed its process 2 times" in error for error in errors) == DEATHS_PER_BATCH // 2
    assert sum("60 processes died in its batch" in error for error in errors) == 50 - DEATHS_PER_BATCH // 2


def test_exception_costs_the_candidate_alone(ledger: Ledger, make_evaluator: Callable[..., Any], candidates: list[str]) -> None:
    evaluator = make_evaluator(raises={candidates[3]: MemoryError("no room for 3 GB"), candidates[7]: ZeroDivisionError()})
    evaluations = evaluate_batch(evaluator, ledger, "run", 0, candidates)
    errors = {place: evaluation.error for place, evaluation in enumerate(evaluations) if not evaluation.ok}
    assert errors == {3: "MemoryError: no room for 3 GB", 7: "ZeroDivisionError"}
    assert [entry.evaluation.error for entry in ledger.entries("run", 0)] == [errors.get(place) for place in range(12)]


def test_error_of_the_evaluator_is_not_recorded_as_one_of_the_candidate(
    ledger: Ledger, make_evaluator: Callable[..., Any], candidates: list[str]
) -> None:
    with pytest.raises(DatasetError, match="the disk with the images has gone"):
        evaluate_batch(make_evaluator(breaks=candidates[4]), ledger, "run", 0, candidates)
    assert ledger.entries() == []
    with pytest.raises(ArchitectureError):
        evaluate_batch(make_evaluator(), ledger, "run", 1, [*candidates, "no architecture"])


def test_note_that_was_cut_short_still_says_that_there_was_a_try(
    ledger: Ledger, make_evaluator: Callable[..., Any], candidates: list[str]
) -> None:
    evaluator = make_evaluator()
    evaluate_batch(evaluator, ledger, "run", 0, candidates[:1])
    [note] = Path(ledger.folder).rglob("*.json")
    note.write_text(note.read_text()[:7])
    evaluate_batch(evaluator, ledger, "run", 0, candidates)
    assert evaluator.noted() == candidates, "the first was found in the ledger"


def test_notes_of_a_run_are_forgotten_with_it(ledger: Ledger, make_evaluator: Callable[..., Any], candidates: list[str]) -> None:
    for run in ("one", "two"):
        evaluate_batch(make_evaluator(), ledger, run, 0, candidates[:1])
    forget_attempts(ledger, "one")
    forget_attempts(ledger, "never seen")
    assert [note.parent.name for note in Path(ledger.folder).rglob("*.json")] == ["two"]


def test_folder_that_may_not_be_written_is_an_error_of_the_ledger(
    ledger: Ledger, make_evaluator: Callable[..., Any], candidates: list[str]
) -> None:
    (Path(ledger.folder) / "_started").write_text("in the way")
    with pytest.raises(LedgerError, match="storage: cannot .*_started"):
        evaluate_batch(make_evaluator(), ledger, "run", 0, candidates)


def test_cheap_candidates_make_one_part(
    ledger: Ledger, make_evaluator: Callable[..., Any], space: SearchSpace, tmp_path: Path
) -> None:
    candidates = [str(space.from_genotype([1, 2, 3, first, second, 4])) for first in range(5) for second in range(5)]
    evaluate_batch(make_evaluator(), ledger, "run", 0, candidates)
    assert len(list(tmp_path.rglob("*.parquet"))) == 1


def test_what_is_no_evaluation_costs_its_candidate_alone_and_no_second_evaluation(
    ledger: Ledger, make_evaluator: Callable[..., Any], candidates: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluator = make_evaluator()
    real = evaluator._evaluate
    odd: dict[str, Callable[[Any], Any]] = {
        candidates[2]: lambda good: None,
        candidates[4]: lambda good: replace(good, score=None),
        candidates[5]: lambda good: replace(good, metrics={"half": 0.5, "device": "cpu"}),
        candidates[9]: lambda good: replace(good, key="another"),
    }
    monkeypatch.setattr(evaluator, "_evaluate", lambda each: odd.get(str(each), lambda good: good)(real(each)))
    evaluations = evaluate_batch(evaluator, ledger, "run", 0, candidates)
    errors = {place: str(evaluation.error).split(":")[0] for place, evaluation in enumerate(evaluations) if not evaluation.ok}
    assert errors == {2: "evaluate", 4: "score", 5: "metric 'device'", 9: "key"}
    assert evaluator.noted() == candidates, "each was evaluated once"
    recorded = [entry.evaluation.error for entry in ledger.entries("run", 0)]
    assert recorded == [evaluation.error for evaluation in evaluations]
