"""What a scheduler stopped, in numbers and words."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from archsearch import spaces
from archsearch.evaluators import Evaluation
from archsearch.platform.early_stopping import EarlyStopping, learning_curves

SPACE = spaces.get("nasbench201")
CELL = SPACE.from_genotype([3, 0, 1, 0, 0, 1])


def evaluation(**changes: Any) -> Evaluation:
    return Evaluation(**{"architecture": CELL, "key": "k", "score": 0.5, "seconds": 6.0, **changes})


def test_seconds_saved_are_those_of_the_steps_that_were_left_out(make_summary: Any) -> None:
    reached = pa.array([None, 3, 6, None], pa.int64())
    table = make_summary(
        [0.9, 0.3, 0.5, float("nan")], [None, None, None, "lost"], columns={"fidelity": reached, "seconds": [12.0, 3.0, 9.0, 1.0]}
    ).evaluations
    early = EarlyStopping.of("asha", "epochs", 12, table)
    assert (early.candidates, early.stopped, early.paid) == (3, 2, 24.0)
    assert early.saved == pytest.approx(3.0 / 3 * 9 + 9.0 / 6 * 6)
    assert early.sentence() == (
        "asha stopped 2 of 3 candidates before the last of 12 epochs. Evaluations took 24 s, sum over workers; complete ones "
        "would have taken about 42 s: 43 % saved."
    )
    assert (early.at(3), early.at(None), early.at(12)) == ("3 of 12 epochs", "12 epochs", "12 epochs")


def test_a_scheduler_that_stopped_nothing_says_so(make_summary: Any) -> None:
    table = make_summary([0.9, 0.3], columns={"fidelity": pa.array([None, None], pa.int64())}).evaluations
    early = EarlyStopping.of("median", "epochs", 12, table)
    assert (early.sentence(), early.share_saved) == ("median stopped none of 2 candidates early.", 0.0)
    none = EarlyStopping.of("median", "epochs", 12, make_summary([float("nan")], ["lost"]).evaluations)
    assert none.sentence() == "median had no candidate with a score to compare."


def test_learning_curves_have_the_fidelities_of_the_evaluator() -> None:
    steps = {"step_score": (0.2, 0.4), "step_seconds": (1.0, 2.0)}
    found = learning_curves([evaluation(curves=steps, fidelity=12), evaluation(curves={}), evaluation(error="lost")], (4, 12, 36))
    [(key, curve)] = found.items()
    assert (key, curve.steps, curve.scores, curve.seconds, curve.complete) == ("k", (4, 12), (0.2, 0.4), (1.0, 2.0), False)


def test_the_curve_of_an_earlier_version_has_equal_seconds_for_each_epoch() -> None:
    old = evaluation(curves={"valid_accuracy": (0.1, 0.3, 0.5)})
    curve = learning_curves([old], score_name="valid_accuracy")["k"]
    assert (curve.steps, curve.seconds, curve.complete) == ((1, 2, 3), (2.0, 2.0, 2.0), True)
    assert learning_curves([old]) == {}
