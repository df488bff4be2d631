"""A random forest over graph features of architectures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.ensemble import RandomForestRegressor

from archsearch.errors import ConfigurationError, check_whole_number, unknown_name
from archsearch.evaluators.predictors.features import FEATURES, Features, Vector, features_of, features_to_read, normal_quantiles
from archsearch.evaluators.saved_state import check_identity, taking_over
from archsearch.evaluators.vectors import learnable_scores
from archsearch.fixed_options import FixedOptions
from archsearch.spaces import Architecture, GraphBatch, SearchSpace

_VERSION = 1
_AT_ONCE = 65_536  # architectures that are predicted at once


class Forest(FixedOptions):
    """Ranks architectures by a random forest over features of their graphs.

    L. Breiman, "Random Forests", Machine Learning 45, 2001; on graph features as in G. Kadlecová et al., ICML 2024,
    arXiv 2404.16551. Each tree learns from rows drawn with replacement, and looks for each split at a third of the features. The
    target of the score with rank r of n, 1 being the lowest, is the standard normal quantile of (r - 1/2) / n.

    The outcome depends on the arguments and on the data given to `fit` alone.

    Args:
        space: Space of the architectures.
        seed: Seed of the trees.
        features: `graf` or `paths`; see `archsearch.evaluators.predictors.features`.
        trees: Number of trees.

    Raises:
        ConfigurationError: The features are unknown, or the number of trees is out of range.
    """

    def __init__(self, space: SearchSpace, seed: int = 0, *, features: str = "graf", trees: int = 100) -> None:
        check_whole_number("trees", trees)
        if features not in FEATURES:
            raise ConfigurationError(unknown_name("features", features, FEATURES))
        self.space, self.seed, self.features, self.trees = space, seed, features, trees
        self._learned: dict[str, Any] | None = None
        self._regressor: Any = None

    def prepare(self, architectures: Sequence[Architecture] | GraphBatch) -> Features:
        """Return the features that `fit` and `predict` read, `[architectures, features]`, to be used again and again.

        Raises:
            ArchitectureError: One is not of the space.
        """
        return features_of(self.space, architectures, self.features)

    def fit(self, architectures: Sequence[Architecture] | GraphBatch | Features, scores: ArrayLike) -> Forest:
        """Learn from scored architectures, and return the forest.

        Args:
            architectures: At least two, or what `prepare` returned. One that is given twice counts twice, also with two different
                scores.
            scores: `[architectures]`, higher is better.

        Raises:
            ArchitectureError: An architecture is not of the space.
            ConfigurationError: There are fewer than two different scores, one is NaN or infinite, or their number is not that of
                the architectures.
        """
        points = self._features(architectures)
        self._settle({"points": points, "targets": normal_quantiles(learnable_scores(scores, len(points))), "seed": self.seed})
        return self

    def predict(self, architectures: Sequence[Architecture] | GraphBatch | Features) -> Vector:
        """Return a score for each architecture, `[architectures]`, higher is better, in the normal quantiles of the ranks.

        Raises:
            ArchitectureError: An architecture is not of the space.
            ConfigurationError: There was no fit before.
        """
        self._fitted()
        points = self._features(architectures)
        found = np.empty(len(points))
        for start in range(0, len(points), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            found[part] = self._regressor.predict(points[part])
        return found

    def state(self) -> dict[str, Any]:
        """Return the rows and the seed, from which the same trees grow again, as numpy arrays, numbers and strings.

        Raises:
            ConfigurationError: There was no fit before.
        """
        return {**self._identity(), **self._fitted()}

    def load(self, state: Mapping[str, Any]) -> Forest:
        """Grow the forest of a saved state of the same space again, and return it.

        Raises:
            ConfigurationError: The state is of another space or version, or it is corrupt.
        """
        with taking_over("forest"):
            check_identity(state, self._identity(), "Make the forest with the arguments of the saved one.")
            self._settle({name: state[name] for name in ("points", "targets", "seed")})
        return self

    def _settle(self, learned: dict[str, Any]) -> None:
        """Grow the trees from the rows that are learned."""
        regressor = RandomForestRegressor(self.trees, max_features=1 / 3, random_state=learned["seed"])
        self._regressor = regressor.fit(learned["points"], learned["targets"])
        self._learned = learned

    def _fitted(self) -> dict[str, Any]:
        if self._learned is None:
            raise ConfigurationError("forest: it has learned nothing yet; call fit or load first.")
        return self._learned

    def _identity(self) -> dict[str, Any]:
        return {
            "version": _VERSION,
            "space": self.space.name,
            "vocabulary": list(self.space.vocabulary),
            "features": self.features,
            "trees": self.trees,
        }

    def _features(self, architectures: Sequence[Architecture] | GraphBatch | Features) -> Features:
        width = None if self._learned is None else self._learned["points"].shape[1]
        return features_to_read(self.space, architectures, self.features, width)
