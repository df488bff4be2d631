"""A graph auto-encoder that is resident in an actor, and climbs in its latent space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from archsearch.searchers.goals import Goals
from archsearch.spaces import Architecture, SearchSpace

if TYPE_CHECKING:
    from archsearch.evaluators.ngae.ascent import Path
    from archsearch.evaluators.ngae.ngae import NGAE

Vector = NDArray[np.float64]
SWEEP = (0.0, 0.1, 0.3, 1.0, 3.0)  # weights of the complexity where it is an objective of its own
_SHOWN = 500  # architectures and starts of which details are kept for pictures
_RECORDED_STARTS = 20
_POINTS = 10_000  # latent points of which the expected improvement is known
_REHEARSED = 256  # random architectures that go with what is evaluated, so that graphs are not forgotten


class NGAESurrogate:
    """A `Surrogate` that learns graphs once, from random architectures, and figures anew at each fit.

    Args:
        space: Space of the architectures.
        seed: Of the random architectures and of what is learned from them.
        unlabelled: How many.
        warm_epochs: Passes of a fit over what is evaluated and as many of these; the first of all takes `epochs` of the model.
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
        """Return the state of a model that goes on from one which knows the graphs alone.

        Args:
            rows: `architectures` (texts) and `values` `[rows, objectives]`, larger is better.
            seed: Of the fit.
            column: Of the score; the model learns ranks, from 0 to 1.
            goals: Tells costs.
            complexity: The cost to learn; None learns none.
        """
        known = [self.space.parse(text) for text in rows["architectures"]]
        architectures = [*known, *self._unlabelled[: max(_REHEARSED, len(known))]]
        scores = np.full(len(architectures), np.nan)
        scores[: len(known)] = ranks(rows["values"][:, column])
        costs = None if complexity is None else [self._complexity(each, goals, complexity) for each in architectures]
        if self._first is None:
            self._first = self._made().fit(self._unlabelled).state()
        self._model = self._made(seed).load(self._first).fit(architectures, scores, costs, warm=True, epochs=self.warm_epochs)
        self._fitted = known, scores[: len(known)]
        return self._model.state()

    def score(self, batch: Sequence[str], **options: Any) -> Vector:
        """Return what is predicted of texts, `[batch]`."""
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
        """Return `n` new feasible architectures: `architectures`, `predictions`, and `details` of the way there.

        Args:
            n: How many are wanted.
            seed: Of the starts.
            exclude: Keys of what is evaluated or on its way.
            best: Texts of the best known, to start from.
            goals: Objectives and constraints.
            weights: Of the complexity, one ascent for each; their proposals take turns.
            budget: Largest complexity; the weight is then found, and those given are not used.
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
        """Return the new feasible architectures at the latent points of the highest expected improvement."""
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
        """Return what pictures of the latent space need, as small arrays."""
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


def ranks(values: Vector) -> Vector:
    """Return ranks from 0 (worst) to 1 (best) of values, equal ones the same."""
    spread: Vector = (stats.rankdata(values) - 1.0) / max(1, len(values) - 1)
    return spread


def _ngae_class() -> type[NGAE]:
    from archsearch.evaluators.ngae.ngae import NGAE  # torch is needed in the actor alone

    return NGAE
