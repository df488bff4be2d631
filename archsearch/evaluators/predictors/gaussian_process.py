"""A Gaussian process over graph features or path counts of architectures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.gaussian_process import GaussianProcessRegressor

from archsearch.declarations import AtLeast
from archsearch.errors import ConfigurationError, check_whole_number, unknown_name
from archsearch.evaluators.matern import matern_kernel, most_likely
from archsearch.evaluators.predictors.features import (
    FEATURES,
    Features,
    Vector,
    features_of,
    features_to_read,
    normal_quantiles,
    rows_to_learn,
)
from archsearch.evaluators.saved_state import check_identity, taking_over
from archsearch.evaluators.vectors import learnable_scores
from archsearch.fixed_options import FixedOptions
from archsearch.spaces import Architecture, GraphBatch, SearchSpace

_VERSION = 2
_AT_ONCE = 2048  # architectures that are predicted at once
_TUNING_ROWS = 200  # a likelihood takes time in proportion to their cube, and three parameters need no more
_RESTARTS = 1
_KERNEL = matern_kernel(10.0, variance=(0.05, 50.0), lengths=(0.1, 1000.0), noise=(1e-3, 3.0))


class GaussianProcess(FixedOptions):
    """Ranks architectures by a Gaussian process over features of their graphs.

    The features are those of `graph_features` (GRAF, G. Kadlecová et al., ICML 2024, arXiv 2404.16551) or, as in C. White, W.
    Neiswanger, Y. Savani, "BANANAS", AAAI 2021, arXiv 1910.11858, `log(1 + count)` of the counts of `path_counts`. The kernel is
    a Matérn kernel (smoothness 5/2, one length; see `matern_kernel`) with white noise. Its three parameters maximise the
    likelihood of at most 200 rows, drawn by the seed. The target of the score with rank r of n, 1 being the lowest, is the
    standard normal quantile of (r - 1/2) / n.

    The outcome depends on the arguments and on the data given to `fit` alone.

    Args:
        space: Space of the architectures.
        seed: Seed of the restarts of the optimizer, and of the rows that are drawn from many.
        features: `graf` or `paths`.
        optimism: Number of standard deviations that a prediction lies above the mean: the upper confidence bound of N. Srinivas
            et al., ICML 2010, arXiv 0912.3995. With 0 it is the mean.
        most_rows: Largest number of rows to learn from. Of more, the best `most_rows / 2` and as many others at random are kept,
            because time and memory grow with the cube and the square of the rows.

    Raises:
        ConfigurationError: The features are unknown, or `most_rows` is out of range.
    """

    def __init__(
        self,
        space: SearchSpace,
        seed: Annotated[int, AtLeast(0)] = 0,
        *,
        features: str = "graf",
        optimism: Annotated[float, AtLeast(0)] = 0.0,
        most_rows: int = 2000,
    ) -> None:
        check_whole_number("most_rows", most_rows, 2)
        if features not in FEATURES:
            raise ConfigurationError(unknown_name("features", features, FEATURES))
        self.space, self.seed, self.features, self.optimism, self.most_rows = space, seed, features, optimism, most_rows
        self._learned: dict[str, Any] | None = None
        self._regressor: Any = None

    def prepare(self, architectures: Sequence[Architecture] | GraphBatch) -> Features:
        """Return the features that `fit` and `predict` read, `[architectures, features]`, to be used again and again.

        Raises:
            ArchitectureError: One is not of the space.
        """
        return features_of(self.space, architectures, self.features)

    def fit(self, architectures: Sequence[Architecture] | GraphBatch | Features, scores: ArrayLike) -> GaussianProcess:
        """Learn from scored architectures, and return the process.

        Args:
            architectures: At least two, or what `prepare` returned. One that is given twice counts twice, also with two different
                scores.
            scores: `[architectures]`, higher is better.

        Raises:
            ArchitectureError: An architecture is not of the space.
            ConfigurationError: There are fewer than two different scores, one is NaN or infinite, or their number is not that of
                the architectures.
        """
        features = self._features(architectures)
        vector = learnable_scores(scores, len(features))
        rng = np.random.default_rng(self.seed)
        kept = rows_to_learn(vector, self.most_rows, rng)
        columns = np.flatnonzero(features[kept].any(axis=0))
        points, targets = _points(features[kept], columns), normal_quantiles(vector[kept])
        drawn = rng.permutation(len(kept))[:_TUNING_ROWS]
        theta = most_likely(_KERNEL, points[drawn], targets[drawn], seed=self.seed, restarts=_RESTARTS).kernel_.theta
        width = features.shape[1]
        self._settle({"columns": columns, "width": width, "points": points, "targets": targets, "theta": theta})
        return self

    def predict(self, architectures: Sequence[Architecture] | GraphBatch | Features) -> Vector:
        """Return a score for each architecture, `[architectures]`, higher is better, in the normal quantiles of the ranks.

        Raises:
            ArchitectureError: An architecture is not of the space.
            ConfigurationError: There was no fit before.
        """
        mean, deviation = self.predict_moments(architectures)
        return mean + self.optimism * deviation

    def predict_moments(self, architectures: Sequence[Architecture] | GraphBatch | Features) -> tuple[Vector, Vector]:
        """Return the mean and the standard deviation of the process for each architecture, `[architectures]` each.

        Raises:
            ArchitectureError: An architecture is not of the space.
            ConfigurationError: There was no fit before.
        """
        learned = self._fitted()
        mean, deviation = np.empty(len(architectures)), np.empty(len(architectures))
        for start in range(0, len(architectures), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            features = self._features(architectures[part])
            mean[part], deviation[part] = self._regressor.predict(_points(features, learned["columns"]), return_std=True)
        return mean, deviation

    def prepare_to_screen(self, graphs: GraphBatch) -> Features:
        """Return what `screen` reads: what `prepare` returns."""
        return self.prepare(graphs)

    def screen(self, prepared: Features) -> Vector:
        """Return what `predict` returns, which costs little."""
        return self.predict(prepared)

    def state(self) -> dict[str, Any]:
        """Return the training rows and the parameters of the kernel, as numpy arrays and strings.

        Raises:
            ConfigurationError: There was no fit before.
        """
        return {**self._identity(), **self._fitted()}

    def load(self, state: Mapping[str, Any]) -> GaussianProcess:
        """Restore the saved state of a process of the same space, and return the process.

        Raises:
            ConfigurationError: The state is of another space or version, or it is corrupt.
        """
        with taking_over("process"):
            check_identity(state, self._identity(), "Make the process with the space of the saved one.")
            self._settle({name: state[name] for name in ("columns", "width", "points", "targets", "theta")})
        return self

    def _settle(self, learned: dict[str, Any]) -> None:
        """Condition the process on the rows that it has learned from."""
        kernel = _KERNEL.clone_with_theta(learned["theta"])
        regressor = GaussianProcessRegressor(kernel, optimizer=None)
        self._regressor = regressor.fit(learned["points"], learned["targets"])
        self._learned = learned

    def _fitted(self) -> dict[str, Any]:
        if self._learned is None:
            raise ConfigurationError("process: it has learned nothing yet; call fit or load first.")
        return self._learned

    def _identity(self) -> dict[str, Any]:
        return {
            "version": _VERSION,
            "space": self.space.name,
            "vocabulary": list(self.space.vocabulary),
            "inputs": self.space.num_inputs,
            "features": self.features,
        }

    def _features(self, architectures: Sequence[Architecture] | GraphBatch | Features) -> Features:
        width = None if self._learned is None else self._learned["width"]
        return features_to_read(self.space, architectures, self.features, width)


def _points(features: Features, columns: NDArray[np.int64]) -> Vector:
    """Return the columns that are not zero in all training rows, and one for the length of the others, `[rows, columns + 1]`.

    The distances to the training rows are the same as in all columns.
    """
    others = np.delete(features, columns, axis=1)
    return np.column_stack([features[:, columns], np.linalg.norm(others, axis=1)]).astype(np.float64)
