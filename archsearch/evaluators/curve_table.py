"""The evaluator that looks up scores after several lengths of training in a benchmark table, step by step."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from archsearch.errors import ConfigurationError, TableError, check_whole_number
from archsearch.evaluators.evaluation import Evaluation
from archsearch.evaluators.saved_state import check_identity, taking_over
from archsearch.evaluators.stepwise import STEP_SCORES, STEP_SECONDS, EvaluationSteps, StepwiseEvaluator
from archsearch.evaluators.tables.columns import SECONDS, failure_mark
from archsearch.evaluators.tables.content import TableContent
from archsearch.evaluators.tables.epoch_counts import epochs_of, with_epoch_accuracies
from archsearch.evaluators.tables.mapped import MappedContent
from archsearch.evaluators.tabular import TabularEvaluator
from archsearch.spaces import Architecture, SearchSpace

_EPOCHS = re.compile(r"\b(\d+) epochs\b")


class CurveTable(TabularEvaluator, StepwiseEvaluator):
    """Scores candidates step by step by the columns `SCORE_eN` of a table, after N epochs each, and at the end by `SCORE`.

    Steps lead from one length of training that the table knows to the next; between two of them no score is made up. A candidate
    that lacks one goes on to the next that it has. Where a candidate has none at all, or no row, its first step fails.

    A step costs its share of the column `seconds`: to go from 12 to 36 of 108 epochs costs 24/108 of it, as if the training went
    on. The published tables trained each length separately, with a learning rate that ended at 0 each time, so that their shorter
    trainings may rank better than the same epochs of a longer one would. With `from_scratch` a step costs its whole training.

    Args:
        space: As for `TabularEvaluator`.
        table: As for `TabularEvaluator`, with columns `SCORE_eN`; or with counts of right images by epoch, as `digits201` has.
        score: As for `TabularEvaluator`.
        name: As for `TabularEvaluator`.
        percent: As for `TabularEvaluator`; the columns `SCORE_eN` are in the unit of the score.
        epochs: Epochs after which the score was taken. None takes the number in the column's meaning in the table's card, such as
            "after 108 epochs", or that of the counts.
        from_scratch: Whether a step costs the whole training of its length: the column `seconds_eN`, or else its share of
            `seconds`.

    Raises:
        TableError: As for `TabularEvaluator`, or the score has no columns `SCORE_eN`.
        ConfigurationError: `epochs` is needed, or is not above those of the other columns.

    Example:
        >>> from archsearch import spaces
        >>> from archsearch.evaluators import CurveTable
        >>> space = spaces.get("nasbench201")
        >>> steps = CurveTable.embedded("digits201").begin(space.from_genotype([3, 0, 1, 0, 0, 1]))
        >>> [steps.step().fidelity for _ in range(4)]
        [1, 2, 3, None]
    """

    def __init__(
        self,
        space: SearchSpace,
        table: pa.Table | TableContent,
        score: str,
        *,
        name: str = "table",
        percent: bool | None = None,
        epochs: int | None = None,
        from_scratch: bool = False,
    ) -> None:
        if isinstance(table, pa.Table):
            epochs = epochs_of(table) if epochs is None else epochs
            table = with_epoch_accuracies(table)
        super().__init__(space, table, score, name=name, percent=percent)
        if not isinstance(from_scratch, bool):
            raise ConfigurationError(f"from_scratch: expected true or false; got {from_scratch!r}.")
        self.from_scratch = from_scratch
        known = sorted(int(match[1]) for match in map(re.compile(rf"{re.escape(score)}_e(\d+)").fullmatch, self._names) if match)
        if not known:
            others = sorted({name.rpartition("_e")[0] for name in self._names if re.search(r"_e\d+$", name)} & {*self._names})
            raise TableError(
                f"score: {self.name} has no columns {score}_eN, the score after N epochs; "
                + (f"it has them for {', '.join(others)}." if others else "give another table, or search it as it is.")
            )
        self.epochs = self._known_epochs() if epochs is None else epochs
        check_whole_number("epochs", self.epochs, known[-1] + 1)
        self._fidelities = (*known, self.epochs)

    def __getstate__(self) -> dict[str, Any]:
        derived = ("_partial_scores", "_step_seconds", "_names_at", "_curves_digest")
        return {name: value for name, value in super().__getstate__().items() if name not in derived}

    @property
    def max_fidelity(self) -> int:
        return self.epochs

    @property
    def fidelities(self) -> tuple[int, ...]:
        return self._fidelities

    def begin(self, architecture: Architecture) -> TableSteps:
        return TableSteps(self, architecture)

    def settings(self) -> Mapping[str, Any]:
        own = {"fidelities": list(self._fidelities), "curves": self._curves_digest}
        return {**super().settings(), **own, **({"from_scratch": True} if self.from_scratch else {})}

    def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        evaluations = TabularEvaluator.evaluate(self, architectures)
        rows = self._content.find(architectures).tolist() if architectures else []
        return [self._with_curves(each, row) for each, row in zip(evaluations, rows, strict=True)]

    def row_of(self, architecture: Architecture) -> int:
        """Return the row of an architecture, -1 if it has none."""
        return int(self._content.find([architecture])[0])

    def known_fidelities(self, row: int) -> list[int]:
        """Return the fidelities at which a row has a score, without the last one."""
        return [fidelity for fidelity, score in zip(self._fidelities, self._scores_at(row), strict=False) if math.isfinite(score)]

    def partial(self, architecture: Architecture, row: int, fidelity: int) -> Evaluation:
        """Return the evaluation of a row at a known fidelity below the last one."""
        place = self._fidelities.index(fidelity)
        figures = dict(zip(self._names, self._metrics[row].tolist(), strict=True))
        named = {name: figures[column] for name, column in self._names_at[fidelity].items() if math.isfinite(figures[column])}
        score = self._scores_at(row)[place]
        evaluation = Evaluation(
            architecture,
            self._content.keys([architecture], np.array([row]))[0],
            score,
            {**self._known_costs(row), **named, self.score: score},
            fidelity=fidelity,
        )
        return self._with_curves(evaluation, row)

    def _with_curves(self, evaluation: Evaluation, row: int) -> Evaluation:
        """Return an evaluation with the curves, and the seconds, of its steps."""
        known = self.known_fidelities(row) if row >= 0 else []
        reached = self.epochs if evaluation.fidelity is None else evaluation.fidelity
        done = [fidelity for fidelity in known if fidelity <= reached]
        scores = [self._scores_at(row)[self._fidelities.index(fidelity)] for fidelity in done]
        if evaluation.fidelity is None:
            if not evaluation.ok:
                if not done:
                    return evaluation
            else:
                done, scores = [*done, self.epochs], [*scores, evaluation.score]
        seconds = self._seconds_of_steps(row, done)
        curves = {STEP_SCORES: tuple(scores), STEP_SECONDS: tuple(seconds)}
        is_recorded = evaluation.ok and not evaluation.is_partial and not self.from_scratch
        whole = evaluation.seconds if is_recorded else math.fsum(seconds)
        return replace(evaluation, curves=curves, seconds=whole)

    def _seconds_of_steps(self, row: int, fidelities: Sequence[int]) -> list[float]:
        total = float(self._content.seconds[row])
        if self.from_scratch:
            recorded = self._step_seconds[row].tolist()
            return [recorded[self._fidelities.index(fidelity)] for fidelity in fidelities]
        before = [0, *fidelities][: len(fidelities)]
        return [total * (to - start) / self.epochs for start, to in zip(before, fidelities, strict=True)]

    def _scores_at(self, row: int) -> list[float]:
        scores: list[float] = self._partial_scores[row].tolist()
        return scores

    def _known_costs(self, row: int) -> dict[str, float]:
        values = zip(self._cost_columns, self._costs[row].tolist(), strict=True)
        return {name: value for name, value in values if math.isfinite(value)}

    @property
    def _names(self) -> tuple[str, ...]:
        return self._content.metrics

    def _known_epochs(self) -> int:
        meaning = self._content.meaning(self.score)
        match = _EPOCHS.search(meaning)
        if match is None:
            raise ConfigurationError(
                f"epochs: {self.name} does not say after how many epochs {self.score} was taken; give it, such as epochs=200."
            )
        return int(match[1])

    @cached_property
    def _partial_scores(self) -> NDArray[np.float64]:
        """Scores at all fidelities but the last, `[rows, fidelities - 1]`; NaN where there is none."""
        columns = [self._content.column(f"{self.score}_e{each}").astype(np.float64) for each in self._fidelities[:-1]]
        mark = None if isinstance(self._content, MappedContent) else failure_mark(self.score, self._content.column(self.score))
        scores = np.stack(columns, axis=1)
        return np.where(scores == mark, np.nan, scores) / self._divisor if mark is not None else scores / self._divisor

    @cached_property
    def _step_seconds(self) -> NDArray[np.float64]:
        """Seconds of a whole training of each fidelity, `[rows, fidelities]`."""
        total, columns = self._content.seconds, []
        for fidelity in self._fidelities[:-1]:
            share, column = total * fidelity / self.epochs, f"{SECONDS}_e{fidelity}"
            if column in self._names:
                recorded = self._content.column(column).astype(np.float64)
                share = np.where(np.isfinite(recorded) & (recorded >= 0.0), recorded, share)
            columns.append(share)
        return np.stack([*columns, total], axis=1)

    @cached_property
    def _names_at(self) -> dict[int, dict[str, str]]:
        """For each fidelity but the last, the columns of figures after its epochs, by the name that they have at the end."""
        found: dict[int, dict[str, str]] = {}
        for fidelity in self._fidelities[:-1]:
            columns = [name for name in self._names if name.endswith(f"_e{fidelity}")]
            found[fidelity] = {column.removesuffix(f"_e{fidelity}"): column for column in columns}
            found[fidelity].pop(SECONDS, None)
        return found

    @cached_property
    def _curves_digest(self) -> str:
        return hashlib.blake2b(np.ascontiguousarray(self._partial_scores).data, digest_size=8).hexdigest()


class TableSteps(EvaluationSteps):
    """The evaluation of one candidate of a table, from one known length of training to the next.

    Args:
        table: The evaluator.
        architecture: The candidate.
    """

    def __init__(self, table: CurveTable, architecture: Architecture) -> None:
        super().__init__(architecture)
        self._table, self._row = table, table.row_of(architecture)
        self._known = table.known_fidelities(self._row) if self._row >= 0 else []
        self._ended = False

    def step(self) -> Evaluation:
        if self._ended:
            raise ConfigurationError(f"step: all {self._table.max_fidelity} epochs are done; begin a new evaluation.")
        ahead = [fidelity for fidelity in self._known if fidelity > self.fidelity]
        if ahead:
            self.fidelity = ahead[0]
            return self._table.partial(self.architecture, self._row, self.fidelity)
        [evaluation] = self._table.evaluate([self.architecture])
        if evaluation.ok:
            self.fidelity, self._ended = self._table.max_fidelity, True
        return evaluation

    def state(self) -> dict[str, Any]:
        return {**self._identity(), "fidelity": self.fidelity}

    def load_state(self, state: Mapping[str, Any]) -> None:
        check_identity(state, self._identity(), "Begin this evaluation anew.")
        with taking_over("evaluation"):
            fidelity = state["fidelity"]
            if type(fidelity) is not int or fidelity not in (0, *self._known, self._table.max_fidelity):
                raise ValueError(f"the table has no score after {fidelity!r} epochs")
        self.fidelity, self._ended = fidelity, fidelity == self._table.max_fidelity

    def _identity(self) -> dict[str, Any]:
        return {"evaluator": self._table.fingerprint(), "key": self._table.space.key(self.architecture)}
