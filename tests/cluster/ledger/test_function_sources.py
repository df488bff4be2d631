"""The note on the source of a function beside the ledger."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from archsearch import spaces
from archsearch.cluster import Ledger
from archsearch.cluster.ledger.function_sources import note_source
from archsearch.errors import LedgerError
from archsearch.evaluators import Evaluator, FunctionEvaluator, TabularEvaluator, TrainingEvaluator
from archsearch.spaces import ModuleSpace
from archsearch.spaces.module import Choose

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


def network(choose: Choose, num_classes: int = 10, in_channels: int = 1) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, choose.one("width", [8, 16])), nn.LazyLinear(num_classes))


def test_change_of_what_builds_the_modules_is_noticed_too(tmp_path: Path) -> None:
    inputs = torch.zeros(1, 1, 8, 8)
    changed = ModuleSpace(lambda choose, num_classes=10: network(choose, num_classes), inputs, "network")
    for evaluator in (TrainingEvaluator, lambda space, _: FunctionEvaluator(space, train)):
        before, after = (evaluator(space, "digits") for space in (ModuleSpace(network, inputs), changed))
        assert [noted(tmp_path, each) for each in (before, before, after, after)] == [False, False, True, False]


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
