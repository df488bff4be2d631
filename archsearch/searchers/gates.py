"""Evolution guided by the GATES predictor, alone or with others, and its surrogates in an actor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from archsearch.errors import ConfigurationError, check_kind, unknown_name
from archsearch.searchers.fitness import places
from archsearch.searchers.presets import GATES, preset_named
from archsearch.searchers.surrogate.guided_evolution import GuidedEvolution, check_optimism
from archsearch.searchers.surrogate.ranking_surrogate import Ranking, RankingSurrogate
from archsearch.spaces import Architecture, SearchSpace

if TYPE_CHECKING:
    from archsearch.evaluators.predictors.fusion import Fusion
    from archsearch.evaluators.predictors.predictor import Predictor

FUSION = ("gp", "forest")
"""Models whose rankings can be added to that of GATES."""
_USUAL = {"encoder": "gates", "loss": "hinge", "preset": "default", "members": 1, "device": "cpu"}


class PredictorSurrogate(RankingSurrogate):
    """Ranks by a `Predictor` for each objective.

    Args:
        space: Space of the architectures.
        enumerable: Largest number of architectures at which all of a space are ranked.
        **predictor: Arguments of `Predictor`, without space and seed.
    """

    def __init__(self, space: SearchSpace, *, enumerable: int = 500_000, **predictor: Any) -> None:
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


class FusionSurrogate(RankingSurrogate):
    """Ranks by a `Fusion` for each objective.

    Args:
        space: Space of the architectures.
        enumerable: Largest number of architectures at which all of a space are ranked.
        fusion: Names of the models beside GATES, some of `FUSION`.
        optimism: Number of standard deviations that are added to the mean.
        **predictor: Arguments of `Predictor`, without space and seed.
    """

    def __init__(
        self, space: SearchSpace, *, enumerable: int, fusion: Sequence[str], optimism: float = 0.0, **predictor: Any
    ) -> None:
        super().__init__(space, enumerable=enumerable)
        self.members, self.optimism, self.arguments = ("gates", *fusion), optimism, predictor
        _fusion_class()  # importing torch takes seconds: now, not in the first fit

    def _made(self, seed: int) -> Fusion:
        return _fusion_class()(self.space, seed, members=self.members, optimism=self.optimism, predictor=self.arguments)

    def _fitted(self, seed: int, architectures: Sequence[Architecture], rows: Mapping[str, Any], column: int) -> Ranking:
        """Return a ranking that has learned one objective, under a scheduler within all rungs where a model can."""
        if "rungs" not in rows:
            return super()._fitted(seed, architectures, rows, column)
        from archsearch.evaluators.predictors.fusion import Rungs

        candidates, rungs, values = (rows["rungs"][name] for name in ("candidates", "rungs", "values"))
        scores = values[:, column]
        if all(len(set(scores[rungs == rung])) < 2 for rung in set(rungs)):
            return super()._fitted(seed, architectures, rows, column)  # no rung has an order yet
        order = places(rows["values"][:, column], rows["fidelities"])
        return self._made(seed).fit(architectures, order, rungs=Rungs(candidates, rungs, scores))


class GATESEvolution(GuidedEvolution):
    """Predictor-guided evolution, X. Ning et al., ECCV 2020, arXiv 2004.01899, with the rankings of further models added.

    A first stage is random. In each later stage a GATES predictor is fitted to all outcomes, and so are by default a Gaussian
    process and a random forest on graph features; their rankings are added (see
    `archsearch.evaluators.predictors.fusion.Fusion`). A space that can be listed is ranked as a whole; in others an inner
    evolution in the pool searches for the architectures that rank highest. The best new ones are evaluated.

    The predictor f of GATES is fitted by the hinge ranking loss: the mean over pairs with score(a) > score(b) of
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
        fusion: Models whose rankings are added to that of GATES, joined by `+`: `gp+forest`, `gp`, or an empty string for GATES
            alone; None takes the preset's.
        optimism: With added rankings, number of standard deviations that are added to the mean, from 0 to 100; None takes the
            preset's.
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
        fusion: str | None = None,
        optimism: float | None = None,
        model: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        chosen = preset_named(preset, GATES)
        check_kind("fusion", fusion, (str, type(None)), "names of models joined by +, such as 'gp+forest'")
        check_kind("model", model, (Mapping, type(None)), "changes to settings of the predictor by name, such as {'layers': 4}")
        options = chosen.options(space.name, {**settings, "fusion": fusion, "optimism": optimism})
        self.fusion = _names(options.pop("fusion", ""))
        self.optimism = check_optimism(options.pop("optimism", 0.0))
        if optimism and not self.fusion:
            raise ConfigurationError(
                f"optimism: GATES alone has no uncertainty to add; leave it out, or set fusion='gp'. Got {optimism!r}."
            )
        super().__init__(space, seed, **options)
        given = {"encoder": encoder, "loss": loss, "members": members, "epochs": epochs}
        explicit = {name: value for name, value in given.items() if value is not None}
        self.predictor: dict[str, Any] = {**_USUAL, **chosen.model, **(model or {}), **explicit, "device": device}
        self.use_device(device)
        self._check()

    def _check(self) -> None:
        """Raise ConfigurationError for bad settings here, not in the actors; the usual ones need no check, which takes torch."""
        if self.predictor != _USUAL:
            _predictor_class()(self.space, **self.predictor)

    @property
    def screens(self) -> bool:
        return bool(self.fusion)

    def surrogate(self) -> Callable[[], Any]:
        if not self.fusion:
            return partial(PredictorSurrogate, self.space, enumerable=self.enumerable, **self.predictor)
        return partial(
            FusionSurrogate,
            self.space,
            enumerable=self.enumerable,
            fusion=self.fusion,
            optimism=self.optimism,
            **self.predictor,
        )


def _names(fusion: str) -> tuple[str, ...]:
    """Return the names in the option `fusion`.

    Raises:
        ConfigurationError: One is unknown or given twice, or the process is missing, from which the uncertainty comes.
    """
    names = tuple(filter(None, fusion.split("+")))
    for name in names:
        if name not in FUSION:
            raise ConfigurationError(unknown_name("fusion", name, FUSION))
    if len(set(names)) < len(names) or (names and "gp" not in names):
        raise ConfigurationError(f"fusion: expected 'gp+forest', 'gp' or an empty string; got {fusion!r}.")
    return names


def _fusion_class() -> type[Fusion]:
    from archsearch.evaluators.predictors.fusion import Fusion  # only the actor needs torch and scikit-learn

    return Fusion


def _predictor_class() -> type[Predictor]:
    from archsearch.evaluators.predictors.predictor import Predictor  # only the actor needs torch

    return Predictor
