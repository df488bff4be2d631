"""The length of a hypernetwork's training: a number of steps, or published epochs scaled to what the search can afford."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from archsearch.errors import ConfigurationError, check_whole_number


@dataclass(frozen=True)
class TrainingLength:
    """Steps, or epochs times a factor.

    Args:
        steps: Number of steps; None takes the epochs.
        epochs: Passes over the training images before they are scaled; None takes the steps.
        scale: Factor on the epochs.
        reason: Where the factor comes from, in words.
    """

    steps: int | None
    epochs: int | None = None
    scale: float = 1.0
    reason: str = ""

    @classmethod
    def chosen(
        cls,
        usual: Mapping[str, int],
        given: Mapping[str, Any],
        scale: float | None,
        candidate_epochs: int | None,
        candidates: object,
    ) -> TrainingLength:
        """Return the length that a user's options and a preset make.

        Args:
            usual: `steps` and `epochs` of the preset, replaced by those that are given.
            given: Options of the user.
            scale: Factor on the epochs; None takes the trainings of the candidates together, at most 1.
            candidate_epochs: Epochs of the training of a candidate; None takes 1.
            candidates: Number of candidates.

        Raises:
            ConfigurationError: An option is out of range, or `steps` and `epochs` are both given.
        """
        for name, value in usual.items():
            check_whole_number(name, value)
        for name, number in (("candidate_epochs", candidate_epochs), ("budget", candidates)):
            if number is not None:
                check_whole_number(name, number)
        if "steps" in given and "epochs" in given:
            raise ConfigurationError(
                f"steps: expected steps or epochs; got steps={given['steps']} and epochs={given['epochs']}. Leave one out."
            )
        if scale is not None and (isinstance(scale, bool) or not isinstance(scale, int | float) or not 0.0 < scale < math.inf):
            raise ConfigurationError(f"training_scale: expected a number above 0; got {scale!r}.")
        epochs = usual.get("epochs")
        if epochs is None or ("steps" in given and "epochs" not in given):
            if scale is not None:
                raise ConfigurationError(
                    f"training_scale: a factor on epochs, but the training is given in steps, {usual.get('steps')}. Give epochs."
                )
            return cls(usual["steps"])
        if scale is not None:
            return cls(None, epochs, float(scale), "as given")
        assert isinstance(candidates, int)
        each = candidate_epochs or 1
        reason = f"as many as {candidates:,} candidates are trained for together, {each} each"
        return cls(None, epochs, min(1.0, candidates * each / epochs), reason)

    def arguments(self) -> dict[str, Any]:
        """Return the keyword argument of a fit: `steps`, or `epochs` as they are trained."""
        return {"steps": self.steps} if self.epochs is None else {"epochs": self.epochs * self.scale}

    def note(self, preset: str) -> str:
        """Return a sentence on scaled epochs; empty for a number of steps."""
        if self.epochs is None:
            return ""
        whole = f"The hypernetwork is trained for {self.epochs * self.scale:.4g} epochs of the images"
        if self.scale == 1.0:
            return f"{whole}, as the preset {preset} says: training_scale=1."
        return f"{whole}, {self.reason}, where the preset {preset} has {self.epochs}: training_scale={self.scale:.4g}."
