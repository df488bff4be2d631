"""Progressive search: architectures are grown place by place, and a predictor chooses which of the grown to evaluate."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from archsearch.declarations import AtLeast
from archsearch.errors import ConfigurationError, check_kind
from archsearch.searchers.goals import Goals
from archsearch.searchers.observation import Observation
from archsearch.searchers.presets import PNAS, preset_named
from archsearch.searchers.surrogate.inner_search import best_first
from archsearch.searchers.surrogate.ranking_surrogate import RankingSurrogate
from archsearch.searchers.surrogate.searcher import SurrogateSearcher
from archsearch.spaces import Architecture, SearchSpace
from archsearch.spaces.gene_sequence import GeneSequences
from archsearch.spaces.growth import growth_of

if TYPE_CHECKING:
    from archsearch.evaluators.predictors.sequence_predictor import SequencePredictor

_GROWN = 5_000  # architectures at most that a stage ranks
_LEVEL = 200  # small architectures of one size at most that are tried before the first fit


class ProgressiveSurrogate(RankingSurrogate):
    """Ranks by an ensemble of LSTMs for each objective, and grows architectures towards those that rank highest.

    Args:
        space: Space of the architectures.
        beam: Number of architectures of one size that are grown further without being evaluated.
        children: Number of larger architectures at most that are drawn for each.
        **predictor: Arguments of `SequencePredictor`, without space and seed.
    """

    def __init__(self, space: SearchSpace, *, beam: int, children: int, **predictor: Any) -> None:
        super().__init__(space)
        self.beam, self.children, self.arguments = beam, children, predictor
        self._places = growth_of(space)

    def _made(self, seed: int) -> SequencePredictor:
        from archsearch.evaluators.predictors.sequence_predictor import SequencePredictor  # only the actor needs torch

        return SequencePredictor(self.space, seed, **self.arguments)

    def propose(  # type: ignore[override]
        self,
        n: int,
        *,
        seed: int,
        exclude: Sequence[str],
        best: Sequence[str],
        goals: Goals,
        parents: Sequence[str],
        target: int,
        spare: int,
    ) -> dict[str, list[Any]]:
        """Return the `n` new feasible architectures with the best predictions among those that were grown.

        Args:
            n: Number of architectures.
            seed: Seed of the draws.
            exclude: Keys of architectures that were proposed before.
            best: Not read: which architectures grow is the searcher's choice.
            goals: Objectives and constraints.
            parents: Texts of the architectures that are grown.
            target: Size of the architectures to return; those in between are grown further by their predictions.
            spare: Number of sizes below `target` that may be returned too.
        """
        rng, name = np.random.default_rng(seed), self._places.name
        beam = {name(each): each for each in map(self.space.parse, parents)}
        sizes = {each: self._places.size(architecture) for each, architecture in beam.items()}
        found: dict[str, Architecture] = {}
        smallest = min(sizes.values(), default=target)
        width, children = self._widths(target - smallest)
        for size in range(smallest, target):
            grown: dict[str, Architecture] = {}
            for parent in [each for each in beam if sizes[each] <= size]:
                for child in self._places.grown(beam.pop(parent), children, rng):
                    grown.setdefault(name(child), child)
            new = [each for each in grown if each not in beam]
            ranked = [new[place] for place in self._order([grown[each] for each in new], goals)[0]]
            for each in ranked[:width]:
                beam[each], sizes[each] = grown[each], size + 1
            if size + 1 >= target - spare:
                found |= {each: grown[each] for each in ranked}
        return self._best(n, list(found.values()), set(exclude), goals)

    def _widths(self, levels: int) -> tuple[int, int]:
        """Return how many architectures of a size are grown on and how many children each has, so that a stage takes seconds."""
        most = max(1, min(_GROWN, self.space.most_in_a_stage) // max(1, levels))
        width = max(1, min(self.beam, most // 10))
        return width, max(1, min(self.children, most // width))

    def _best(self, n: int, architectures: Sequence[Architecture], known: set[str], goals: Goals) -> dict[str, list[Any]]:
        """Return the new feasible architectures with the best predictions, each structure once."""
        order, values = self._order(architectures, goals)
        chosen: list[int] = []
        for place in order:
            key = self.space.key(architectures[place])
            if key not in known and goals.excess(architectures[place]) == 0.0:
                known.add(key)
                chosen.append(place)
            if len(chosen) == n:
                break
        return {
            "architectures": [str(architectures[place]) for place in chosen],
            "predictions": [float(values[place, 0]) for place in chosen],
        }

    def _order(self, architectures: Sequence[Architecture], goals: Goals) -> tuple[list[int], np.ndarray[Any, Any]]:
        """Return the positions of architectures, best predicted first, and the predictions."""
        values = self._expected(architectures, architectures, goals)
        return (list(best_first(values)) if len(architectures) else []), values


class ProgressiveSearch(SurrogateSearcher):
    """Progressive neural architecture search, C. Liu et al., ECCV 2018, arXiv 1712.00559.

    The first candidates are the smallest. In each later stage an ensemble of LSTMs is fitted to all outcomes, the evaluated
    architectures are grown by one place each, and the `stage_size` grown ones that rank highest are evaluated. A place is a
    block of `nasnet`, a node of `cells` and `anytime`, a vertex of `nasbench101`, a layer of `enas`, else a gene. In spaces with
    a fixed number of places an undecided one has the plainest operator: `none`, or a skip connection, or else the first.

    The paper ends with the largest size. Here growing takes the share `growing` of the candidates, where need be by several
    places in a stage. In the stages after that architectures grow by prediction alone from the smallest to the largest, and the
    best of all sizes are evaluated.

    Args:
        space: Space to search.
        seed: Seed of all proposals and fits.
        preset: Settings by name: see `archsearch.searchers.presets.PNAS`. The options below replace what it says.
        initial: Number of candidates before the first fit; None takes `usual_initial`, but at most half of `num_candidates`.
        stage_size: Number of candidates of a stage, K in the paper; None takes the preset's.
        growing: Share of the candidates that are evaluated while sizes grow, from 0 to 1; None takes the preset's.
        beam: Number of architectures of one size that are grown on by prediction alone; None takes the preset's.
        children: Number of larger architectures at most that are drawn for each; None takes the preset's.
        explore: Fraction of each later stage that is drawn at random; None takes the preset's.
        model: Changes to the predictor, such as `{"members": 1}`; see
            `archsearch.evaluators.predictors.sequence_predictor.SequencePredictor`.
        **settings: As for `SurrogateSearcher`.

    Raises:
        ConfigurationError: A setting is out of range, or the space leaves nothing to choose.

    Example:
        >>> from archsearch import searchers, spaces
        >>> searcher = searchers.ProgressiveSearch(spaces.get("nasbench101"), seed=0, initial=6)
        >>> searcher.suggest("t0")["candidates"]  # a cell of one vertex
        ['[[0,1,1],[0,0,1],[0,0,0]] [input,conv3x3-bn-relu,output]']
    """

    usual_initial = 10

    def __init__(
        self,
        space: SearchSpace,
        seed: int = 0,
        *,
        preset: str = "default",
        initial: Annotated[int, AtLeast(1)] | None = None,
        stage_size: Annotated[int, AtLeast(1)] | None = None,
        growing: float | None = None,
        beam: Annotated[int, AtLeast(1)] | None = None,
        children: Annotated[int, AtLeast(1)] | None = None,
        explore: float | None = None,
        model: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        check_kind("space", space, SearchSpace, "a search space, such as spaces.get('nasbench201')")
        check_kind("model", model, (Mapping, type(None)), "changes to settings of the predictor by name, such as {'members': 1}")
        GeneSequences(space)  # it refuses a space with nothing to choose
        given = {"initial": initial, "stage_size": stage_size, "growing": growing, "beam": beam, "children": children}
        chosen = preset_named(preset, PNAS)
        options, self.notes = chosen.options(
            space.name, {**given, "explore": explore, **settings}, settings.get("num_candidates")
        )
        self.growing = options.pop("growing")
        if not isinstance(self.growing, int | float) or not 0.0 <= self.growing <= 1.0:
            raise ConfigurationError(f"growing: expected a share from 0 to 1; got {self.growing!r}.")
        self.beam, self.children = options.pop("beam"), options.pop("children")
        super().__init__(space, seed, **options)
        self.model: dict[str, Any] = {**chosen.model, **(model or {})}
        if self.model:
            from archsearch.evaluators.predictors.sequence_predictor import SequencePredictor

            SequencePredictor(space, **self.model)  # it refuses wrong settings here, not in the actors
        self._places = growth_of(space)
        self._grown_sizes: dict[str, int] = {}

    @classmethod
    def settled_options(cls, options: Mapping[str, Any], num_candidates: int) -> dict[str, Any]:
        settled = preset_named(options.get("preset", "default"), PNAS).settled(options, num_candidates)
        return super().settled_options(settled, num_candidates)

    def surrogate(self) -> Callable[[], Any]:
        return partial(ProgressiveSurrogate, self.space, beam=self.beam, children=self.children, **self.model)

    def fit_options(self) -> Mapping[str, Any]:
        objectives = enumerate(self.goals.objectives)
        return {"learned": {each.name: column for column, each in objectives if each.name not in self.goals.cost_names}}

    def propose_options(self) -> Mapping[str, Any]:
        target, largest = self.target(self._stages), self._places.largest
        smallest = str(self._places.smallest())
        if target is None:
            return {"goals": self.goals, "parents": [smallest], "target": largest, "spare": largest}
        evaluated = [evaluation.architecture for evaluation in self._newest()]
        sizes = [self._places.size(each) for each in evaluated]
        before = max((size for size in sizes if size < target), default=0)
        parents = [str(each) for each, size in zip(evaluated, sizes, strict=True) if size == before]
        return {"goals": self.goals, "parents": parents or [smallest], "target": target, "spare": 0}

    def target(self, stage: int) -> int | None:
        """Return the size to which architectures grow in a stage, from 1; None once all sizes had their stage."""
        largest = self._places.largest
        stages = largest - 1
        if self.num_candidates is not None:
            stages = min(stages, max(1, math.floor((self.growing * self.num_candidates - self.initial) / self.stage_size)))
        if stage > stages or largest == 1:
            return None
        return 1 + math.ceil(stage * (largest - 1) / stages)

    def propose(self, count: int, rng: np.random.Generator) -> list[Architecture]:
        if self._stages or self._queue:
            return super().propose(count, rng)
        return self._small(count, rng)

    def _small(self, count: int, rng: np.random.Generator) -> list[Architecture]:
        """Return new architectures of the smallest sizes: all of one before any of the next."""
        level = [self._places.smallest()]
        for _ in range(self._places.largest):
            grown: dict[str, Architecture] = {}
            for parent in level:
                for each in self._places.grown(parent, self.children, rng):
                    grown.setdefault(self._places.name(each), each)
            level = [grown[name] for name in rng.permutation(sorted(grown))[:_LEVEL].tolist()]
            new = (each for each in level if not self.was_proposed(each) and self.goals.counted_excess(each) == 0.0)
            if found := list(itertools.islice(new, count)):
                return found
        return [self.space.sample(rng) for _ in range(count)]

    def observe(self, observations: Sequence[Observation]) -> None:
        super().observe(observations)
        for observation in observations:
            evaluation = observation.evaluation
            self._grown_sizes[evaluation.key] = self._places.size(evaluation.architecture)
        self.details = {"sizes": np.array(list(self._grown_sizes.values()), dtype=np.int64)} if self._grown_sizes else {}

    @property
    def figures(self) -> dict[str, float]:
        """Those of every surrogate, and the largest size that was evaluated."""
        largest = {"pnas/largest_size": float(max(self._grown_sizes.values()))} if self._grown_sizes else {}
        return {**super().figures, **largest}
