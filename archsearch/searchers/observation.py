"""A candidate whose outcome is known, as a searcher sees it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from archsearch.evaluators.evaluation import Evaluation
from archsearch.spaces import SearchSpace


@dataclass(frozen=True, slots=True)
class Observation:
    """A candidate whose outcome is known.

    Args:
        batch: Number of the batch that proposed it.
        position: Its place in the batch.
        evaluation: The outcome.
        reused: Whether it was taken from the ledger instead of being paid for.
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
    """Return what a searcher knows of an evaluation as plain data."""
    return {
        "architecture": str(evaluation.architecture),
        "score": evaluation.score if math.isfinite(evaluation.score) else None,
        "seconds": evaluation.seconds,
        "error": evaluation.error,
        "metrics": {name: value for name, value in evaluation.metrics.items() if math.isfinite(value)},
    }


def evaluation_from_row(row: Mapping[str, Any], space: SearchSpace) -> Evaluation:
    """Return the evaluation that `evaluation_to_row` wrote."""
    architecture = space.parse(row["architecture"])
    score = math.nan if row["score"] is None else row["score"]
    return Evaluation(architecture, space.key(architecture), score, row["metrics"], row["seconds"], row["error"])
