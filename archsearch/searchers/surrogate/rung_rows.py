"""The partial scores of a search as rows from which a surrogate learns, one for each candidate and rung."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from archsearch.evaluators.evaluation import Evaluation
from archsearch.searchers.fitness import steps_reached

_MOST_RUNGS = 6


class RungRows(NamedTuple):
    """Scores of candidates at rungs.

    Args:
        candidates: `[rows]` positions of the candidates; one occurs once for each rung that it came to.
        rungs: `[rows]` from 0, larger for more steps.
        values: `[rows, objectives]`, larger is better.
    """

    candidates: NDArray[np.int64]
    rungs: NDArray[np.int64]
    values: NDArray[np.float64]


def rung_rows(
    newest: Sequence[Evaluation], partial: Mapping[str, Mapping[int, Evaluation]], values: Any, most: int = _MOST_RUNGS
) -> RungRows:
    """Return the scores of candidates at all rungs.

    The rungs are the numbers of steps after which candidates were scored, and complete evaluations. Of more than `most` numbers,
    as under a scheduler that decides after each step, those are kept that are about equally far apart on a logarithmic scale.

    Args:
        newest: The evaluation of each candidate after most steps.
        partial: The partial evaluations by key and number of steps.
        values: Function that returns the values of the objectives of an evaluation.
        most: Largest number of rungs, without that of complete evaluations.
    """
    found: list[tuple[int, float, Evaluation]] = []
    for place, evaluation in enumerate(newest):
        of_candidate = {steps_reached(each.fidelity): each for each in partial.get(evaluation.key, {}).values()}
        of_candidate[steps_reached(evaluation.fidelity)] = evaluation
        found += [(place, steps, each) for steps, each in of_candidate.items()]
    steps = sorted({steps for _, steps, _ in found if np.isfinite(steps)})
    if len(steps) > most:
        wanted = np.geomspace(steps[0], steps[-1], most)
        steps = sorted({min(steps, key=lambda each, aim=aim: abs(each - aim)) for aim in wanted})  # type: ignore[misc]
    rungs = {each: rung for rung, each in enumerate([*steps, float("inf")])}
    kept = [row for row in found if row[1] in rungs]
    return RungRows(
        np.array([place for place, _, _ in kept], dtype=np.int64),
        np.array([rungs[each] for _, each, _ in kept], dtype=np.int64),
        np.array([values(evaluation) for _, _, evaluation in kept], dtype=np.float64),
    )
