"""Evolution guided by the GATES predictor, and its surrogate in an actor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from archsearch.errors import check_kind
from archsearch.searchers.presets import GATES, preset_named
from archsearch.searchers.surrogate.guided_evolution import GuidedEvolution
from archsearch.searchers.surrogate.ranking_surrogate import Ranking, RankingSurrogate
from archsearch.spaces import Architecture, SearchSpace

if TYPE_CHECKING:
    from archsearch.evaluators.predictors.predictor import Predictor

_USUAL = {"encoder": "gates", "loss": "hinge", "preset": "default", "members": 1, "device": "cpu"}


class PredictorSurrogate(RankingSurrogate):
    """Ranks by a `Predictor` for each objective.

    Args:
        space: Space of the architectures.
        enumerable: Largest number of genotypes at which all architectures of a space are ranked.
        **predictor: Arguments of `Predictor`, without space and seed.
    """

    def __init__(self, space: SearchSpace, *, enumerable: int = 20_000, **predictor: Any) -> None:
        super().__init__(space, enumerable=enumerable)
        self.arguments = predictor
        _predictor_class()  # importing torch takes seconds: now, not in the first fit

    def _made(self, seed: int) -> Predictor:
        return _predictor_class()(self.space, seed=seed, **self.arguments)

    def _fitted(self, seed: int, architectures: Sequence[Architecture], rows: Mapping[str, Any], column: int) -> Ranking:
        """Return a predictor that has learned one objective, under a scheduler within all rungs if its loss is on pairs."""
        predictor = self._made(seed)
        if "rungs" not in rows or not predictor.compares_pairs:
            return super()._fitted(seed, architectures, rows, column)
        candidates, rungs, values = (rows["rungs"][name] for name in ("candidates", "rungs", "values"))
        scores = values[:, column]
        if all(len(set(scores[rungs == rung])) < 2 for rung in set(rungs)):
            return super()._fitted(seed, architectures, rows, column)  # no rung has an order yet
        return predictor.fit([architectures[place] for place in candidates], scores, rungs=rungs)


class GATESEvolution(GuidedEvolution):
    """Predictor-guided evolution, X. Ning et al., ECCV 2020, arXiv 2004.01899.

    A first stage is random. In each later stage a GATES predictor is fitted to all outcomes, an inner evolution in the pool
    searches for the architectures that it ranks highest, and the best new ones are evaluated.

    The predictor f is fitted by the hinge ranking loss: the mean over pairs with score(a) > score(b) of
    max(0, margin - (f(a) - f(b))).

    Under a scheduler it learns from the scores at all rungs, only within each rung, with a weight that doubles from rung to rung
    (see `archsearch.evaluators.Predictor.fit`).

    Args:
        space: Space to search.
        seed: Seed of all proposals and fits.
        preset: Settings of predictor and search together, by name: see `archsearch.searchers.presets.GATES`. The options below,
            and those of the search, replace what it says.
        encoder: Encoder of architectures, `gates` or another one of `archsearch.evaluators.Predictor`; None takes the preset's.
        loss: Loss of the fit: `hinge`, `bce`, `comparator`, `listmle` or `mse`; None takes the preset's.
        members: Number of predictors whose mean prediction ranks; None takes the preset's.
        epochs: Passes over the outcomes in a fit; None takes the preset's.
        device: Device of the predictor: `auto`, `cpu` or `cuda`.
        model: Further changes to the settings of the predictor, such as `{"layers": 4}`; see
            `archsearch.evaluators.predictors.settings`.
        **settings: As for `GuidedEvolution`.

    Example:
        >>> from archsearch import searchers, spaces
        >>> searcher = searchers.GATESEvolution(spaces.get("nasbench201"), seed=0, initial=20)
        >>> searcher.suggest("t0")["batch"]  # the first stage needs no pool
        0
    """

    def __init__(
        self,
        space: SearchSpace,
        seed: int = 0,
        *,
        preset: str = "default",
        encoder: str | None = None,
        loss: str | None = None,
        members: int | None = None,
        epochs: int | None = None,
        device: str = "cpu",
        model: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        check_kind("space", space, SearchSpace, "a search space, such as spaces.get('nasbench201')")
        chosen = preset_named(preset, GATES)
        check_kind("model", model, (Mapping, type(None)), "changes to settings of the predictor by name, such as {'layers': 4}")
        super().__init__(space, seed, **chosen.options(space.name, settings))
        given = {"encoder": encoder, "loss": loss, "members": members, "epochs": epochs}
        explicit = {name: value for name, value in given.items() if value is not None}
        self.predictor: dict[str, Any] = {**_USUAL, **chosen.model, **(model or {}), **explicit, "device": device}
        self.use_device(device)
        self._check()

    def _check(self) -> None:
        """Raise ConfigurationError for bad settings here, not in the actors; the usual ones need no check, which takes torch."""
        if self.predictor != _USUAL:
            _predictor_class()(self.space, **self.predictor)

    def surrogate(self) -> Callable[[], Any]:
        return partial(PredictorSurrogate, self.space, enumerable=self.enumerable, **self.predictor)


def _predictor_class() -> type[Predictor]:
    from archsearch.evaluators.predictors.predictor import Predictor  # only the actor needs torch

    return Predictor
