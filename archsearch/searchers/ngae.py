"""Gradient ascent in the latent space of a graph auto-encoder, and its surrogate in an actor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from archsearch.declarations import AtLeast, Bound, MoreThan, check_bound
from archsearch.errors import ConfigurationError, check_kind, unknown_name
from archsearch.searchers.fitness import places
from archsearch.searchers.goals import SCORE, USUAL_COSTS, Goals
from archsearch.searchers.presets import NGAE as NGAE_PRESETS
from archsearch.searchers.presets import preset_named
from archsearch.searchers.surrogate.reranked_searcher import RerankedSearcher
from archsearch.spaces import Architecture, SearchSpace

if TYPE_CHECKING:
    from archsearch.evaluators.ngae.ascent import Path
    from archsearch.evaluators.ngae.ngae import NGAE
    from archsearch.evaluators.predictors.gaussian_process import GaussianProcess

REGIONS = ("ball", "prior", "free", "plain")
ACQUISITIONS = ("ascent", "improvement")
PREDICTORS = ("ensemble", "process", "heads")
TARGETS = ("ranks", "scores")
Vector = NDArray[np.float64]
SWEEP = (0.0, 0.1, 0.3, 1.0, 3.0)  # weights of the complexity if it is an objective
_SHOWN = 500  # architectures of which details are kept for figures
_RECORDED_STARTS = 20  # starts of which the trajectory is kept for figures
_MOST_OPTIMISM = 100.0
_POINTS = 10_000  # latent points at which the expected improvement is computed
_RANKED = 100  # decoded architectures that the features of their graphs help to rank
_BOUNDS: dict[str, Bound] = {
    "warm_epochs": AtLeast(0),
    "starts": AtLeast(1),
    "steps": AtLeast(0),
    "step": MoreThan(0),
}
_REHEARSED = 256  # random architectures that are fitted with the evaluated ones, so that graphs are not forgotten


class NGAESurrogate:
    """A `Surrogate` that learns graphs once, from random architectures, and scores again at each fit.

    Args:
        space: Space of the architectures.
        seed: Seed of the random architectures and of the first fit.
        unlabelled: Number of random architectures; with 0 the model learns graphs from the evaluated ones, in each fit anew.
        warm_epochs: Epochs of a fit with `heads`, over the n evaluated architectures and the first max(256, n) random ones; the
            first fit of all, to the random ones alone, takes `epochs` of the model.
        acquisition: `ascent`, or `improvement`: the points of the highest expected improvement of a Gaussian process.
        predictor: `ensemble`, `process` or `heads`; see `NGAEAscent`.
        optimism: Number of standard deviations that a prediction of the process lies above the mean.
        targets: `ranks` or `scores`; see `NGAEAscent`.
        **model: Further arguments of `NGAE`.
    """

    def __init__(
        self,
        space: SearchSpace,
        seed: int,
        *,
        unlabelled: int = 1000,
        warm_epochs: int = 10,
        acquisition: str = "ascent",
        predictor: str = "ensemble",
        optimism: float = 1.0,
        targets: str = "ranks",
        **model: Any,
    ) -> None:
        self.space, self.seed, self.warm_epochs, self.arguments = space, seed, warm_epochs, model
        self.acquisition, self.predictor, self.optimism, self.targets = acquisition, predictor, optimism, targets
        rng = np.random.default_rng([seed, 0])
        self._unlabelled = [space.sample(rng) for _ in range(unlabelled)]
        self._complexities: dict[str, float] = {}
        self._first: dict[str, Any] | None = None
        self._model = self._made()
        self._features: GaussianProcess | None = None
        self._fitted: tuple[list[Architecture], Vector] = [], np.empty(0)

    def load(self, state: Mapping[str, Any]) -> None:
        self._model = self._made().load(state["model"])
        self._features = None if state["features"] is None else self._made_features().load(state["features"])

    def fit(self, rows: Mapping[str, Any], *, seed: int, column: int, goals: Goals, complexity: str | None) -> dict[str, Any]:
        """Return the state of a model fitted to the rows, starting from the one that has learned graphs only.

        Args:
            rows: `architectures` (texts) and `values` `[rows, objectives]`, larger is better; under a scheduler also
                `fidelities`: the ranks are then in the order of steps and then values.
            seed: Seed of the fit.
            column: Column of the score.
            goals: Goals of the search, with the costs.
            complexity: Name of the cost to learn; None learns none.
        """
        known = [self.space.parse(text) for text in rows["architectures"]]
        values = rows["values"][:, column]
        order = ranks(places(values, rows["fidelities"]) if "fidelities" in rows else values)
        targets = fractions(values) if self.targets == "scores" else order

        def costs(architectures: Sequence[Architecture]) -> list[float] | None:
            return None if complexity is None else [self._complexity(each, goals, complexity) for each in architectures]

        if self._unlabelled and self._first is None:
            self._first = self._made().fit(self._unlabelled, None, costs(self._unlabelled)).state()
        self._model = self._made(seed)
        if self._first is not None:
            self._model.load(self._first)
        if self.predictor == "ensemble":
            self._features = self._made_features(seed).fit(known, order)
        if self.predictor != "heads":
            learned = normal_quantiles(order) if self.targets == "ranks" else targets
            self._model.condition(known, learned, optimism=self.optimism, seed=seed)
        elif self._first is None:
            self._model.fit(known, targets, costs(known))
        else:
            rehearsed = self._unlabelled[: max(_REHEARSED, len(known))]
            everything = [*known, *rehearsed]
            unknown = np.full(len(rehearsed), np.nan)
            self._model.fit(everything, np.concatenate([targets, unknown]), costs(everything), warm=True, epochs=self.warm_epochs)
        self._fitted = known, order
        return {"model": self._model.state(), "features": None if self._features is None else self._features.state()}

    def score(self, batch: Sequence[str], **options: Any) -> Vector:
        """Return the predictions for architectures given as texts, `[batch]`, larger is better."""
        architectures = [self.space.parse(text) for text in batch]
        return self._ensemble(architectures, self._model.predict(architectures))

    def propose(
        self,
        n: int,
        *,
        seed: int,
        exclude: Sequence[str],
        best: Sequence[str],
        goals: Goals,
        weights: Sequence[float],
        budget: float | None,
        **ascent: Any,
    ) -> dict[str, Any]:
        """Return up to `n` new feasible architectures: `architectures`, `predictions`, and `details` for figures.

        Args:
            n: Number of architectures.
            seed: Seed of the starts.
            exclude: Keys of architectures that were proposed before.
            best: Texts of the best known architectures, as starts.
            goals: Objectives and constraints.
            weights: Weights of the complexity, with one ascent each; their proposals are interleaved.
            budget: Largest complexity; `NGAE.ascend` then finds the weight, and `weights` is not used.
            **ascent: Further arguments of `NGAE.ascend`.
        """
        if self.acquisition == "improvement":
            return self._improving(n, seed, set(exclude), goals)
        known = [self.space.parse(text) for text in best]
        taken, kept, counts = set(exclude), [], {"widened": 0, "random": 0}
        proposals = []
        for number, weight in enumerate(weights if budget is None else (0.0,)):
            made = self._model.ascend(
                max(n, 3 * n // len(weights), 0 if self._features is None else _RANKED),
                weight=weight,
                budget=budget,
                best=known,
                exclude=taken,
                recorded_starts=_RECORDED_STARTS,
                seed=seed + number,
                **ascent,
            )
            proposals.append(made)
            counts = {name: count + getattr(made, name) for name, count in counts.items()}
            predicted = self._ensemble(made.architectures, made.accuracy)
            ranked = list(zip(made.architectures, predicted, strict=True))
            if self._features is not None:
                objective = self._model.objective(predicted, made.complexity, made.weight)
                ranked = [ranked[at] for at in np.argsort(-objective, kind="stable")]
            kept.append([row for row in ranked if goals.excess(row[0]) == 0.0])
        chosen: dict[str, float] = {}
        for place in range(max(map(len, kept), default=0)):
            for rows in kept:
                if place < len(rows) and len(chosen) < n:
                    chosen.setdefault(str(rows[place][0]), float(rows[place][1]))
        return {
            "architectures": list(chosen),
            "predictions": list(chosen.values()),
            "details": {**counts, "weight": proposals[0].weight, **self._details(proposals[0].path)},
        }

    def _ensemble(self, architectures: Sequence[Architecture], predicted: Vector) -> Vector:
        """Return the means of predictions at latent points and those of the features of the graphs, if these were learned."""
        if self._features is None or not architectures:
            return predicted
        return (predicted + self._features.predict(architectures)) / 2

    def _improving(self, n: int, seed: int, exclude: set[str], goals: Goals) -> dict[str, Any]:
        """Return the new feasible architectures at the latent points z of the highest expected improvement.

        EI(z) = (mu - best) Phi(u) + sigma phi(u) with u = (mu - best) / sigma; see `ngae.improvement`.
        """
        from archsearch.evaluators.ngae.improvement import expected_improvement

        known, scores = self._fitted
        points = self._model.sample_latents(_POINTS, seed)
        gains = expected_improvement(self._model.encode(known), scores, points, seed)
        order = np.argsort(-gains, kind="stable")
        chosen: dict[str, float] = {}
        for start in range(0, len(order), 10 * n):
            rows = order[start : start + 10 * n]
            for row, architecture in zip(rows, self._model.decode(points[rows]), strict=True):
                key = self.space.key(architecture)
                if len(chosen) < n and key not in exclude and goals.excess(architecture) == 0.0:
                    exclude.add(key)
                    chosen[str(architecture)] = float(gains[row])
            if len(chosen) == n:
                break
        return {"architectures": list(chosen), "predictions": list(chosen.values())}

    def _details(self, path: Path) -> dict[str, Vector]:
        """Return small arrays for figures: losses, and points and trajectories on two principal axes of the latent space."""
        known, scores = self._fitted[0][-_SHOWN:], self._fitted[1][-_SHOWN:]
        latents = self._model.encode(known) if known else np.empty((0, path.latents.shape[1]))
        points = np.concatenate([latents, path.trajectories.numpy().reshape(-1, latents.shape[1])])
        center = points.mean(axis=0)
        axes = np.linalg.svd(latents - center, full_matrices=False)[2][:2].T if len(latents) else np.zeros((len(center), 2))
        predicted = self._model.predict_latents(latents)[0]
        if self.predictor != "heads" and self.targets == "ranks":
            predicted = stats.norm.cdf(predicted)  # from normal quantiles to ranks
        steps, recorded = path.trajectories.shape[:2]
        return {
            "history": np.array(self._model.history),
            "scores": scores,
            "predicted": predicted,
            "points": (latents - center) @ axes,
            "trajectories": ((path.trajectories.numpy() - center) @ axes).reshape(steps, recorded, 2),
            "objectives": np.quantile(path.objectives.numpy(), (0.1, 0.5, 0.9), axis=1),
        }

    def _made_features(self, seed: int = 0) -> GaussianProcess:
        from archsearch.evaluators.predictors.gaussian_process import GaussianProcess  # scikit-learn takes a second to load

        return GaussianProcess(self.space, seed, features="graf", optimism=self.optimism)

    def _made(self, seed: int | None = None) -> NGAE:
        return _ngae_class()(self.space, self.seed if seed is None else seed, **self.arguments)

    def _complexity(self, architecture: Architecture, goals: Goals, name: str) -> float:
        text = str(architecture)
        if text not in self._complexities:
            assert goals.costs is not None
            self._complexities[text] = float(goals.costs(architecture)[name])
        return self._complexities[text]


class NGAEAscent(RerankedSearcher):
    """Neural architecture optimization with a graph auto-encoder, J. Li et al., arXiv 2006.10310.

    A first stage is random. The auto-encoder learns graphs and their complexity from random architectures of the space, without
    evaluations. In each later stage a predictor learns the scores of all outcomes in its latent space, an ascent climbs from many
    points at once, and the best new architectures that the points decode to are evaluated.

    The ascent maximises performance(s) - weight * complexity(s) over the latent point s (equation 7), with both predicted in
    standard deviations. With a cost among the objectives, ascents with several weights fill the Pareto front. With an upper
    bound on the complexity among the constraints, the ascent finds the smallest weight that satisfies it.

    Args:
        space: Space to search.
        seed: Seed of all proposals and fits.
        preset: Settings of model and search together, by name: see `archsearch.searchers.presets.NGAE`. All options below that
            are not None, and those of the search, replace what it says.
        complexity: Cost that the ascent weighs against the score, such as `macs` or `params`; None leaves it out.
        weight: Weight of the complexity; 0 maximises the score alone.
        initial: Number of random candidates before the first fit. None takes 20, but at most half of `num_candidates`.
        stage_size: Number of candidates between two fits. Under a scheduler a stage has a fifth of the candidates before it, if
            that is more: most candidates are stopped early, and say little for what a fit costs.
        explore: Fraction of each later stage that is drawn at random.
        unlabelled: Number of random architectures that the auto-encoder learns from, at least 2; 0 if it learns from the
            evaluated ones alone, in each stage anew, with `predictor="heads"`.
        epochs: Passes of the auto-encoder over what it learns from.
        warm_epochs: Passes of each later fit with `predictor="heads"`.
        predictor: `process`: a Gaussian process on the latent space; `ensemble`: the same, and what is decoded is ranked by the
            mean of it and of a Gaussian process on the features of the graphs, as in `gp`; `heads`: the perceptrons that are
            trained with encoder and decoder.
        optimism: Number of standard deviations that a prediction of the process lies above the mean, from 0 to 100.
        targets: What is learned: `ranks` of the scores, or `scores` as they are if all are from 0 to 1, else scaled to that.
        acquisition: `ascent`, or `improvement`: the highest expected improvement of a Gaussian process in the latent space, as in
            D-VAE; the auto-encoder is then best trained without predictors (`performance_weight=0`).
        device: Device of the model: `auto`, `cpu` or `cuda`.
        starts: Number of points from which an ascent starts.
        steps: Number of its steps.
        step: Size of a step; see `archsearch.evaluators.NGAE.ascend`.
        region: Rule that keeps points near the data: `ball`, `prior`, `free` or `plain`.
        best_share: Share of the starts that are the best known architectures, or points around them.
        best_spread: Largest standard deviation of the noise around these, in those of the data.
        sample: Whether the ends of the ascent are decoded by drawing each decision.
        rerank: Whether the decoded architectures are encoded again and ranked by prediction.
        model: Changes to the settings of the model, such as `{"width": 64}`; see `archsearch.evaluators.ngae.settings`.
        **settings: As for `RerankedSearcher`, among them `proxies`.

    Raises:
        ConfigurationError: A setting is out of range.

    Example:
        >>> from archsearch import searchers, spaces
        >>> searcher = searchers.NGAEAscent(spaces.get("nasbench201"), seed=0, initial=50)
        >>> searcher.suggest("t0")["batch"]  # the first stage needs no pool
        0
    """

    def __init__(
        self,
        space: SearchSpace,
        seed: int = 0,
        *,
        preset: str = "default",
        complexity: str | None = "macs",
        weight: float | None = None,
        initial: int | None = None,
        stage_size: int | None = None,
        explore: float | None = None,
        unlabelled: int | None = None,
        epochs: int | None = None,
        warm_epochs: int | None = None,
        predictor: str | None = None,
        optimism: float | None = None,
        targets: str | None = None,
        acquisition: str | None = None,
        device: str = "cpu",
        starts: int | None = None,
        steps: int | None = None,
        step: float | None = None,
        region: str | None = None,
        best_share: float | None = None,
        best_spread: float | None = None,
        sample: bool | None = None,
        rerank: bool | None = None,
        model: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        chosen = preset_named(preset, NGAE_PRESETS)
        check_kind("model", model, (Mapping, type(None)), "changes to settings of the model by name, such as {'width': 64}")
        learning = {
            "unlabelled": unlabelled,
            "warm_epochs": warm_epochs,
            "predictor": predictor,
            "optimism": optimism,
            "targets": targets,
            "acquisition": acquisition,
        }
        ascent = {
            "starts": starts,
            "steps": steps,
            "step": step,
            "region": region,
            "best_share": best_share,
            "best_spread": best_spread,
            "sample": sample,
            "rerank": rerank,
        }
        staged = {"weight": weight, "initial": initial, "stage_size": stage_size, "explore": explore}
        given = {**learning, **ascent, **staged, **settings}
        options, self.notes = chosen.options(getattr(space, "name", ""), given, settings.get("num_candidates"))
        self.complexity, self.weight = complexity, options.pop("weight")
        self.ascent: dict[str, Any] = {name: options.pop(name) for name in ascent}
        learned = {name: options.pop(name) for name in learning}
        super().__init__(space, seed, **options)
        _check_learning(learned)
        _check_ascent(self.ascent)
        changes = {**chosen.model, **(model or {}), **({} if epochs is None else {"epochs": epochs})}
        self.model: dict[str, Any] = {**learned, **changes, "device": device}
        self.use_device(device)
        for name, bound in _BOUNDS.items():
            check_bound(name, {**self.model, **self.ascent}[name], bound)
        self._check_cost(complexity, weight)
        _check_model(changes)

    def _check_cost(self, complexity: str | None, weight: float | None) -> None:
        """Raise ConfigurationError for a complexity that the goals do not know, which would not be weighed."""
        known = self.goals.cost_names
        if complexity is not None and complexity not in (known or USUAL_COSTS) and (complexity != "macs" or weight):
            raise ConfigurationError(unknown_name("complexity", complexity, known or USUAL_COSTS))
        if weight and not known:
            raise ConfigurationError(
                f"weight: {weight:g} of the complexity {complexity} needs goals that know this cost; got none. Give "
                "goals=searchers.goals_for(evaluator), or Goals with costs and cost_names."
            )
        if weight and complexity is None:
            raise ConfigurationError(f"weight: {weight:g} weighs nothing, as complexity is None. Name a cost, or leave it out.")

    def surrogate(self) -> Callable[[], Any]:
        return self.with_proxies(partial(NGAESurrogate, self.space, self.seed, **self.model), self.model["optimism"])

    def fit_options(self) -> Mapping[str, Any]:
        column = [each.name for each in self.goals.objectives].index(SCORE)
        return {"column": column, "goals": self.goals, "complexity": self._cost}

    def propose_options(self) -> Mapping[str, Any]:
        weighs = any(each.name == self._cost for each in self.goals.objectives)
        bounds = [limit.bound for limit in self.goals.constraints if limit.name == self._cost and limit.relation in ("<", "<=")]
        return {
            "goals": self.goals,
            "weights": SWEEP if weighs else (self.weight if self._cost else 0.0,),
            "budget": min(bounds, default=None),
            **self.ascent,
        }

    @property
    def _cost(self) -> str | None:
        """Name of the cost to learn: the one among the objectives, else `complexity` if the evaluator has it."""
        objectives = [each.name for each in self.goals.objectives if each.name in self.goals.cost_names]
        if objectives:
            return objectives[0]
        return self.complexity if self.complexity in self.goals.cost_names else None


def _check_learning(learned: Mapping[str, Any]) -> None:
    """Raise ConfigurationError for bad options of what is learned here, not in the actors."""
    for name, known in (("acquisition", ACQUISITIONS), ("predictor", PREDICTORS), ("targets", TARGETS)):
        if learned[name] not in known:
            raise ConfigurationError(unknown_name(name, learned[name], dict.fromkeys(known)))
    unlabelled, optimism = learned["unlabelled"], learned["optimism"]
    if unlabelled < 2 and not (unlabelled == 0 and learned["predictor"] == "heads"):
        raise ConfigurationError(
            f"unlabelled: expected at least 2 architectures to learn graphs from, or 0 with predictor='heads'; got {unlabelled}."
        )
    if not 0.0 <= optimism <= _MOST_OPTIMISM:
        raise ConfigurationError(f"optimism: expected a number from 0 to {_MOST_OPTIMISM:g}; got {optimism!r}.")


def _check_ascent(ascent: Mapping[str, Any]) -> None:
    """Raise ConfigurationError for bad options of the ascent here, not in the actors."""
    if ascent["region"] not in REGIONS:
        raise ConfigurationError(unknown_name("region", ascent["region"], REGIONS))
    if not 0.0 <= ascent["best_share"] <= 1.0:
        raise ConfigurationError(f"best_share: expected a share from 0 to 1; got {ascent['best_share']!r}.")
    if not 0.0 <= ascent["best_spread"] < np.inf:
        raise ConfigurationError(f"best_spread: expected a number of at least 0; got {ascent['best_spread']!r}.")
    for name in ("sample", "rerank"):
        check_kind(name, ascent[name], bool, "True or False")


def _check_model(changes: Mapping[str, Any]) -> None:
    """Raise ConfigurationError for bad settings of the model here, not in the actors."""
    from archsearch.evaluators.ngae.settings import settings_of  # other searchers do not need it

    settings_of(changes["preset"]).with_changes(**{name: value for name, value in changes.items() if name != "preset"})


def normal_quantiles(ordered: Vector) -> Vector:
    """Return the standard normal quantiles of n ranks from 0 to 1, drawn in by half a rank at both ends."""
    number = len(ordered)
    quantiles: Vector = stats.norm.ppf((ordered * (number - 1) + 0.5) / number)
    return quantiles


def fractions(values: Vector) -> Vector:
    """Return values as they are if all are from 0 to 1; otherwise the lowest becomes 0 and the highest 1."""
    low, high = values.min(), values.max()
    return values if low >= 0.0 and high <= 1.0 else (values - low) / max(high - low, np.finfo(np.float64).tiny)


def ranks(values: Vector) -> Vector:
    """Return ranks from 0 (worst) to 1 (best), the mean rank for equal values."""
    spread: Vector = (stats.rankdata(values) - 1.0) / max(1, len(values) - 1)
    return spread


def _ngae_class() -> type[NGAE]:
    from archsearch.evaluators.ngae.ngae import NGAE  # only the actor needs torch

    return NGAE
