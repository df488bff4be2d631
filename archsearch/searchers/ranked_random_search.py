"""Base class of random search among candidates that a resident model has ranked without training them."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence, Set
from functools import partial
from itertools import islice
from typing import Annotated, Any

import numpy as np

from archsearch.cluster.pool.model_pool import ModelPool
from archsearch.declarations import AtLeast
from archsearch.evaluators.metrics import kendall_tau
from archsearch.searchers.surrogate.fixed_model import FixedModelSearcher
from archsearch.searchers.surrogate.ranking_stage import Order, RankingStage
from archsearch.searchers.surrogate.stage import Proposal, Stage
from archsearch.searchers.unique_candidates import UniqueCandidates
from archsearch.spaces import Architecture, SearchSpace

_PATIENCE = 20  # draws for each wanted mutation
_FEWEST = 5  # outcomes for a rank correlation


class RankedRandomSearch(FixedModelSearcher):
    """Random search among candidates that a model has ranked without training them.

    All actors together rank `rank_candidates` random candidates. They are evaluated, best first, up to `num_candidates`; when
    all of them are evaluated, as many new ones are ranked. The model does not learn from outcomes.

    The first `initial` candidates are random and not ranked, as a baseline: the report compares their mean score with that of
    the ranked ones, and the rank correlation between predictions and outcomes is over both.

    A subclass returns the function that makes the model from `surrogate`, whose `evaluate` gives columns of figures, and from
    `order` the function of these columns by which candidates are ranked. One whose model is trained first starts the training
    in `start_training`.

    Args:
        space: Space to search.
        seed: Seed of the candidates.
        rank_candidates: Number of random candidates to rank.
        mutants: Number of mutations of the best tenth that are ranked too.
        initial: Number of random candidates before the ranked ones; None takes 5, but at most half of `num_candidates`.
        explore: Fraction of the later candidates that is drawn at random.
        **settings: As for `SurrogateSearcher`, without `stage_size`.

    Raises:
        ConfigurationError: A setting is out of range.

    Example:
        >>> from functools import partial
        >>> from archsearch import searchers, spaces
        >>> from archsearch.evaluators.proxies import ProxySurrogate
        >>> from archsearch.searchers.surrogate.rank_parts import ranks_of
        >>> class BySize(searchers.RankedRandomSearch):
        ...     parts = ("params",)
        ...
        ...     def surrogate(self):
        ...         return partial(ProxySurrogate, self.space, self.parts, "digits")
        ...
        ...     def order(self):
        ...         return partial(ranks_of, self.parts)
        >>> BySize(spaces.get("nasbench201"), seed=0).suggest("t0")["batch"]  # the random candidates need no pool
        0
    """

    usual_initial = 5
    fixed_options = (*FixedModelSearcher.fixed_options, "stage_size")

    def __init__(
        self,
        space: SearchSpace,
        seed: int = 0,
        *,
        rank_candidates: Annotated[int, AtLeast(1)] = 300,
        mutants: Annotated[int, AtLeast(0)] = 0,
        initial: Annotated[int, AtLeast(0)] | None = None,
        explore: float = 0.1,
        **settings: Any,
    ) -> None:
        super().__init__(space, seed, initial=initial, stage_size=rank_candidates + mutants, explore=explore, **settings)
        self.rank_candidates, self.mutants = rank_candidates, mutants
        self._ranked: dict[str, float] = {}
        self._parts: dict[str, dict[str, float]] = {}  # figures by part and key
        self._drawn: set[str] = set()

    # Methods for subclasses

    parts: Sequence[str] = ()
    """Names of the figures whose ranks are summed, of which each is compared with the outcomes."""

    @abstractmethod
    def order(self) -> Order:
        """Return the function that makes what ranks of the columns of the model; it is called in a thread."""

    # Stages

    def begin_stage(self, pool: ModelPool) -> Stage:
        # The draw depends only on seed and stage, so that a resumed search ranks the same candidates.
        rng = np.random.default_rng([self.seed, self._stages, 3])
        drawn = list(islice(UniqueCandidates(self.space, self.patience).fresh(self.goals, rng), self.rank_candidates))
        keys = [self.space.key(architecture) for architecture in drawn]
        self._drawn.update(keys)
        others = [row.evaluation.architecture for row in self._rows if row.evaluation.key not in self._ranked.keys() | set(keys)]
        return RankingStage(
            pool,
            self.training(pool),
            [*drawn, *others],
            self.goals,
            self.order(),
            first=self._stages == 1,
            relatives=partial(self._mutations, rng=rng, known=frozenset(self._unique.keys | self._unique.known))
            if self.mutants
            else None,
        )

    def _mutations(self, ranked: Sequence[Architecture], rng: np.random.Generator, known: Set[str]) -> list[Architecture]:
        """Return new feasible mutations of the best tenth, each once; called from the thread of a stage, it changes no state."""
        parents = ranked[: max(1, len(ranked) // 10)]
        known = known | {self.space.key(each) for each in ranked}
        found: dict[str, Architecture] = {}
        for _ in range(_PATIENCE * self.mutants):
            child = self.space.mutate(parents[int(rng.integers(len(parents)))], rng)
            if (key := self.space.key(child)) not in known and self.goals.excess(child) == 0.0:
                found.setdefault(key, child)
            if len(found) == self.mutants:
                break
        return list(found.values())

    def _fill(self, proposals: Sequence[Proposal]) -> None:
        new = {each.key: each.prediction for each in proposals if each.key not in self._ranked and each.prediction is not None}
        self._ranked |= new
        self._drawn |= new.keys() - {row.evaluation.key for row in self._rows}
        keys = {str(each.architecture): each.key for each in proposals if each.key in new}
        for part in self.parts:
            found = self.details.get(part, {})
            self._parts.setdefault(part, {}).update((key, found[text]) for text, key in keys.items() if text in found)
        for row in self._rows:  # the random candidates count for the rank correlation too
            if row.evaluation.key in new:
                self.trust.expect(row.evaluation.key, new[row.evaluation.key])
                self._compare(row.evaluation)
        super()._fill(proposals)

    @property
    def ranked(self) -> Mapping[str, float]:
        """The figure by which each candidate was ranked, by key, larger is better."""
        return self._ranked

    @property
    def figures(self) -> dict[str, float]:
        """Figures of `SurrogateSearcher`, number of ranked candidates, and mean scores of ranked and random candidates.

        With several parts, the rank correlation of each with the scores too. Under a scheduler these are the scores at the
        first rung, to which all candidates came.
        """
        top = self.groups["ranked first"]
        means: dict[str, list[float]] = {"top": [], "random": []}
        for key, score in self.first_scores.items():
            means["top" if key in top else "random"].append(score)
        return {
            **super().figures,
            "surrogate/candidates_ranked": float(len(self._drawn)),
            **{f"surrogate/{name}_mean_score": float(np.mean(scores)) for name, scores in means.items() if scores},
            **{f"surrogate/tau_{part}": tau for part, tau in self.agreement.items()},
        }

    @property
    def agreement(self) -> Mapping[str, float]:
        """Kendall's tau-b of each part with the scores of the candidates that were ranked, from -1 to 1, if there are several.

        Under a scheduler with the scores at the first rung. Parts without five such candidates, or whose tau is undefined, are
        left out.
        """
        found: dict[str, float] = {}
        for part in self.parts if len(self.parts) > 1 else ():
            figures = self._parts.get(part, {})
            keys = [key for key in self.first_scores if math.isfinite(figures.get(key, math.nan))]
            if len(keys) >= _FEWEST:
                tau = kendall_tau([self.first_scores[key] for key in keys], [figures[key] for key in keys])
                found |= {part: tau} if math.isfinite(tau) else {}
        return found

    @property
    def groups(self) -> Mapping[str, Collection[str]]:
        """Keys of the candidates that were ranked first, and of the random ones."""
        order = sorted(self._history, key=lambda row: (row.batch, row.position))
        top = {row.evaluation.key for row in order[self.initial :]} & self._drawn
        return {"ranked first": top, "random": {row.evaluation.key for row in order} - top}
