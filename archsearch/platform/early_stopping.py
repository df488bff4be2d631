"""Effect of the scheduler of a search: candidates stopped, seconds saved, learning curves and rungs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from archsearch.cluster.schedulers.replay import Curve
from archsearch.evaluators import Evaluation
from archsearch.evaluators.stepwise import STEP_SCORES, STEP_SECONDS
from archsearch.platform.rank_order import fidelities, has_score
from archsearch.platform.units import duration
from archsearch.searchers.funnel import Rung


def learning_curves(
    evaluations: Iterable[Evaluation], fidelities: Sequence[int] | None = None, score_name: str = ""
) -> dict[str, Curve]:
    """Return the learning curves of the evaluations that have one, by key.

    Args:
        evaluations: The evaluations, with their curves.
        fidelities: Fidelities at which the evaluator reports; None for each from 1.
        score_name: Name of the curve of an evaluation that was not made step by step, such as `valid_accuracy`; its seconds are
            those of the evaluation in equal parts.
    """
    found: dict[str, Curve] = {}
    for each in evaluations:
        scores = each.curves.get(STEP_SCORES, ()) or each.curves.get(score_name, ())
        if each.ok and scores and all(map(math.isfinite, scores)):
            seconds = each.curves.get(STEP_SECONDS, ()) or (each.seconds / len(scores),) * len(scores)
            found[each.key] = Curve(tuple(scores), tuple(seconds), not each.is_partial, tuple(fidelities or ())[: len(scores)])
    return found


@dataclass(frozen=True)
class EarlyStopping:
    """What the scheduler of a search did.

    Args:
        scheduler: Its name.
        fidelity_name: What the steps of an evaluation are, in the plural, such as `epochs`.
        max_fidelity: Number of steps of a complete evaluation.
        candidates: Number of candidates with a score.
        stopped: Number of them that were scored before the last step.
        paid: Seconds of all their evaluations, sum over workers.
        saved: Seconds that the remaining steps would have taken, at the mean pace of each candidate.
        rungs: The rungs, the lowest first; empty for a run that was read from its folder.
        curves: Learning curves of the candidates by key; empty for a run that was read from its folder.
    """

    scheduler: str
    fidelity_name: str
    max_fidelity: int
    candidates: int
    stopped: int
    paid: float
    saved: float
    rungs: Sequence[Rung] = ()
    curves: Mapping[str, Curve] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, scheduler: str, fidelity_name: str, max_fidelity: int, table: pa.Table) -> EarlyStopping:
        """Return what the scheduler did in a search.

        Args:
            scheduler: Name of the scheduler.
            fidelity_name: What the steps are.
            max_fidelity: Number of steps of a complete evaluation.
            table: The evaluations of the search.
        """
        fine = has_score(table)
        steps = np.minimum(fidelities(table), max_fidelity)[fine]
        seconds = np.nan_to_num(table.column("seconds").to_numpy()[fine])
        partial = np.isfinite(fidelities(table))[fine]
        left = np.where(partial, seconds * (max_fidelity - steps) / np.maximum(steps, 1), 0.0)
        return cls(
            scheduler,
            fidelity_name,
            max_fidelity,
            candidates=int(fine.sum()),
            stopped=int(partial.sum()),
            paid=float(seconds.sum()),
            saved=float(left.sum()),
        )

    @property
    def share_saved(self) -> float:
        """Seconds saved as a share of those of complete evaluations of all candidates; 0 if none is known."""
        whole = self.paid + self.saved
        return self.saved / whole if whole > 0.0 else 0.0

    def at(self, fidelity: int | None) -> str:
        """Return a number of steps in words, such as `12 of 36 epochs`; of a complete evaluation `36 epochs`."""
        if fidelity is None or fidelity >= self.max_fidelity:
            return f"{self.max_fidelity} {self.fidelity_name}"
        return f"{fidelity} of {self.max_fidelity} {self.fidelity_name}"

    def sentence(self) -> str:
        """Return what was stopped and what that saved."""
        if not self.candidates:
            return f"{self.scheduler} had no candidate with a score to compare."
        if not self.stopped:
            return f"{self.scheduler} stopped none of {self.candidates} candidates early."
        text = (
            f"{self.scheduler} stopped {self.stopped} of {self.candidates} candidates before the last of {self.max_fidelity} "
            f"{self.fidelity_name}."
        )
        if self.saved <= 0.0 or not math.isfinite(self.saved):
            return text
        return (
            f"{text} Evaluations took {duration(self.paid)}, sum over workers; complete ones would have taken about "
            f"{duration(self.paid + self.saved)}: {100.0 * self.share_saved:.0f} % saved."
        )
