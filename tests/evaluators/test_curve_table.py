"""Tables with learning curves: steps from one known length of training to the next, and what a step costs."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from archsearch import spaces
from archsearch.errors import ConfigurationError, TableError
from archsearch.evaluators import CurveTable, Evaluation, TabularEvaluator, from_text
from archsearch.evaluators.curve_table import TableSteps
from archsearch.evaluators.tables.draft import TableDraft
from archsearch.evaluators.tables.installed import install
from archsearch.spaces import Architecture

SPACE = spaces.get("nasbench201")
CELLS = [SPACE.sample(np.random.default_rng(seed)) for seed in range(4)]
UNKNOWN = SPACE.sample(np.random.default_rng(9))


def rows(**changes: Any) -> pa.Table:
    return pa.table(
        {
            "architecture": [str(cell) for cell in CELLS],
            "acc": [0.9, 0.8, 0.7, None],
            "acc_e4": [0.4, 0.5, None, 0.1],
            "acc_e12": [0.6, 0.7, 0.5, None],
            "test_acc": [0.91, 0.81, 0.71, 0.61],
            "test_acc_e12": [0.61, 0.71, 0.51, 0.1],
            "params": [1.0, 2.0, 3.0, 4.0],
            "seconds": [360.0, 720.0, 36.0, 36.0],
            "seconds_e12": [150.0, 240.0, None, 12.0],
            **changes,
        }
    )


def table(**options: Any) -> CurveTable:
    return CurveTable(SPACE, rows(), "acc", **{"epochs": 36, **options})


def all_steps(evaluator: CurveTable, architecture: Architecture) -> list[Evaluation]:
    steps = evaluator.begin(architecture)
    found = [steps.step()]
    while found[-1].ok and found[-1].is_partial:
        found.append(steps.step())
    return found


def test_steps_lead_from_one_known_length_to_the_next() -> None:
    evaluator = table()
    first, second, last = all_steps(evaluator, CELLS[0])
    assert [each.fidelity for each in (first, second, last)] == [4, 12, None]
    assert [each.score for each in (first, second, last)] == [0.4, 0.6, 0.9]
    assert last.curves == {"step_score": (0.4, 0.6, 0.9), "step_seconds": (40.0, 80.0, 240.0)}
    assert [each.seconds for each in (first, second, last)] == [40.0, 120.0, 360.0]
    assert second.curves == {"step_score": (0.4, 0.6), "step_seconds": (40.0, 80.0)}
    assert (evaluator.fidelities, evaluator.max_fidelity, evaluator.fidelity_name) == ((4, 12, 36), 36, "epochs")
    assert evaluator.is_lookup


def test_partial_evaluation_has_only_what_is_known_then() -> None:
    first, second, _ = all_steps(table(), CELLS[0])
    assert first.metrics == {"acc": 0.4, "params": 1.0}
    assert second.metrics == {"acc": 0.6, "test_acc": 0.61, "params": 1.0}


def test_whole_evaluation_is_that_of_the_plain_table_with_curves() -> None:
    evaluator, plain = table(), TabularEvaluator(SPACE, rows(), "acc")
    for whole, expected in zip(evaluator.evaluate(CELLS[:3]), plain.evaluate(CELLS[:3]), strict=True):
        assert (whole.score, whole.metrics, whole.seconds) == (expected.score, expected.metrics, expected.seconds)
        assert all_steps(evaluator, whole.architecture)[-1] == whole
    assert evaluator.evaluate([]) == []


def test_no_score_is_made_up_between_two_known_ones() -> None:
    first, last = all_steps(table(), CELLS[2])
    assert (first.fidelity, first.score, last.score) == (12, 0.5, 0.7)
    assert last.curves == {"step_score": (0.5, 0.7), "step_seconds": (12.0, 24.0)}


def test_candidate_without_a_last_score_fails_there_and_keeps_its_curve() -> None:
    evaluator = table()
    first, failed = all_steps(evaluator, CELLS[3])
    assert (first.score, first.fidelity) == (0.1, 4)
    assert not failed.ok and not failed.is_partial
    assert failed.error == "the table table has no acc for it"
    assert failed.curves["step_score"] == (0.1,)
    assert failed.seconds == pytest.approx(4.0)
    steps = evaluator.begin(CELLS[3])
    steps.step()
    assert steps.step().error == steps.step().error == failed.error


def test_candidate_without_a_row_fails_at_once() -> None:
    [failed] = all_steps(table(), UNKNOWN)
    assert failed.error == "not in the table table"
    assert failed.curves == {}


def test_from_scratch_each_step_costs_its_whole_training() -> None:
    evaluator = table(from_scratch=True)
    last = all_steps(evaluator, CELLS[0])[-1]
    assert last.curves["step_seconds"] == (40.0, 150.0, 360.0), "recorded where it is known, else its share"
    assert last.seconds == 550.0
    assert all_steps(evaluator, CELLS[2])[-1].curves["step_seconds"] == (12.0, 36.0)
    assert evaluator.fingerprint() != table().fingerprint()


def test_goes_on_from_a_state() -> None:
    evaluator = table()
    steps = evaluator.begin(CELLS[1])
    expected = all_steps(evaluator, CELLS[1])
    states = []
    for _ in expected:
        states.append(steps.state())
        steps.step()
    for place, state in enumerate(states):
        others = evaluator.begin(CELLS[1])
        others.load_state(state)
        assert others.step() == expected[place]
    with pytest.raises(ConfigurationError, match="step: all 36 epochs are done"):
        steps.step()
    ended = evaluator.begin(CELLS[1])
    ended.load_state(steps.state())
    assert ended.fidelity == 36
    with pytest.raises(ConfigurationError, match="step: all 36 epochs are done"):
        ended.step()


def test_state_of_another_candidate_table_or_length_is_refused() -> None:
    steps = table().begin(CELLS[0])
    steps.step()
    for other in (table().begin(CELLS[1]), table(epochs=40).begin(CELLS[0])):
        with pytest.raises(ConfigurationError, match="state: expected one whose"):
            other.load_state(steps.state())
    for fidelity in (5, True, None, "4"):
        with pytest.raises(ConfigurationError, match="no score after"):
            table().begin(CELLS[0]).load_state({**steps.state(), "fidelity": fidelity})


def test_percent_and_marks_of_failures_hold_for_all_lengths() -> None:
    changes = {"acc": [90.0, 80.0, 70.0, -1.0], "acc_e4": [40.0, 50.0, -1.0, -1.0], "acc_e12": [60.0, 70.0, 50.0, -1.0]}
    evaluator = CurveTable(SPACE, rows(**changes), "acc", epochs=36)
    assert [each.score for each in all_steps(evaluator, CELLS[0])] == [0.4, 0.6, 0.9]
    assert [each.fidelity for each in all_steps(evaluator, CELLS[2])] == [12, None]
    assert [each.ok for each in all_steps(evaluator, CELLS[3])] == [False]


def test_fingerprint_follows_curves_and_lengths() -> None:
    prints = [
        table().fingerprint(),
        table(epochs=40).fingerprint(),
        CurveTable(SPACE, rows(acc_e4=[0.3, 0.5, None, 0.1]), "acc", epochs=36).fingerprint(),
        TabularEvaluator(SPACE, rows(), "acc").fingerprint(),
    ]
    assert len(set(prints)) == 4
    assert pickle.loads(pickle.dumps(table())).fingerprint() == prints[0]


@pytest.mark.parametrize(
    ("score", "options", "kind", "message"),
    [
        ("params", {}, TableError, "has no columns params_eN, .*; it has them for acc, test_acc"),
        ("acc", {"epochs": None}, ConfigurationError, "epochs: table does not say after how many epochs acc was taken"),
        ("acc", {"epochs": 12}, ConfigurationError, "epochs: expected a whole number of at least 13; got 12"),
        ("acc", {"epochs": 36.0}, ConfigurationError, "epochs: expected a whole number"),
        ("acc", {"from_scratch": "yes"}, ConfigurationError, "from_scratch: expected True or False; got 'yes'"),
        ("accuracy", {}, TableError, "score: column of table: expected one of"),
    ],
)
def test_what_a_table_with_curves_needs(score: str, options: dict[str, Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        CurveTable(SPACE, rows(), score, **{"epochs": 36, **options})


# Tables of the package, and imported ones


def test_curves_of_the_digits_are_means_over_the_seeds() -> None:
    evaluator = CurveTable.embedded("digits201")
    plain = TabularEvaluator.embedded("digits201")
    assert evaluator.fidelities == (1, 2, 3, 4)
    cells = [evaluator.space.sample(np.random.default_rng(seed)) for seed in range(20)]
    for cell, expected in zip(cells, plain.evaluate(cells), strict=True):
        found = all_steps(evaluator, cell)
        assert found[-1].score == expected.score
        assert all((2 * 449 * each.score) % 1 == pytest.approx(0.0, abs=1e-6) or each is found[-1] for each in found)
        assert found[-1].seconds == expected.seconds == pytest.approx(sum(found[-1].curves["step_seconds"]))


def test_evaluator_text_with_the_option_curves() -> None:
    found = from_text("table:digits201", SPACE, options={"curves": True})
    assert isinstance(found, CurveTable)
    assert isinstance(found.begin(CELLS[0]), TableSteps)
    plain = from_text("table:digits201", SPACE, options={"curves": False})
    assert type(plain) is TabularEvaluator
    with pytest.raises(ConfigurationError, match="curves: expected true or false; got 'on'"):
        from_text("table:digits201", SPACE, options={"curves": "on"})
    with pytest.raises(ConfigurationError, match="a table has no option 'epochs'"):
        from_text("table:digits201", SPACE, options={"epochs": 4})
    with pytest.raises(ConfigurationError, match="a table with curves has no option 'epoch'"):
        from_text("table:digits201", SPACE, options={"curves": True, "epoch": 4})


def test_imported_table_says_its_epochs_and_may_be_part_of_the_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHSEARCH_CACHE", str(tmp_path))
    draft = TableDraft("nasbench201", rows().slice(0, 3), "acc", "made", columns={"acc": "accuracy after 36 epochs, a fraction"})
    install(draft, "three")
    evaluator = from_text("table:three", SPACE, options={"curves": True})
    assert isinstance(evaluator, CurveTable)
    assert evaluator.fidelities == (4, 12, 36)
    copied = pickle.loads(pickle.dumps(evaluator))
    assert copied.space.size == 3
    sampled = copied.space.sample(np.random.default_rng(0))
    assert all_steps(copied, sampled)[-1] == evaluator.evaluate([sampled])[0]
    assert copied.fingerprint() == evaluator.fingerprint()


@pytest.mark.slow
def test_published_curves(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks.tables.install import nasbench101_curves, nasbench201_curves

    monkeypatch.setenv("ARCHSEARCH_CACHE", str(tmp_path))
    drafts = {"nasbench101": nasbench101_curves(data), "nasbench201": nasbench201_curves(data, "cifar100")}
    for name, draft in drafts.items():
        install(replace(draft, rows=draft.rows.slice(0, 500)), f"{name}-curves")
        evaluator = from_text(f"table:{name}-curves", spaces.get(name), options={"curves": True})
        assert isinstance(evaluator, CurveTable)
        assert evaluator.fidelities == {"nasbench101": (4, 12, 36, 108), "nasbench201": (12, 200)}[name]
        cell = evaluator.space.sample(np.random.default_rng(0))
        found = all_steps(evaluator, cell)
        assert len(found) == len(evaluator.fidelities)
        assert [each.seconds / found[-1].seconds for each in found] == pytest.approx(
            [each / evaluator.max_fidelity for each in evaluator.fidelities]
        )
        assert "test_accuracy" in found[-1].metrics
