"""`archsearch replay`: figures and words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from archsearch.cluster import Ledger
from archsearch.cluster.schedulers.replay import Curve, replay, settings_without_loss
from archsearch.errors import ConfigurationError, RunError
from archsearch.evaluators import CurveTable, TabularEvaluator
from archsearch.platform import replay_run
from archsearch.platform.commands.replay import RunReplay
from archsearch.platform.configuration import from_mapping
from archsearch.platform.run_folder import RunFolder

# 12 candidates whose order does not change, but the best of which is the last at the first step.
CURVES = [Curve(tuple(0.01 * (number + step) for step in range(9)), (1.0,) * 9) for number in range(11)]
CURVES += [Curve((0.0, 0.0, 0.5, 0.6, 0.7, 0.8, 0.8, 0.9, 0.9), (1.0,) * 9)]


def replayed(scheduler: str, **options: Any) -> RunReplay:
    given: dict[str, Any] = {"max_fidelity": 9, "fidelity_name": "epochs", "workers": 2}
    chosen, lossless = replay(CURVES, scheduler, options, **given), settings_without_loss(CURVES, **given)
    return RunReplay("r", CURVES, percent=True, chosen=chosen, lossless=lossless, **given)


def test_a_first_rung_that_comes_too_early_loses_the_best() -> None:
    found = replayed("promotion", grace_period=1)
    assert found.chosen is not None and found.chosen.lost > 0.5 and found.chosen.saved > 0.3
    text = found.text()
    assert text.startswith("r: 12 learning curves of at most 9 epochs, 108 s of evaluations, sum over workers.\n\n")
    assert "promotion (grace_period 1), 2 workers\nSaved:     " in text and "% instead of 90.00 %\nStopped:   " in text
    later = replayed("promotion", grace_period=3)
    assert later.chosen is not None and later.chosen.lost == 0.0
    assert "Lost:      nothing: the best candidate would have been found" in later.text()
    assert "Settings that would have lost nothing, the one that saves most first:\nscheduler  settings" in later.text()
    assert all(each.lost == 0.0 for each in later.lossless)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A random search of digits201 with its learning curves, but without a scheduler, in the ledger."""
    evaluator = CurveTable.embedded("digits201")
    options = {"evaluator": "table:digits201", "evaluator_options": {"curves": True}, "searcher": "random"}
    configuration = from_mapping({**options, "storage": str(tmp_path), "num_candidates": 30})
    folder = RunFolder.create(configuration, "r")
    folder.bind(configuration, evaluator.fingerprint())
    cells = [evaluator.space.parse(text) for text in TabularEvaluator.embedded("digits201").architectures[:300:10]]
    ledger = Ledger(tmp_path / "ledger", evaluator.space, evaluator.fingerprint())
    for batch, evaluation in enumerate(evaluator.evaluate(cells)):
        ledger.append("r", batch, [(0, evaluation)])
    return folder


def test_a_run_is_replayed_from_its_ledger(run: RunFolder) -> None:
    found = replay_run(run.path, "asha", {"grace_period": 2})
    assert (len(found.curves), found.max_fidelity, found.workers) == (30, 4, 1)
    assert found.chosen is not None and 0.1 < found.chosen.saved < 0.9
    assert all(curve.complete and curve.steps == (1, 2, 3, 4) for curve in found.curves)
    only = replay_run(str(run.path))
    assert only.chosen is None and "Saved: " not in only.text()


def test_what_cannot_be_replayed_is_named(run: RunFolder, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="scheduler: expected one of .* Did you mean 'asha'?"):
        replay_run(run.path, "ashaa")
    with pytest.raises(ConfigurationError, match="scheduler_options: expected none without a scheduler; got grace_period"):
        replay_run(run.path, options={"grace_period": 2})
    with pytest.raises(ConfigurationError, match="workers: expected a whole number"):
        replay_run(run.path, workers=0)
    with pytest.raises(RunError, match="there is no run in"):
        replay_run(tmp_path / "other")
    plain = from_mapping({"evaluator": "table:digits201", "searcher": "random", "storage": str(tmp_path), "num_candidates": 3})
    RunFolder.create(plain, "plain")
    with pytest.raises(ConfigurationError, match="the evaluations of plain have no learning curves"):
        replay_run(tmp_path / "plain")
