"""The note on the source of a function beside the ledger."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from archsearch import spaces
from archsearch.cluster import Ledger
from archsearch.cluster.ledger.function_sources import note_source
from archsearch.errors import LedgerError
from archsearch.evaluators import Evaluator, FunctionEvaluator, TabularEvaluator

SPACE = spaces.get("nasbench201")


def ledger(folder: Path, evaluator: Evaluator) -> Ledger:
    return Ledger(folder, SPACE, evaluator.fingerprint())


def noted(folder: Path, evaluator: Evaluator) -> bool:
    return note_source(ledger(folder, evaluator), evaluator)


def train(model: Any, context: Any) -> float:
    return 1.0


first = train


def train(model: Any, context: Any) -> float:  # type: ignore[no-redef]
    return 2.0


def test_change_of_the_source_is_noticed_once(tmp_path: Path) -> None:
    before, after = FunctionEvaluator(SPACE, first), FunctionEvaluator(SPACE, train)
    assert before.fingerprint() != after.fingerprint()
    assert [noted(tmp_path, each) for each in (before, before, after, after, before)] == [False, False, True, False, True]
    assert not noted(tmp_path, FunctionEvaluator(SPACE, first, settings={"other": 1})), "settings are a matter of the user"
    assert len(ledger(tmp_path, before).entries()) == 0, "the ledger reads its own files alone"


def test_tables_have_no_source(tmp_path: Path) -> None:
    table = TabularEvaluator.embedded("digits201")
    assert not noted(tmp_path, table)
    assert not list(tmp_path.rglob("_functions"))


def test_note_that_cannot_be_written(tmp_path: Path) -> None:
    evaluator = FunctionEvaluator(SPACE, train)
    records = ledger(tmp_path, evaluator)
    (tmp_path / SPACE.name / "_functions").write_text("a file where the folder should be")
    with pytest.raises(LedgerError, match="storage: cannot read or write .*_functions"):
        note_source(records, evaluator)
