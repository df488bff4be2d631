"""Observations: evaluated candidates as a searcher sees them, and their form as plain data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from archsearch.evaluators.evaluation import Evaluation
from archsearch.spaces import SearchSpace


@dataclass(frozen=True, slots=True)
class Observation:
    """A candidate with its evaluation.

    Args:
        batch: Number of the batch that proposed it.
        position: Its position in the batch, from 0.
        evaluation: Its evaluation.
        reused: Whether the evaluation was taken from the ledger.

    Example:
        >>> from archsearch import evaluators, searchers
        >>> table = evaluators.TabularEvaluator.embedded("digits201")
        >>> architecture = table.space.parse("|none~0|+|none~0|none~1|+|nor_conv_3x3~0|none~1|none~2|")
        >>> [evaluation] = table.evaluate([architecture])
        >>> searchers.Observation(batch=0, position=0, evaluation=evaluation, reused=False).evaluation.ok
        True
    """

    batch: int
    position: int
    evaluation: Evaluation
    reused: bool


def observation_to_row(observation: Observation) -> dict[str, Any]:
    """Return an observation as plain data."""
    row = {"batch": observation.batch, "position": observation.position, "reused": observation.reused}
    return row | evaluation_to_row(observation.evaluation)


def observation_from_row(row: Mapping[str, Any], space: SearchSpace) -> Observation:
    """Return the observation that `observation_to_row` wrote."""
    return Observation(row["batch"], row["position"], evaluation_from_row(row, space), row["reused"])


def evaluation_to_row(evaluation: Evaluation) -> dict[str, Any]:
    """Return the part of an evaluation that a searcher sees as plain data."""
    row = {
        "architecture": str(evaluation.architecture),
        "score": evaluation.score if math.isfinite(evaluation.score) else None,
        "seconds": evaluation.seconds,
        "error": evaluation.error,
        "metrics": {name: value for name, value in evaluation.metrics.items() if math.isfinite(value)},
    }
    return row if evaluation.fidelity is None else {**row, "fidelity": evaluation.fidelity}


def evaluation_from_row(row: Mapping[str, Any], space: SearchSpace) -> Evaluation:
    """Return the evaluation that `evaluation_to_row` wrote."""
    architecture = space.parse(row["architecture"])
    score = math.nan if row["score"] is None else row["score"]
    return Evaluation(
        architecture=architecture,
        key=space.key(architecture),
        score=score,
        metrics=row["metrics"],
        seconds=row["seconds"],
        error=row["error"],
        fidelity=row.get("fidelity"),
    )
