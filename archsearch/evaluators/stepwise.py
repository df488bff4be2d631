"""Evaluators that report a score after each step, such as an epoch, and go on from a saved state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from archsearch.evaluators.evaluation import Evaluation
from archsearch.evaluators.evaluator import Evaluator
from archsearch.spaces import Architecture

STEP_SCORES = "step_score"
"""Name of the curve of scores, one after each step."""
STEP_SECONDS = "step_seconds"
"""Name of the curve of durations in seconds, one for each step."""


class EvaluationSteps(ABC):
    """The evaluation of one candidate, step by step, whose state can be saved after each step.

    Args:
        architecture: The candidate.

    Attributes:
        fidelity: The fidelity that is reached: number of epochs, or what the evaluator calls it, that are done; 0 before the
            first step.

    Example:
        >>> from archsearch import spaces
        >>> from archsearch.evaluators import Evaluation, EvaluationSteps
        >>> space = spaces.get("nasbench201")
        >>> class Halving(EvaluationSteps):
        ...     def step(self):
        ...         self.fidelity += 1
        ...         key, done = space.key(self.architecture), self.fidelity == 3
        ...         return Evaluation(self.architecture, key, 1 - 0.5**self.fidelity, fidelity=None if done else self.fidelity)
        ...
        ...     def state(self):
        ...         return {"fidelity": self.fidelity}
        ...
        ...     def load_state(self, state):
        ...         self.fidelity = state["fidelity"]
        >>> steps = Halving(space.from_genotype([3, 0, 1, 0, 0, 1]))
        >>> [steps.step().fidelity for _ in range(3)]
        [1, 2, None]
    """

    def __init__(self, architecture: Architecture) -> None:
        self.architecture, self.fidelity = architecture, 0

    @abstractmethod
    def step(self) -> Evaluation:
        """Do one step more, and return the evaluation after it.

        A step leads to the next fidelity at which the evaluator reports: the next epoch, or the next of its `fidelities`. The
        evaluation's `fidelity` is the one that is reached, or None after the last step. Its curve `step_score` has the score
        after each step and `step_seconds` the duration of each, those before a saved state included; its `seconds` are the
        duration of all steps. A candidate that fails gives an evaluation with its error, never an exception, and has no more
        steps.

        Raises:
            ConfigurationError: The last step is done.
        """

    def with_report_metrics(self, evaluation: Evaluation) -> Evaluation:
        """Return the evaluation of the last step with those metrics that are for reports alone, such as the test accuracy.

        Metrics for which `is_report_only` is True need not be measured after each step. Call this for a candidate that may get no
        more steps. A complete evaluation has them already. They are no part of `seconds`. By default there are none to add.
        """
        return evaluation

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """Return all that the remaining steps depend on, as tensors and plain data."""

    @abstractmethod
    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` of an evaluation of the same candidate returned: on a CPU the same to the last bit.

        Raises:
            ConfigurationError: It is not the state of such an evaluation.
        """

    def close(self) -> None:  # noqa: B027 - most evaluations have nothing to end
        """End an evaluation that is given up, and free what it holds outside its own memory; by default there is nothing."""


class StepwiseEvaluator(Evaluator):
    """An evaluator that reports as it goes, so that a scheduler can stop, pause and resume candidates.

    Its whole evaluation, `evaluate`, is that of all steps one after the other.

    Args:
        space: As for `Evaluator`.
        seed: As for `Evaluator`.

    Example:
        >>> from archsearch import spaces
        >>> from archsearch.evaluators import TrainingEvaluator
        >>> space = spaces.get("nasbench201")
        >>> cell = space.parse("|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|")
        >>> evaluator = TrainingEvaluator(space, "digits", epochs=2, scale={"channels": 2, "cells_per_stage": 1})
        >>> steps = evaluator.begin(cell)
        >>> steps.step().fidelity, steps.step().fidelity
        (1, None)
    """

    @property
    def fidelity_name(self) -> str:
        """What the fidelity counts, in the plural."""
        return "epochs"

    @property
    @abstractmethod
    def max_fidelity(self) -> int:
        """Fidelity of a complete evaluation."""

    @property
    def fidelities(self) -> tuple[int, ...] | None:
        """The fidelities at which it reports, ascending to `max_fidelity`; None for each from 1."""
        return None

    @abstractmethod
    def begin(self, architecture: Architecture) -> EvaluationSteps:
        """Return the evaluation of a candidate before its first step.

        Raises:
            ArchitectureError: The architecture is of another space.
        """

    def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        return [self._complete(architecture) for architecture in architectures]

    def _complete(self, architecture: Architecture) -> Evaluation:
        steps = self.begin(architecture)
        evaluation = steps.step()
        while evaluation.ok and evaluation.is_partial:
            evaluation = steps.step()
        return evaluation
