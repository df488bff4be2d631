"""Base class of searchers with an inner evolution guided by a learned ranking."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, replace
from typing import Annotated, Any

from archsearch.declarations import AtLeast
from archsearch.errors import ConfigurationError
from archsearch.searchers.goals import Goals
from archsearch.searchers.surrogate.inner_search import Annealing, Generations, InnerSearch, inner_search
from archsearch.searchers.surrogate.reranked_searcher import RerankedSearcher
from archsearch.spaces import SearchSpace

ENUMERABLE = 20_000
"""Largest number of architectures at which all of a space are ranked, where they can be listed; a user may say otherwise."""
_MOST_OPTIMISM = 100.0
_LEAST_GENERATIONS = 3


class GuidedEvolution(RerankedSearcher):
    """After a random first stage, an inner evolution in the pool searches in each stage for the architectures that rank highest.

    The surrogate is a `RankingSurrogate`. With several objectives it has one ranking for each objective that needs an
    evaluation; costs are computed.

    Args:
        space: Space to search.
        seed: Seed of all proposals and fits.
        initial: Number of random candidates before the first fit; None takes 10, but at most half of
            `num_candidates`.
        stage_size: Number of candidates between two fits. Under a scheduler a stage has a fifth of the candidates before it, if
            that is more: most candidates are stopped early, and say little for what a fit costs.
        explore: Fraction of each later stage that is drawn at random.
        inner: The inner search by name: `generations`, ours; `random`, `evolution` or `annealing`; or with its sizes, such as
            `{"kind": "random", "ratio": 50}`. See `archsearch.searchers.surrogate.inner_search`.
        population: Number of children in a generation, for `generations` alone; None takes 200.
        generations: Number of generations, for `generations` alone; None takes 20, and fewer where a new architecture takes
            milliseconds to be named, as modules of some 30 layers and more of a `ModuleSpace` do.
        enumerable: Largest number of architectures at which all of a space are ranked instead, where they can be listed; None
            takes 20,000 for `generations` and 0 for the others. With 500,000 the searchers `gp`, and `gates` with `fusion`, rank
            all 423,624 cells of NAS-Bench-101 in each stage, which takes seconds.
        islands: Number of inner evolutions at once, each in another actor, all from the best known architectures. None takes the
            number of actors.
        **settings: As for `RerankedSearcher`.
    """

    usual_initial = 10
    model_name = "the surrogate"
    """What ranks candidates, in a report."""

    def __init__(
        self,
        space: SearchSpace,
        seed: int = 0,
        *,
        initial: Annotated[int, AtLeast(1)] | None = None,
        stage_size: Annotated[int, AtLeast(1)] = 5,
        explore: float = 0.1,
        inner: str | Mapping[str, Any] = "generations",
        population: Annotated[int, AtLeast(1)] | None = None,
        generations: Annotated[int, AtLeast(0)] | None = None,
        enumerable: Annotated[int, AtLeast(0)] | None = None,
        islands: Annotated[int, AtLeast(1)] | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(space, seed, initial=initial, stage_size=stage_size, explore=explore, **settings)
        self.inner = _with_sizes(inner_search(inner), population=population, generations=generations)
        if isinstance(self.inner, Generations) and generations is None and not isinstance(inner, Mapping):
            most = max(_LEAST_GENERATIONS, space.most_in_a_stage // self.inner.population - 1)
            self.inner = replace(self.inner, generations=min(self.inner.generations, most))
        self.enumerable = (ENUMERABLE if self.inner.ranks_small_spaces else 0) if enumerable is None else enumerable
        self._wanted_islands = islands
        self._check_goals(self.goals)

    def adopt(self, goals: Goals) -> None:
        self._check_goals(goals)
        super().adopt(goals)

    def _check_goals(self, goals: Goals) -> None:
        if isinstance(self.inner, Annealing) and not goals.single:
            raise ConfigurationError(
                f"inner: annealing compares predictions of one objective; got {len(goals.objectives)} objectives. Give "
                "inner=evolution or inner=random."
            )

    @property
    def screens(self) -> bool:
        """Whether the surrogate has rough scores, so that also hundreds of thousands of architectures can all be ranked."""
        return False

    @property
    def islands(self) -> int:
        listed, objectives = self.space.num_listed, len(self.goals.objectives)
        if (
            listed is not None
            and listed <= self.enumerable
            and (listed <= self.space.enumerable or (self.screens and objectives == 1))
        ):
            return 1  # each would rank the same architectures
        return self._wanted_islands or self.actors

    @property
    def groups(self) -> Mapping[str, Collection[str]]:
        """Keys of the candidates that the surrogate chose, and of those drawn at random: the first stage, and `explore`.

        Empty if the search began with given architectures or knew outcomes before. Of a resumed search, what was drawn after the
        first stage before the stop counts as chosen.
        """
        if self.starts or self._num_learned:
            return {}
        order = [row.evaluation.key for row in sorted(self._history, key=lambda row: (row.batch, row.position))]
        random = {*order[: self.initial], *self._unguided.intersection(order)}
        return {f"chosen by {self.model_name}": set(order) - random, "random": random}

    def fit_options(self) -> Mapping[str, Any]:
        objectives = enumerate(self.goals.objectives)
        return {"learned": {each.name: column for column, each in objectives if each.name not in self.goals.cost_names}}

    def propose_options(self) -> Mapping[str, Any]:
        return {"goals": self.goals, "inner": self.inner}


def check_optimism(optimism: object) -> float:
    """Return the number of standard deviations that are added to predicted means.

    Raises:
        ConfigurationError: It is no number from 0 to 100.
    """
    number = isinstance(optimism, int | float) and not isinstance(optimism, bool)
    if not number or not 0.0 <= optimism <= _MOST_OPTIMISM:  # type: ignore[operator]
        raise ConfigurationError(f"optimism: expected a number from 0 to {_MOST_OPTIMISM:g}; got {optimism!r}.")
    return float(optimism)  # type: ignore[arg-type]


def _with_sizes(inner: InnerSearch, **sizes: int | None) -> InnerSearch:
    """Return an inner search with the sizes that are given as options of the searcher.

    Raises:
        ConfigurationError: They are sizes of another inner search.
    """
    given = {name: size for name, size in sizes.items() if size is not None}
    if given and not isinstance(inner, Generations):
        name, size = next(iter(given.items()))
        raise ConfigurationError(
            f"{name}: a size of the inner search `generations`; got {size} with another one, {inner}. Give its sizes in `inner`, "
            "such as {'kind': 'evolution', 'population': 20}."
        )
    return inner_search({"kind": "generations", **asdict(inner), **given}) if isinstance(inner, Generations) else inner
