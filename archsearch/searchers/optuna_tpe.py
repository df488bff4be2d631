"""Ray Tune's Optuna search, told of outcomes that it did not ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ray.tune.search.optuna import OptunaSearch


class OptunaStudy(OptunaSearch):
    """`OptunaSearch`, whose own `add_evaluated_point` takes one objective only."""

    def add_outcome(self, parameters: Mapping[str, Any], values: Sequence[float]) -> None:
        """Take an outcome as known: one value for each objective."""
        from optuna.trial import create_trial

        study: Any = self._ot_study
        distributions: Any = self._space
        study.add_trial(create_trial(values=values, params=dict(parameters), distributions=distributions))
