"""The control of a search by NGAE: its predictor ranks all cells of a small space, or those of an evolution; nothing ascends."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from archsearch.searchers import Goals
from archsearch.searchers.ngae import NGAESurrogate
from archsearch.searchers.surrogate.guided_evolution import GuidedEvolution
from archsearch.searchers.surrogate.ranking_surrogate import RankingSurrogate
from archsearch.spaces import Architecture, SearchSpace

Vector = NDArray[np.float64]


class Encoded(NamedTuple):
    """Architectures as the predictors read them: `[architectures, latent]` and `[architectures, features]`."""

    latents: Vector
    features: NDArray[np.float32]


class LatentRanking:
    """A `Ranking` by the predictors of `NGAESurrogate`, which keeps its auto-encoder from one fit to the next.

    Args:
        surrogate: The surrogate.
        seed: Seed of a fit.
    """

    def __init__(self, surrogate: NGAESurrogate, seed: int) -> None:
        self._surrogate, self._seed = surrogate, seed

    def prepare(self, architectures: Sequence[Architecture]) -> Encoded:
        model, process = self._surrogate._model, self._surrogate._features
        assert process is not None
        return Encoded(model.encode(architectures), process.prepare(architectures))

    def fit(self, architectures: Sequence[Architecture], scores: ArrayLike) -> LatentRanking:
        space = self._surrogate.space
        goals = Goals(costs=lambda architecture: {"macs": float(space.cost(architecture).macs)}, cost_names=("macs",))
        rows = {"architectures": list(map(str, architectures)), "values": np.asarray(scores, dtype=np.float64)[:, None]}
        self._surrogate.fit(rows, seed=self._seed, column=0, goals=goals, complexity="macs")
        return self

    def predict(self, architectures: Sequence[Architecture] | Encoded) -> Vector:
        read = architectures if isinstance(architectures, Encoded) else self.prepare(architectures)
        model, process = self._surrogate._model, self._surrogate._features
        assert process is not None
        predicted: Vector = (model.predict_latents(read.latents)[0] + process.predict(read.features)) / 2
        return predicted

    def state(self) -> dict[str, Any]:
        return {}  # the benchmark ranks in the process in which it has fitted

    def load(self, state: Mapping[str, Any]) -> LatentRanking:
        return self


class WithoutAscentSurrogate(RankingSurrogate):
    """Ranks by `LatentRanking`."""

    def __init__(self, space: SearchSpace, seed: int) -> None:
        super().__init__(space)
        self._surrogate = NGAESurrogate(space, seed, preset="default", device="cpu")

    def _made(self, seed: int) -> LatentRanking:
        return LatentRanking(self._surrogate, seed)


class WithoutAscent(GuidedEvolution):
    """Stages of `NGAEAscent`, with the candidates of a `GuidedEvolution`."""

    usual_initial = 20

    def surrogate(self) -> Callable[[], Any]:
        return lambda: WithoutAscentSurrogate(self.space, self.seed)
