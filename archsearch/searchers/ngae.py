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
from archsearch.searchers.surrogate.searcher import SurrogateSearcher
from archsearch.spaces import Architecture, SearchSpace

if TYPE_CHECKING:
    from archsearch.evaluators.ngae.ascent import Path
    from archsearch.evaluators.ngae.ngae import NGAE

REGIONS = ("ball", "prior", "free")
ACQUISITIONS = ("ascent", "improvement")
Vector = NDArray[np.float64]
SWEEP = (0.0, 0.1, 0.3, 1.0, 3.0)  # weights of the complexity if it is an objective
_SHOWN = 500  # architectures of which details are kept for figures
_RECORDED_STARTS = 20  # starts of which the trajectory is kept for figures
_POINTS = 10_000  # latent points at which the expected improvement is computed
_BOUNDS: dict[str, Bound] = {
    "unlabelled": AtLeast(2),
    "warm_epochs": AtLeast(0),
    "starts": AtLeast(1),
    "steps": AtLeast(0),
    "step": MoreThan(0),
}
_REHEARSED = 256  # random architectures that are fitted with the evaluated ones, so that graphs are not forgotten


class NGAESurrogate:
    """A `Surrogate` that learns graphs once, from random architectures, and scores and costs again at each fit.

    Args:
        space: Space of the architectures.
        seed: Seed of the random architectures and of the first fit.
        unlabelled: Number of random architectures.
        warm_epochs: Epochs of a fit, over the n evaluated architectures and the first max(256, n) random ones; the first fit of
            all, to the random ones alone, takes `epochs` of the model.
        acquisition: `ascent`, or `improvement`: the points of the highest expected improvement of a Gaussian process.
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
        **model: Any,
    ) -> None:
        self.space, self.seed, self.warm_epochs, self.arguments = space, seed, warm_epochs, model
        self.acquisition = acquisition
        rng = np.random.default_rng([seed, 0])
        self._unlabelled = [space.sample(rng) for _ in range(unlabelled)]
        self._complexities: dict[str, float] = {}
        self._first: dict[str, Any] | None = None
        self._model = self._made()
        self._fitted: tuple[list[Architecture], Vector] = [], np.empty(0)

    def load(self, state: Mapping[str, Any]) -> None:
        self._model = self._made().load(state)

    def fit(self, rows: Mapping[str, Any], *, seed: int, column: int, goals: Goals, complexity: str | None) -> dict[str, Any]:
        """Return the state of a model fitted to the rows, starting from the one that has learned graphs only.

        Args:
            rows: `architectures` (texts) and `values` `[rows, objectives]`, larger is better; under a scheduler also
                `fidelities`: the ranks are then in the order of steps and then values.
            seed: Seed of the fit.
            column: Column of the score; the model learns its ranks, from 0 to 1.
            goals: Goals of the search, with the costs.
            complexity: Name of the cost to learn; None learns none.
        """
        known = [self.space.parse(text) for text in rows["architectures"]]
        architectures = [*known, *self._unlabelled[: max(_REHEARSED, len(known))]]
        scores = np.full(len(architectures), np.nan)
        values = rows["values"][:, column]
        scores[: len(known)] = ranks(places(values, rows["fidelities"]) if "fidelities" in rows else values)
        costs = None if complexity is None else [self._complexity(each, goals, complexity) for each in architectures]
        if self._first is None:
            self._first = self._made().fit(self._unlabelled).state()
        self._model = self._made(seed).load(self._first).fit(architectures, scores, costs, warm=True, epochs=self.warm_epochs)
        self._fitted = known, scores[: len(known)]
        return self._model.state()

    def score(self, batch: Sequence[str], **options: Any) -> Vector:
        """Return the predicted ranks of architectures given as texts, `[batch]`."""
        return self._model.predict([self.space.parse(text) for text in batch])

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
                max(n, 3 * n // len(weights)),
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
            kept.append([row for row in zip(made.architectures, made.accuracy, strict=True) if goals.excess(row[0]) == 0.0])
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
        steps, recorded = path.trajectories.shape[:2]
        return {
            "history": np.array(self._model.history),
            "scores": scores,
            "predicted": self._model.predict_latents(latents)[0],
            "points": (latents - center) @ axes,
            "trajectories": ((path.trajectories.numpy() - center) @ axes).reshape(steps, recorded, 2),
            "objectives": np.quantile(path.objectives.numpy(), (0.1, 0.5, 0.9), axis=1),
        }

    def _made(self, seed: int | None = None) -> NGAE:
        return _ngae_class()(self.space, self.seed if seed is None else seed, **self.arguments)

    def _complexity(self, architecture: Architecture, goals: Goals, name: str) -> float:
        text = str(architecture)
        if text not in self._complexities:
            assert goals.costs is not None
            self._complexities[text] = float(goals.costs(architecture)[name])
        return self._complexities[text]


class NGAEAscent(SurrogateSearcher):
    """Neural architecture optimization with a graph auto-encoder, J. Li et al., arXiv 2006.10310.

    A first stage is random. The auto-encoder learns graphs from random architectures of the space, without evaluations. In each
    later stage it learns accuracy and complexity from all outcomes, ascends from many points of its latent space at once, and
    the best new architectures that the points decode to are evaluated.

    The ascent maximises accuracy(z) - weight * complexity(z) over the latent point z (equation 7), with both predicted in
    standard deviations. With a cost among the objectives, ascents with several weights fill the Pareto front. With an upper
    bound on the complexity among the constraints, the ascent finds the smallest weight that satisfies it.

    Args:
        space: Space to search.
        seed: Seed of all proposals and fits.
        complexity: Cost that the ascent weighs against the score, such as `macs` or `params`; None leaves it out.
        weight: Weight of the complexity; 0 maximises the score alone.
        initial: Number of random candidates before the first fit; from fewer than 50 the predictors learn little. None takes 50,
            but at most half of `num_candidates`.
        stage_size: Number of candidates between two fits.
        explore: Fraction of each later stage that is drawn at random.
        unlabelled: Number of random architectures that the auto-encoder learns from, at least 2.
        epochs: Passes over these before the first fit; None takes the preset's.
        warm_epochs: Passes of each fit.
        acquisition: `ascent`, or `improvement`: the highest expected improvement of a Gaussian process in the latent space, as in
            D-VAE; the auto-encoder is then best trained without predictors (`performance_weight=0`).
        preset: Settings of the model: `default` or `paper`.
        device: Device of the model: `auto`, `cpu` or `cuda`.
        starts: Number of points from which an ascent starts.
        steps: Number of its steps.
        step: Size of a step; see `archsearch.evaluators.NGAE.ascend`.
        region: Rule that keeps points near the data: `ball`, `prior` or `free`.
        model: Changes to the preset, such as `{"width": 64}`; see `archsearch.evaluators.ngae.settings`.
        **settings: As for `SurrogateSearcher`.

    Raises:
        ConfigurationError: A setting is out of range.

    Example:
        >>> from archsearch import searchers, spaces
        >>> searcher = searchers.NGAEAscent(spaces.get("nasbench201"), seed=0, initial=50)
        >>> searcher.suggest("t0")["batch"]  # the first stage needs no pool
        0
    """

    usual_initial = 50

    def __init__(
        self,
        space: SearchSpace,
        seed: int = 0,
        *,
        complexity: str | None = "macs",
        weight: float = 0.0,
        initial: int | None = None,
        stage_size: int = 10,
        explore: float = 0.1,
        unlabelled: int = 1000,
        epochs: int | None = None,
        warm_epochs: int = 10,
        acquisition: str = "ascent",
        preset: str = "default",
        device: str = "cpu",
        starts: int = 1000,
        steps: int = 100,
        step: float = 0.1,
        region: str = "ball",
        model: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        check_kind("model", model, (Mapping, type(None)), "changes to settings of the model by name, such as {'width': 64}")
        super().__init__(space, seed, initial=initial, stage_size=stage_size, explore=explore, **settings)
        self.complexity, self.weight = complexity, weight
        self.ascent: dict[str, Any] = {"starts": starts, "steps": steps, "step": step, "region": region}
        if acquisition not in ACQUISITIONS:
            raise ConfigurationError(unknown_name("acquisition", acquisition, dict.fromkeys(ACQUISITIONS)))
        self.model: dict[str, Any] = {
            "unlabelled": unlabelled,
            "warm_epochs": warm_epochs,
            "acquisition": acquisition,
            "preset": preset,
            "device": device,
            **(model or {}),
        }
        if epochs is not None:
            self.model["epochs"] = epochs
        self.use_device(device)
        if region not in REGIONS:
            raise ConfigurationError(unknown_name("region", region, REGIONS))
        for name, bound in _BOUNDS.items():
            check_bound(name, {**self.model, **self.ascent}[name], bound)
        self._check_cost(complexity, weight)
        _check_model(preset, {**({} if epochs is None else {"epochs": epochs}), **(model or {})})

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
        return partial(NGAESurrogate, self.space, self.seed, **self.model)

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


def _check_model(preset: str, changes: Mapping[str, Any]) -> None:
    """Raise ConfigurationError for bad settings of the model here, not in the actors."""
    from archsearch.evaluators.ngae.settings import settings_of  # other searchers do not need it

    settings_of(preset).with_changes(**changes)


def ranks(values: Vector) -> Vector:
    """Return ranks from 0 (worst) to 1 (best), the mean rank for equal values."""
    spread: Vector = (stats.rankdata(values) - 1.0) / max(1, len(values) - 1)
    return spread


def _ngae_class() -> type[NGAE]:
    from archsearch.evaluators.ngae.ngae import NGAE  # only the actor needs torch

    return NGAE
