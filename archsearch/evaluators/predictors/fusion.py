"""A ranking that adds those of several kinds of predictors, and its uncertainty, of which their disagreement is a part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from archsearch.errors import ConfigurationError, unknown_name
from archsearch.evaluators.predictors.features import Features, Vector
from archsearch.evaluators.predictors.forest import Forest
from archsearch.evaluators.predictors.gaussian_process import GaussianProcess
from archsearch.evaluators.predictors.population import Population
from archsearch.evaluators.predictors.predictor import Predictor
from archsearch.evaluators.saved_state import check_identity, taking_over
from archsearch.fixed_options import FixedOptions
from archsearch.spaces import Architecture, GraphBatch, SearchSpace

WEIGHTS: Mapping[str, float] = {"gates": 2.0, "gp": 1.0, "forest": 1.0}
"""Weights of the members by name: a `Predictor`, a `GaussianProcess` and a `Forest`, the latter two on graph features."""
MEMBERS = tuple(WEIGHTS)
_VERSION = 1


@dataclass(frozen=True, eq=False)
class Prepared:
    """Architectures in the forms that the members read; see `Fusion.prepare`.

    Args:
        features: `[architectures, features]`.
        population: For the `Predictor`; None without it.
    """

    features: Features
    population: Population | None

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, rows: slice | NDArray[np.integer] | NDArray[np.bool_]) -> Prepared:
        return Prepared(self.features[rows], None if self.population is None else self.population[rows])


Architectures = Sequence[Architecture] | GraphBatch | Prepared


class Rungs(NamedTuple):
    """Scores after several numbers of steps, of which only those of one rung are compared.

    Args:
        candidates: `[rows]` places among the architectures of the fit.
        rungs: `[rows]` whole numbers from 0, larger for more steps.
        scores: `[rows]`, higher is better.
    """

    candidates: NDArray[np.int64]
    rungs: NDArray[np.int64]
    scores: Vector


class Fusion(FixedOptions):
    """Ranks architectures by a weighted mean of several predictors, all on the scale of the normal quantiles of the ranks.

    The members are GATES (X. Ning et al., ECCV 2020, arXiv 2004.01899), which learns from the graph, and a Gaussian process and a
    random forest on features of it (GRAF, G. Kadlecová et al., ICML 2024, arXiv 2404.16551). They err in different ways, so that
    their mean ranks better than each. A prediction is

        f(a) = sum over members m of w_m f_m(a) + optimism * s(a)
        s(a)^2 = s_gp(a)^2 + sum over members m of w_m (f_m(a) - f(a))^2

    with the standard deviation s_gp of the Gaussian process, and weights in proportion to 2 for GATES and 1 for the others, which
    ranked best or second best on rows of the training pools of NAS-Bench-101 and NAS-Bench-201. Process and forest predict the
    normal quantile of the rank among the scores that were learned, and the less they know, the closer to 0; the predictions of
    GATES are in its deviations on the architectures that were learned. So members that know little count little.

    The outcome depends on the arguments and on the data given to `fit` alone.

    Args:
        space: Space of the architectures.
        seed: Seed of all members.
        members: Names of the members, some of `MEMBERS`; the Gaussian process is always one of them.
        optimism: Number of standard deviations that a prediction lies above the mean (N. Srinivas et al., ICML 2010,
            arXiv 0912.3995).
        predictor: Arguments of the `Predictor`, without space and seed.

    Raises:
        ConfigurationError: A member is unknown, given twice, or the process is missing; or see `Predictor`.

    Example:
        >>> import numpy as np
        >>> from archsearch import spaces
        >>> space, rng = spaces.get("nasbench201"), np.random.default_rng(0)
        >>> architectures = [space.sample(rng) for _ in range(20)]
        >>> fusion = Fusion(space, predictor={"epochs": 5}).fit(architectures, np.linspace(0.5, 0.9, 20))
        >>> fusion.predict(architectures).shape
        (20,)
    """

    def __init__(
        self,
        space: SearchSpace,
        seed: int = 0,
        *,
        members: Sequence[str] = ("gates", "gp"),
        optimism: float = 0.0,
        predictor: Mapping[str, Any] | None = None,
    ) -> None:
        for name in members:
            if name not in MEMBERS:
                raise ConfigurationError(unknown_name("members", name, MEMBERS))
        if "gp" not in members or len(set(members)) < len(members):
            raise ConfigurationError(
                f"members: expected different ones of {', '.join(MEMBERS)}, 'gp' among them; got {[*members]}."
            )
        self.space, self.seed, self.members, self.optimism = space, seed, tuple(members), optimism
        self.predictor = dict(predictor or {})
        self._gates = Predictor(space, seed=seed, **self.predictor)
        self._process, self._forest = GaussianProcess(space, seed), Forest(space, seed)

    def prepare(self, architectures: Sequence[Architecture] | GraphBatch) -> Prepared:
        """Return architectures in the forms that `fit` and `predict` read, to be used again and again.

        Raises:
            ArchitectureError: One is not of the space.
        """
        batch = architectures if isinstance(architectures, GraphBatch) else self.space.encode(architectures)
        population = self._gates.prepare(batch) if "gates" in self.members else None
        return Prepared(self._process.prepare(batch), population)

    def fit(self, architectures: Architectures, scores: ArrayLike, *, rungs: Rungs | None = None) -> Fusion:
        """Learn from scored architectures, and return the ranking.

        Args:
            architectures: At least two, as in `prepare`.
            scores: `[architectures]`, higher is better.
            rungs: Scores after several numbers of steps, from which GATES learns within each rung, if its loss is on pairs; the
                others learn from `scores`.

        Raises:
            ArchitectureError: An architecture is not of the space.
            ConfigurationError: See `Predictor.fit`.
        """
        known = self._prepared(architectures)
        self._process.fit(known.features, scores)
        if "forest" in self.members:
            self._forest.fit(known.features, scores)
        if known.population is not None:
            if rungs is None or not self._gates.compares_pairs:
                self._gates.fit(known.population, scores)
            else:
                self._gates.fit(known.population[rungs.candidates], rungs.scores, rungs=rungs.rungs)
        return self

    def predict(self, architectures: Architectures) -> Vector:
        """Return a score for each architecture, `[architectures]`, higher is better: the mean, and deviations above it.

        Raises:
            ArchitectureError: An architecture is not of the space.
            ConfigurationError: There was no fit before.
        """
        mean, deviation = self.predict_moments(architectures)
        return mean + self.optimism * deviation

    def predict_moments(self, architectures: Architectures) -> tuple[Vector, Vector]:
        """Return the mean of the members and its uncertainty for each architecture, `[architectures]` each.

        Raises:
            ArchitectureError: An architecture is not of the space.
            ConfigurationError: There was no fit before.
        """
        asked = self._prepared(architectures)
        mean, deviation = self._process.predict_moments(asked.features)
        each = {"gp": mean}
        if "forest" in self.members:
            each["forest"] = self._forest.predict(asked.features)
        if asked.population is not None:
            each["gates"] = self._gates.predict(asked.population)
        values, weights = np.stack(list(each.values())), [WEIGHTS[name] for name in each]
        together: Vector = np.average(values, axis=0, weights=weights)
        return together, np.sqrt(deviation**2 + np.average((values - together) ** 2, axis=0, weights=weights))

    def prepare_to_screen(self, graphs: GraphBatch) -> Features:
        """Return the features that `screen` reads, `[architectures, features]`."""
        return self._process.prepare(graphs)

    def screen(self, prepared: Features) -> Vector:
        """Return a rough score for each architecture, `[architectures]`, at a small part of the cost: that of the process alone.

        Raises:
            ConfigurationError: There was no fit before.
        """
        mean, deviation = self._process.predict_moments(prepared)
        return mean + self.optimism * deviation

    def state(self) -> dict[str, Any]:
        """Return the states of the members as tensors, arrays and plain data.

        Raises:
            ConfigurationError: There was no fit before.
        """
        models = self._models()
        return {"version": _VERSION, "members": list(self.members), **{name: model.state() for name, model in models.items()}}

    def load(self, state: Mapping[str, Any]) -> Fusion:
        """Restore the saved state of a ranking with the same space and members, and return the ranking.

        Raises:
            ConfigurationError: The state is of another space, other members or another version, or it is corrupt.
        """
        with taking_over("fusion"):
            check_identity(
                state, {"version": _VERSION, "members": list(self.members)}, "Make it with the arguments of the saved one."
            )
            for name, model in self._models().items():
                model.load(state[name])
        return self

    def _models(self) -> dict[str, Any]:
        models = {"gates": self._gates, "gp": self._process, "forest": self._forest}
        return {name: models[name] for name in self.members}

    def _prepared(self, architectures: Architectures) -> Prepared:
        return architectures if isinstance(architectures, Prepared) else self.prepare(architectures)
