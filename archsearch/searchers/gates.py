"""Evolution guided by the GATES predictor, alone or with others, and its surrogates in an actor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from archsearch.errors import ConfigurationError, check_kind, unknown_name
from archsearch.searchers.presets import GATES, preset_named
from archsearch.searchers.surrogate.continued_fits import ContinuedFits
from archsearch.searchers.surrogate.guided_evolution import GuidedEvolution, check_optimism
from archsearch.searchers.surrogate.ranking_surrogate import Ranking, RankingSurrogate, targets
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

    def __init__(self, space: SearchSpace, *, enumerable: int = 20_000, **predictor: Any) -> None:
        super().__init__(space, enumerable=enumerable)
        self.arguments = predictor
        self._fits = ContinuedFits()
        _predictor_class()  # importing torch takes seconds: now, not in the first fit

    def _made(self, seed: int) -> Predictor:
        return _predictor_class()(self.space, seed=seed, **self.arguments)

    def fit(
        self, rows: Mapping[str, Any], *, seed: int, learned: Mapping[str, int], stages: Sequence[int] | None = None
    ) -> dict[str, Any]:
        """Fit to all outcomes, and return the states of the predictors by objective.

        Args:
            rows: As for `RankingSurrogate.fit`.
            seed: Seed of the fits; with `stages` that of the first one.
            learned: Column of each objective to learn, by name.
            stages: For each row the stage, from 0, in which its candidate was proposed: the fit then continues that to the
                stages before (see `ContinuedFits`). None starts from new weights.
        """
        if stages is None:
            return super().fit(rows, seed=seed, learned=learned)

        def further(part: Mapping[str, Any], state: Mapping[str, Any] | None) -> dict[str, Any] | None:
            if state is None and len(part["values"]) < len(rows["values"]) and not _has_order(part, learned):
                return None
            architectures = [self.space.parse(text) for text in part["architectures"]]
            found = {name: self._trained(seed, architectures, part, at, (state or {}).get(name)) for name, at in learned.items()}
            self._predictors = dict(found)
            return {name: predictor.state() for name, predictor in found.items()}

        state: dict[str, Any] = self._fits.fit(rows, stages, further)
        return state

    def _fitted(self, seed: int, architectures: Sequence[Architecture], rows: Mapping[str, Any], column: int) -> Ranking:
        return self._trained(seed, architectures, rows, column, None)

    def _trained(
        self,
        seed: int,
        architectures: Sequence[Architecture],
        rows: Mapping[str, Any],
        column: int,
        before: Mapping[str, Any] | None,
    ) -> Predictor:
        """Return a predictor that has learned one objective, under a scheduler within all rungs if its loss is on pairs.

        Args:
            seed: Seed of new weights.
            architectures: Those of the rows.
            rows: As for `fit`.
            column: Column of the objective.
            before: State from which the training continues; None starts from new weights.
        """
        predictor, warm = self._made(seed), before is not None
        if before is not None:
            predictor.load(before)
        if "rungs" in rows and predictor.compares_pairs:
            candidates, rungs, values = (rows["rungs"][name] for name in ("candidates", "rungs", "values"))
            scores = values[:, column]
            if any(len(set(scores[rungs == rung])) > 1 for rung in set(rungs)):  # else no rung has an order yet
                return predictor.fit([architectures[place] for place in candidates], scores, rungs=rungs, warm=warm)
        return predictor.fit(architectures, targets(rows, column), warm=warm)


def _has_order(rows: Mapping[str, Any], learned: Mapping[str, int]) -> bool:
    """Return whether there are two different values of each objective to learn."""
    return all(len(set(targets(rows, column).tolist())) > 1 for column in learned.values()) if len(rows["values"]) else False


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
        return self._made(seed).fit(architectures, targets(rows, column), rungs=Rungs(candidates, rungs, scores))


class GATESEvolution(GuidedEvolution):
    """Predictor-guided evolution, X. Ning et al., ECCV 2020, arXiv 2004.01899, alone or with further models.

    A first stage is random. In each later stage a GATES predictor is fitted to all outcomes, and so is a Gaussian process on
    graph features; their rankings are added (see `archsearch.evaluators.predictors.fusion.Fusion`). `preset="gates"` is GATES
    alone. A small space is ranked as a whole; in others an inner search in the pool looks for those that rank highest. The
    best new ones are evaluated.

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
        warm: Whether a fit continues the training of the one before, on all outcomes so far, and does not start from new
            weights, with GATES alone; None takes the preset's.
        device: Device of the predictor: `auto`, `cpu` or `cuda`.
        fusion: Models whose rankings are added to that of GATES, joined by `+`: `gp`, `gp+forest` with a random forest, or an
            empty string for GATES alone; None takes the preset's.
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

    model_name = "GATES"

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
        warm: bool | None = None,
        device: str = "cpu",
        fusion: str | None = None,
        optimism: float | None = None,
        model: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        check_kind("space", space, SearchSpace, "a search space, such as spaces.get('nasbench201')")
        chosen = preset_named(preset, GATES)
        check_kind("fusion", fusion, (str, type(None)), "names of models joined by +, such as 'gp+forest'")
        check_kind("model", model, (Mapping, type(None)), "changes to settings of the predictor by name, such as {'layers': 4}")
        if warm and fusion is None and not optimism:
            fusion = ""  # what the user wants needs GATES alone
        given = {**settings, "warm": warm, "fusion": fusion, "optimism": optimism}
        options, self.notes = chosen.options(space.name, given, settings.get("num_candidates"))
        self.warm = bool(options.pop("warm", False))
        self.fusion = _names(options.pop("fusion", ""))
        self.optimism = check_optimism(options.pop("optimism", 0.0))
        if optimism and not self.fusion:
            raise ConfigurationError(
                f"optimism: GATES alone has no uncertainty to add; leave it out, or set fusion='gp'. Got {optimism!r}."
            )
        if self.warm and self.fusion:
            raise ConfigurationError(
                "warm: fits that continue need GATES alone; got warm=True with fusion="
                f"{'+'.join(self.fusion)!r}. Leave out one of them."
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

    @classmethod
    def settled_options(cls, options: Mapping[str, Any], num_candidates: int) -> dict[str, Any]:
        settled = preset_named(options.get("preset", "default"), GATES).settled(options, num_candidates)
        return super().settled_options(settled, num_candidates)

    def fit_options(self) -> Mapping[str, Any]:
        options = super().fit_options()
        return {**options, "seed": self._seed(0, stage=1), "stages": self._proposed_in()} if self.warm else options

    def surrogate(self) -> Callable[[], Any]:
        if not self.fusion:
            return self.with_proxies(partial(PredictorSurrogate, self.space, enumerable=self.enumerable, **self.predictor))
        make = partial(
            FusionSurrogate,
            self.space,
            enumerable=self.enumerable,
            fusion=self.fusion,
            optimism=self.optimism,
            **self.predictor,
        )
        return self.with_proxies(make, self.optimism)


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
