"""Summary of a search as plain data, for its report and its tracker."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from archsearch.evaluators.anytime.curve import AREA, AnytimeCurve
from archsearch.evaluators.score_names import BALANCED, BALANCED_SCORE, MAE, R2
from archsearch.platform import units
from archsearch.platform.early_stopping import EarlyStopping
from archsearch.platform.ending import Ending
from archsearch.platform.rank_order import fidelities
from archsearch.platform.space_costs import SpaceCosts
from archsearch.searchers import Objective
from archsearch.searchers.goals import SCORE


@dataclass(frozen=True)
class SearchSummary:
    """A search as plain data.

    Args:
        name: Name of the run.
        space: Name of the search space.
        task: Name of the dataset or table that scores come from.
        searcher: Name of the searcher.
        evaluator: The evaluator as text, such as `train:digits`.
        seed: Seed of the search.
        num_candidates: Number of candidates that the search was to propose.
        score_name: Name of the score, such as `valid_accuracy`.
        percent: Whether the score is an accuracy as a fraction, to be shown in percent.
        evaluations: One row per candidate: `candidate`, `architecture`, `key`, `score` (NaN if failed), `seconds`, `error` (null
            if none), `reused` (whether it came from the ledger), then one float64 column per metric. With
            a scheduler also `fidelity`; see `rank_order.FIDELITY`.
        settings: All settings as plain data, enough to reproduce the search.
        costs: Seconds by part: `evaluating`, `proposing`, `tracking`, `total`, and others such as `ray_start`.
        version: Version of archsearch.
        command: Command (or line of Python) that resumes the search.
        chance: Accuracy of guessing, a fraction.
        groups: Scores by how the candidates were chosen, those chosen by the searcher first; see
            `ArchitectureSearcher.groups`.
        exits: Accuracy at each exit of the best network, if it has several and the exits were scored.
        score_images: Number of images that a score is the mean of, for its standard error; None if it is not known.
        facts: What is to be known about the images and the training, one sentence each.
        cautions: Warnings about them.
        remark: A warning about the scores, such as that none beats guessing; an empty string if there is none.
        known_before: Sentences on how its method was set up, the architectures that it started with and the outcomes that it
            learned from.
        use: Command (or line of Python) that trains and exports its best architecture.
        space_costs: Costs of random architectures of the space; None if they were not drawn.
        early_stopping: What the scheduler of the search did; None if it had none.
        ending: How the search ended; None if that is not known.
        lower_is_better: Whether scores are the negatives of the figure called `score_name`, such as a loss, which is shown.
    """

    name: str
    space: str
    task: str
    searcher: str
    evaluator: str
    seed: int
    num_candidates: int
    score_name: str
    percent: bool
    evaluations: pa.Table
    settings: Mapping[str, Any]
    costs: Mapping[str, float]
    version: str
    command: str
    chance: float
    groups: Mapping[str, Sequence[float]] = field(default_factory=dict)
    exits: AnytimeCurve | None = None
    score_images: float | None = None
    facts: Sequence[str] = ()
    cautions: Sequence[str] = ()
    remark: str = ""
    known_before: Sequence[str] = ()
    use: str = ""
    space_costs: SpaceCosts | None = None
    early_stopping: EarlyStopping | None = None
    ending: Ending | None = None
    lower_is_better: bool = False

    def shown(self, score: float) -> str:
        """Return a score as a text: in percent, or as the loss that it is the negative of."""
        return units.score(score, self.percent, self.lower_is_better)

    @property
    def loss(self) -> str:
        """Name of the figure that scores are the negatives of; empty if they are none."""
        return self._score_words if self.lower_is_better else ""

    @property
    def score_label(self) -> str:
        """Human-readable name of the score, with its unit; for a figure of which less is better, of its negative."""
        if self.lower_is_better:
            return f"negative {self._score_words}"
        return self._score_words + (" (%)" if self.percent else "")

    @property
    def _score_words(self) -> str:
        for name in (R2, MAE):
            if self.score_name == f"valid_{name}":
                return f"validation {name.upper()}"
        return self.score_name.replace("valid_", "validation ").replace("_", " ")

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """Objectives of the search; for a single-objective search: a higher score and fewer MACs."""
        texts = [str(text).strip() for text in self.settings.get("objectives", ())]
        aims = [Objective(text.lstrip("+-").strip(), not text.startswith("-")) for text in texts]
        named = [replace(aim, name=self._metric(aim.name)) for aim in aims]
        named = [Objective(SCORE) if aim.name == SCORE else aim for aim in named]  # `-mae`: the score is its negative
        return tuple(named) if len(named) > 1 else (Objective(SCORE), Objective("macs", False))

    def _metric(self, name: str) -> str:
        """Return the metric of an objective's name; see `goals_for`."""
        if name == "accuracy" and self.score_name in (AREA, BALANCED_SCORE):
            return "valid_accuracy"
        own = self.score_name.removeprefix("valid_")
        return SCORE if name in (SCORE, "accuracy", "anytime", BALANCED, own, self.score_name) else name

    def column(self, name: str) -> NDArray[np.float64]:
        """Return a numeric column in order of proposal, `[candidates]`; NaN where it is null or does not exist."""
        table = self.evaluations
        if name not in table.column_names:
            return np.full(len(table), math.nan)
        order = np.argsort(table.column("candidate").to_numpy(), kind="stable")
        values: NDArray[np.float64] = table.column(name).cast(pa.float64()).to_numpy()[order]
        return values

    def in_order(self, name: str) -> list[Any]:
        """Return a column of any type in order of proposal."""
        order = np.argsort(self.evaluations.column("candidate").to_numpy(), kind="stable")
        values: list[Any] = self.evaluations.column(name).take(pa.array(order)).to_pylist()
        return values

    @property
    def is_multi_objective(self) -> bool:
        """Whether the search has several objectives."""
        return len(self.settings.get("objectives", ())) > 1

    @property
    def scores(self) -> NDArray[np.float64]:
        """Scores in order of proposal, `[candidates]`; NaN where the evaluation failed."""
        failed = self.evaluations.column("error").is_valid().to_numpy()
        order = np.argsort(self.evaluations.column("candidate").to_numpy(), kind="stable")
        scores = self.column("score")
        return np.where(np.isfinite(scores) & ~failed[order], scores, math.nan)

    @property
    def final_scores(self) -> NDArray[np.float64]:
        """Scores of the candidates that reached the highest fidelity of the search, `[candidates]`; NaN for all others.

        These compare with each other. Without a scheduler they are all scores.
        """
        scores, order = self.scores, np.argsort(self.evaluations.column("candidate").to_numpy(), kind="stable")
        reached = fidelities(self.evaluations)[order]
        highest = reached[np.isfinite(scores)].max(initial=0.0)
        return np.where(reached == highest, scores, math.nan)

    @property
    def accuracies(self) -> NDArray[np.float64]:
        """Accuracies of the same candidates, `[candidates]`: the scores, unless these are areas under anytime curves."""
        if self.score_name != AREA:
            return self.final_scores
        return np.where(np.isfinite(self.final_scores), self.column("valid_accuracy"), math.nan)

    def standard_error(self, score: float) -> float:
        """Return the standard error of a score by the choice of the images alone, sqrt(p (1 - p) / n); NaN if it is not known."""
        return standard_error(score, self.score_images if self.percent else None)

    @property
    def paid(self) -> NDArray[np.float64]:
        """Cost of each evaluation in order of proposal, `[candidates]`, seconds; 0 for reused ones."""
        seconds = np.nan_to_num(self.column("seconds"), nan=0.0, posinf=0.0, neginf=0.0)
        return np.where(self.column("reused") == 1.0, 0.0, seconds)


def standard_error(score: float, images: float | None) -> float:
    """Return sqrt(p (1 - p) / n) for an accuracy p of n images; NaN if the number of images is not known."""
    return math.nan if images is None else math.sqrt(max(0.0, score * (1.0 - score)) / images)


def flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield nested settings as dotted names and strings: string values as they are, others as JSON."""
    for name, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value if isinstance(value, str) else json.dumps(value, default=str)
