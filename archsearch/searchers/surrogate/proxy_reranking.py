"""A surrogate whose best proposals are ranked again by a Gaussian process that reads scores without training too."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from archsearch.searchers.surrogate.proxy_scores import ProxyScores
from archsearch.searchers.surrogate.ranking_surrogate import targets
from archsearch.spaces import Architecture, SearchSpace

if TYPE_CHECKING:
    from archsearch.evaluators.predictors.gaussian_process import GaussianProcess


SCALE = 3.0
"""Standard deviation of a score's column: of 1, 2, 3 and 5 the one that ranked best with 78 learned cells of NAS-Bench-201."""


class ProposingSurrogate(Protocol):
    """A surrogate that proposes architectures, such as a `RankingSurrogate`. The arguments of its methods are its own."""

    space: SearchSpace

    @property
    def fit(self) -> Callable[..., dict[str, Any]]:
        """Fits to rows with a seed and options, which name the column of the score (`learned`, `column`); returns the state."""

    @property
    def score(self) -> Callable[..., NDArray[np.float64]]:
        """Returns predictions of architectures given as texts, `[batch]`."""

    @property
    def propose(self) -> Callable[..., dict[str, Any]]:
        """Returns up to n `architectures` (texts) with their `predictions`, best first, and further entries."""

    def load(self, state: Mapping[str, Any]) -> None:
        """Load a state."""


class ProxyReranking:
    """A `Surrogate` that ranks the first proposals of another one again, with scores without training beside the graph.

    They are training-free scores, and figures of weights that a hypernetwork generates. They take tens of milliseconds each, so
    that not all architectures of an inner search can have them. The surrogate proposes its first `most`; a Gaussian process on
    graph features and scores, fitted to all outcomes, gives each of them a second prediction, and what ranks is

        (1 - weight) f(a) + weight (mu(a) + optimism * sigma(a))

    with the surrogate's prediction f, and mean mu and standard deviation sigma of the process. A score enters as a column of the
    features: sign(s) log(1 + |s|), less its mean and divided by its standard deviation among the outcomes, times `scale`; one
    that is not defined is the mean.

    Args:
        make: Makes the surrogate.
        scores: The scores.
        weight: Share of the process, from 0 to 1.
        most: Number of first proposals that are ranked again.
        optimism: Number of standard deviations that are added to the mean of the process.
        scale: Standard deviation of a column, in the unit of the graph features.
    """

    def __init__(
        self,
        make: Callable[[], ProposingSurrogate],
        scores: ProxyScores,
        *,
        weight: float,
        most: int,
        optimism: float,
        scale: float = SCALE,
    ) -> None:
        scores.check()
        self.surrogate, self.scores = make(), scores
        self.weight, self.most, self.optimism, self.scale = weight, most, optimism, scale
        self._process: GaussianProcess | None = None
        self._columns: NDArray[np.float64] | None = None  # [2, scores], mean and deviation of each

    def fit(self, rows: Mapping[str, Any], *, seed: int, **options: Any) -> dict[str, Any]:
        """Fit the surrogate and the process, and return the states of both; arguments as those of the surrogate."""
        state = self.surrogate.fit(rows, seed=seed, **options)
        architectures = [self.surrogate.space.parse(text) for text in rows["architectures"]]
        logs = signed_log(self.scores.of(architectures))
        self._columns = moments(logs)
        (column,) = options["learned"].values() if "learned" in options else (options["column"],)
        self._process = self._made(seed).fit(self._features(architectures, logs), targets(rows, column))
        return {"surrogate": state, "columns": self._columns, "process": self._process.state()}

    def load(self, state: Mapping[str, Any]) -> None:
        self.surrogate.load(state["surrogate"])
        self._columns, self._process = state["columns"], self._made(0).load(state["process"])

    def score(self, batch: Sequence[str], **options: Any) -> NDArray[np.float64]:
        """Return the combined predictions of architectures given as texts, `[batch]`."""
        return self._combined([self.surrogate.space.parse(text) for text in batch], self.surrogate.score(batch, **options))

    def propose(self, n: int, **options: Any) -> dict[str, Any]:
        """Return the best `n` of the surrogate's first proposals by the combined predictions, and what else it returns."""
        first = self.surrogate.propose(max(n, self.most), **options)
        if not first["architectures"]:
            return first
        architectures = [self.surrogate.space.parse(text) for text in first["architectures"]]
        values = self._combined(architectures, np.array(first["predictions"]))
        order = np.argsort(-values, kind="stable")[:n]
        chosen = [first["architectures"][at] for at in order]
        return {**first, "architectures": chosen, "predictions": values[order].tolist()}

    def _combined(self, architectures: Sequence[Architecture], predicted: NDArray[np.float64]) -> NDArray[np.float64]:
        assert self._process is not None
        mean, deviation = self._process.predict_moments(self._features(architectures, signed_log(self.scores.of(architectures))))
        second: NDArray[np.float64] = mean + self.optimism * deviation
        return second if self.weight == 1.0 else (1.0 - self.weight) * predicted + self.weight * second

    def _features(self, architectures: Sequence[Architecture], logs: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return graph features and scores, `[architectures, features]`."""
        assert self._columns is not None
        mean, deviation = self._columns
        columns = np.nan_to_num((logs - mean) / deviation, nan=0.0) * self.scale
        return np.hstack([self._made(0).prepare(architectures), columns.astype(np.float32)])

    def _made(self, seed: int) -> GaussianProcess:
        from archsearch.evaluators.predictors.gaussian_process import GaussianProcess  # scikit-learn takes a second to load

        return GaussianProcess(self.surrogate.space, seed)


def signed_log(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return sign(s) log(1 + |s|), NaN where a score is not finite."""
    finite = np.where(np.isfinite(scores), scores, np.nan)
    logs: NDArray[np.float64] = np.sign(finite) * np.log1p(np.abs(finite))
    return logs


def moments(logs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return mean and standard deviation of each column, `[2, columns]`; those that are constant or not defined have 0 and 1."""
    known = np.isfinite(logs)
    number = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, logs, 0.0).sum(axis=0) / number
    deviation = np.sqrt((np.where(known, logs - mean, 0.0) ** 2).sum(axis=0) / number)
    return np.stack([mean, np.where(deviation > 0.0, deviation, 1.0)])
